"""The ResNet from whose features the hybrid vision transformer takes its patches.

ResNet-50 without its last stage, with group norms and standardised convolutions: Kolesnikov et al., "Big Transfer
(BiT)", ECCV 2020; Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021. Attribute names match timm's.

Padding is TensorFlow's SAME. For input sides that are multiples of 32 every stage sees even sides, for which it is
constant, so one trace is valid for all of them.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_STAGES = ((256, 3, 1), (512, 4, 2), (1024, 9, 2))
"""Channels, blocks and stride of each stage."""


class StandardizedConv2d(nn.Conv2d):
    """A convolution whose filters are normalised to mean 0 and variance 1 before they are used.

    Qiao et al., "Micro-Batch Training with Batch-Channel Normalization and Weight Standardization", 2019.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        total = max(kernel - stride, 0)
        before, after = total // 2, total - total // 2
        super().__init__(inputs, outputs, kernel, stride, padding=after, bias=False)
        self._padding = after
        self._surplus = after - before
        """Padding in front of the first row and column that SAME does not have."""

    def _final_weight(self) -> Tensor:
        """Standardised filters, with zeros where they meet surplus padding."""
        standardized = F.layer_norm(self.weight, self.weight.shape[1:], eps=1e-8)
        side = self.kernel_size[0] + self._surplus
        # The exporter to ONNX has to know the shape, which it forgets when padding.
        shape = (self.out_channels, self.in_channels, side, side)
        return F.pad(standardized, [self._surplus, 0, self._surplus, 0]).reshape(shape)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self._final_weight(), None, self.stride, self.padding)

    def standardized(self) -> nn.Conv2d:
        """The same function as a plain convolution."""
        weight = self._final_weight().detach()
        plain = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            weight.shape[2],
            self.stride[0],
            self._padding,
            bias=False,
            device="meta",
        )
        plain.weight = nn.Parameter(weight)
        return plain


def with_standardized_weights(network: nn.Module) -> nn.Module:
    """A copy of a network without `StandardizedConv2d`, that shares all other weights with it."""
    shared = {id(parameter): parameter for parameter in network.parameters()}
    network = copy.deepcopy(network, shared)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, StandardizedConv2d):
                setattr(module, name, child.standardized())
    return network


class _Normalized(nn.Module):
    """A convolution and its group norm, named as in timm's stem and downsampling."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = StandardizedConv2d(inputs, outputs, kernel, stride)
        self.norm = _GroupNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        normalized: Tensor = self.norm(self.conv(x))
        return normalized


class _GroupNorm(nn.GroupNorm):
    """Without PyTorch's look at the input's size, which a trace would hold for a constant."""

    def __init__(self, width: int) -> None:
        super().__init__(32, width)

    def forward(self, input: Tensor) -> Tensor:
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


class Bottleneck(nn.Module):
    """A residual block of three convolutions. The first of a stage changes stride and channels."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, is_first: bool) -> None:
        super().__init__()
        width = outputs // 4
        self.downsample = _Normalized(inputs, outputs, 1, stride) if is_first else nn.Identity()
        self.conv1 = StandardizedConv2d(inputs, width, 1)
        self.norm1 = _GroupNorm(width)
        self.conv2 = StandardizedConv2d(width, width, 3, stride)
        self.norm2 = _GroupNorm(width)
        self.conv3 = StandardizedConv2d(width, outputs, 1)
        self.norm3 = _GroupNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        residual = F.relu(self.norm1(self.conv1(x)))
        residual = F.relu(self.norm2(self.conv2(residual)))
        return F.relu(self.norm3(self.conv3(residual)) + self.downsample(x))


class _Stage(nn.Module):
    def __init__(self, inputs: int, outputs: int, count: int, stride: int) -> None:
        super().__init__()
        first = Bottleneck(inputs, outputs, stride, is_first=True)
        others = (Bottleneck(outputs, outputs, 1, is_first=False) for _ in range(count - 1))
        self.blocks = nn.Sequential(first, *others)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.blocks(x)
        return output


class HybridResNet(nn.Module):
    """Features at strides 4, 8 and 16, of `widths` channels."""

    widths = tuple(width for width, _, _ in _STAGES)

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Normalized(3, 64, 7, 2)
        inputs = (64, *self.widths[:-1])
        self.stages = nn.ModuleList(_Stage(width, *stage) for width, stage in zip(inputs, _STAGES, strict=True))

    def forward(self, x: Tensor) -> list[Tensor]:
        """float32 (N, 3, H, W), H and W multiples of 32 -> (N, C, H / 4, W / 4) and the coarser features."""
        # For even sides, windows that end outside of the map are those of SAME padding.
        x = F.max_pool2d(F.relu(self.stem(x)), kernel_size=3, stride=2, ceil_mode=True)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
