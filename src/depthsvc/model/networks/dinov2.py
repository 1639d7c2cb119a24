"""The DINOv2 vision transformer, as the encoder of Depth Anything.

Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024. Attribute names match the
official checkpoints. Sizes come from the shapes of tensors, so that one trace is valid for every input size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from depthsvc.model.networks.vit import Attention, Mlp, layer_norm

PATCH = 14
"""Pixels along a patch's side."""
_GRID = 37
"""Patches along the side of the images that the position embedding was trained with."""
_CUBIC = -0.75
"""PyTorch's parameter of the bicubic kernel."""


class DinoV2(nn.Module):
    """Photos to the tokens of four of its blocks."""

    def __init__(self, width: int, blocks: int, heads: int, taps: tuple[int, ...]) -> None:
        """`taps` are the blocks, from 0, whose tokens `forward` returns."""
        super().__init__()
        self._taps = taps
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + _GRID * _GRID, width))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.mask_token = nn.Parameter(torch.zeros(1, width))  # for training; checkpoints have it
        self.patch_embed = PatchEmbedding(width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.norm = layer_norm(width)

    def forward(self, x: Tensor) -> list[Tensor]:
        """float32 (N, 3, H, W), H and W multiples of 14 -> for each tap (N, width, H / 14, W / 14)."""
        patches = self.patch_embed(x)
        rows, columns = patches.shape[-2:]
        tokens = patches.flatten(2).transpose(1, 2) + self._patch_positions(rows, columns)
        first = (self.cls_token + self.pos_embed[:, :1]).expand(x.shape[0], -1, -1)
        tokens = torch.cat((first, tokens), dim=1)
        features = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in self._taps:
                features.append(self.norm(tokens)[:, 1:].transpose(1, 2).reshape(patches.shape))
        return features

    def _patch_positions(self, rows: int, columns: int) -> Tensor:
        """The position embedding, resized as `F.interpolate` does it: (1, rows * columns, width)."""
        # Officially 0.1 is added to both numbers of patches, except at the trained size, which is not resized.
        added = (rows != _GRID) | (columns != _GRID)
        grid = self.pos_embed[0, 1:].view(_GRID, -1)  # a row of patches in each
        vertical = _bicubic_matrix(rows, 10 * rows + added, grid.device).to(grid.dtype)
        horizontal = _bicubic_matrix(columns, 10 * columns + added, grid.device).to(grid.dtype)
        stretched = (vertical @ grid).view(-1, _GRID, self.pos_embed.shape[-1])
        positions: Tensor = horizontal @ stretched
        return positions.flatten(0, 1).unsqueeze(0)


class PatchEmbedding(nn.Module):
    """(N, 3, H, W) -> (N, width, H / 14, W / 14)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=PATCH, stride=PATCH)

    def forward(self, x: Tensor) -> Tensor:
        patches: Tensor = self.proj(x)
        return patches


class Block(nn.Module):
    """One block of the transformer, (N, tokens, width) -> (N, tokens, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = layer_norm(width)
        self.attn = Attention(width, heads)
        self.ls1 = LayerScale(width)
        self.norm2 = layer_norm(width)
        self.mlp = Mlp(width)
        self.ls2 = LayerScale(width)

    def forward(self, x: Tensor) -> Tensor:
        attended: Tensor = x + self.ls1(self.attn(self.norm1(x)))
        mixed: Tensor = attended + self.ls2(self.mlp(self.norm2(attended)))
        return mixed


class LayerScale(nn.Module):
    """A factor for each channel. Touvron et al., "Going deeper with Image Transformers", ICCV 2021."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


def _bicubic_matrix(size: int, stretched: int, device: torch.device) -> Tensor:
    """Weights of the 37 trained rows (or columns) in each resized one: float32 (size, 37).

    The trained rows are stretched over `stretched` tenths of a row. The only rounding is that of the division, in a
    trace, which has both as tensors, as in Python.
    """
    centres = (torch.arange(size, dtype=torch.float32, device=device) + 0.5) * (10 * _GRID) / stretched - 0.5
    first = centres.floor()
    taps = torch.arange(-1, 3, dtype=torch.float32, device=device)
    weights = _bicubic_kernel((centres - first).unsqueeze(1) - taps)
    trained = (first.unsqueeze(1) + taps).clamp(0, _GRID - 1)
    chosen = trained.unsqueeze(2) == torch.arange(_GRID, dtype=torch.float32, device=device)
    return (weights.unsqueeze(2) * chosen).sum(1)


def _bicubic_kernel(distance: Tensor) -> Tensor:
    """Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981, for distances up to 2."""
    x = distance.abs()
    near = ((_CUBIC + 2) * x - (_CUBIC + 3)) * x * x + 1
    far = ((_CUBIC * x - 5 * _CUBIC) * x + 8 * _CUBIC) * x - 4 * _CUBIC
    return torch.where(x <= 1, near, far)
