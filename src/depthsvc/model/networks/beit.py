"""BEiT, a vision transformer without position embeddings: attention is biased by the patches' relative positions.

Bao et al., "BEiT: BERT Pre-Training of Image Transformers", ICLR 2022. As in MiDaS v3.1 the biases are resized to the
grid of the input. Attribute names match timm's, which the official checkpoints have.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depthsvc.model.architecture import DptArchitecture
from depthsvc.model.networks.vit import Mlp, PatchEmbedding, Tapped, attend, layer_norm, with_class_token

_CLASS_PAIRS = 3
"""Biases that belong to no distance: from the class token to a patch, the other way round, and to itself."""


class RelativeAttention(nn.Module):
    """Self-attention with a learnt bias for each head and distance between patches."""

    def __init__(self, width: int, heads: int, grid: int) -> None:
        super().__init__()
        self._heads = heads
        self._distances = 2 * grid - 1
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.relative_position_bias_table = nn.Parameter(torch.zeros(self._distances**2 + _CLASS_PAIRS, heads))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, grid: tuple[int, int], pairs: Tensor) -> Tensor:
        """Tokens (N, T, C) of a grid and its `token_pairs` -> (N, T, C)."""
        qkv_bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
        qkv = F.linear(x, self.qkv.weight, qkv_bias)
        attended: Tensor = self.proj(attend(qkv, self._heads, self._bias(grid, pairs)))
        return attended

    def _bias(self, grid: tuple[int, int], pairs: Tensor) -> Tensor:
        """What is added to the scores, (1, heads, T, T)."""
        table = self.relative_position_bias_table.t()
        square = table[:, :-_CLASS_PAIRS].reshape(1, self._heads, self._distances, self._distances)
        size = (2 * grid[0] - 1, 2 * grid[1] - 1)
        resized = F.interpolate(square, size=size, mode="bilinear")
        biases = torch.cat((table[:, -_CLASS_PAIRS:], resized.flatten(2).squeeze(0)), 1)
        # A head at a time, because attention wants heads first: gathering rows of heads and transposing takes longer.
        gathered = biases.index_select(1, pairs.flatten())
        return gathered.reshape(1, self._heads, pairs.shape[0], pairs.shape[1])


def token_pairs(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """For each pair of tokens of a grid the index of its bias, int64 (T, T): class pairs come first, then distances."""
    y, x = torch.arange(height, device=device), torch.arange(width, device=device)
    rows = y[:, None] - y + (height - 1)
    columns = x[:, None] - x + (width - 1)
    distances = rows[:, None, :, None] * (2 * width - 1) + columns[:, None, :] + _CLASS_PAIRS
    patches = distances.reshape(height * width, height * width)
    to_class_token = F.pad(patches, [1, 0], value=1)
    from_class_token = F.pad(torch.zeros_like(patches[:1]), [1, 0], value=2)
    return torch.cat((from_class_token, to_class_token))


class Block(nn.Module):
    """A pre-norm transformer block whose two branches are scaled, (N, T, C) -> (N, T, C)."""

    def __init__(self, width: int, heads: int, grid: int) -> None:
        super().__init__()
        self.gamma_1 = nn.Parameter(torch.ones(width))
        self.gamma_2 = nn.Parameter(torch.ones(width))
        self.norm1 = layer_norm(width)
        self.attn = RelativeAttention(width, heads, grid)
        self.norm2 = layer_norm(width)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor, grid: tuple[int, int], pairs: Tensor) -> Tensor:
        x = x + self.gamma_1 * self.attn(self.norm1(x), grid, pairs)
        output: Tensor = x + self.gamma_2 * self.mlp(self.norm2(x))
        return output


class Beit(nn.Module):
    """BEiT without its classifier, for any size that is a multiple of the patch."""

    def __init__(self, architecture: DptArchitecture) -> None:
        super().__init__()
        width, heads = architecture.width, architecture.heads
        self._taps = architecture.taps
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.patch_embed = PatchEmbedding(width)
        self.blocks = nn.ModuleList(Block(width, heads, architecture.grid) for _ in range(architecture.depth))

    def forward(self, x: Tensor) -> Tapped:
        """float32 (N, 3, H, W) -> the outputs of the tapped blocks."""
        patches, _ = self.patch_embed(x)
        height, width = patches.shape[-2:]
        pairs = token_pairs(height, width, x.device)
        x = with_class_token(patches, self.cls_token)
        tokens = []
        for index, block in enumerate(self.blocks):
            x = block(x, (height, width), pairs)
            if index in self._taps:
                tokens.append(x)
        return Tapped([], tokens, (height, width))
