"""Vision transformers that are read at several depths.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; the hybrid takes its patches from a convolutional
network. Attribute names match timm's, which the official MiDaS checkpoints have.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depthsvc.model.architecture import DptArchitecture, DptEncoder
from depthsvc.model.networks.resnet_hybrid import HybridResNet

PATCH = 16
"""Sides of a patch, in pixels."""


class Tapped(NamedTuple):
    """What an encoder passes to the decoder, finest first."""

    maps: list[Tensor]
    """Convolutional features at strides 4, 8, ..., each (N, C, H, W); empty without a convolutional part."""
    tokens: list[Tensor]
    """Outputs of blocks, each (N, 1 + h * w, C), the class token first."""
    grid: tuple[int, int]
    """Patches on each side, (h, w)."""


class Attention(nn.Module):
    """Self-attention, (N, T, C) -> (N, T, C)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        attended: Tensor = self.proj(attend(self.qkv(x), self.heads))
        return attended


def attend(qkv: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
    """Attention of (N, T, 3 * C): queries, keys and values -> (N, T, C). `bias` is added to (N, heads, T, T) scores."""
    count, tokens, width = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    query, key, value = qkv.reshape(count, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
    attended = F.scaled_dot_product_attention(query, key, value, bias)
    return attended.transpose(1, 2).reshape(count, tokens, width)


class Mlp(nn.Module):
    """The two-layer perceptron of each token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return output


class Block(nn.Module):
    """A pre-norm transformer block, (N, T, C) -> (N, T, C)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = layer_norm(width)
        self.attn = Attention(width, heads)
        self.norm2 = layer_norm(width)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        output: Tensor = x + self.mlp(self.norm2(x))
        return output


def layer_norm(width: int) -> nn.LayerNorm:
    """Normalisation with the epsilon of vision transformers, which is not PyTorch's."""
    return nn.LayerNorm(width, eps=1e-6)


class PatchEmbedding(nn.Module):
    """(N, 3, H, W) -> (N, width, H / 16, W / 16)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The patches, and no convolutional features."""
        return self.proj(x), []


class HybridEmbedding(nn.Module):
    """Patches that are the features of a ResNet at stride 16."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.backbone = HybridResNet()
        self.proj = nn.Conv2d(self.backbone.widths[-1], width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The patches, and the features at strides 4 and 8."""
        *maps, last = self.backbone(x)
        return self.proj(last), maps


class VisionTransformer(nn.Module):
    """A ViT without its classifier, for any size that is a multiple of the patch (of 32 for the hybrid)."""

    def __init__(self, architecture: DptArchitecture) -> None:
        super().__init__()
        width, self._grid = architecture.width, architecture.grid
        self._taps = architecture.taps
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self._grid**2, width))
        self.patch_embed = (
            HybridEmbedding(width) if architecture.encoder is DptEncoder.HYBRID else PatchEmbedding(width)
        )
        self.blocks = nn.ModuleList(Block(width, architecture.heads) for _ in range(architecture.depth))

    def forward(self, x: Tensor) -> Tapped:
        """float32 (N, 3, H, W) -> the outputs of the tapped blocks."""
        patches, maps = self.patch_embed(x)
        height, width = patches.shape[-2:]
        x = with_class_token(patches, self.cls_token) + self._position(height, width)
        tokens = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self._taps:
                tokens.append(x)
        return Tapped(maps, tokens, (height, width))

    def _position(self, height: int, width: int) -> Tensor:
        """The position embedding for a grid, (1, 1 + height * width, C), resized as officially in MiDaS."""
        cls_position, positions = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        square = positions.reshape(1, self._grid, self._grid, -1).permute(0, 3, 1, 2)
        resized = F.interpolate(square, size=(height, width), mode="bilinear")
        return torch.cat((cls_position, resized.flatten(2).transpose(1, 2)), 1)


def with_class_token(patches: Tensor, cls_token: Tensor) -> Tensor:
    """Patches (N, C, h, w) as a sequence behind a class token, (N, 1 + h * w, C)."""
    sequence = patches.flatten(2).transpose(1, 2)
    return torch.cat((cls_token.expand(sequence.shape[0], -1, -1), sequence), 1)
