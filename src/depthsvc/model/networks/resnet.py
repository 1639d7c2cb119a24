"""ResNet and ResNeXt encoders with bottleneck blocks, as torchvision has them.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, with the stride in a block's 3x3 convolution, and
Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017. Attribute names match
torchvision's, and so the official checkpoints of MiDaS and LeReS.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from depthsvc.model.architecture import ResNetEncoder

_STEM_WIDTH = 64
_EXPANSION = 4
"""Channels that a block returns for each channel of its stage's base width."""

WIDTHS = tuple(_STEM_WIDTH * _EXPANSION * 2**stage for stage in range(4))
"""Channels at strides 4, 8, 16 and 32."""


class Bottleneck(nn.Module):
    """relu(shortcut(x) + conv1x1(conv3x3(conv1x1(x)))), (N, C, H, W) -> (N, out, H / stride, W / stride)."""

    def __init__(self, inputs: int, width: int, outputs: int, *, groups: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, stride=stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if inputs != outputs or stride != 1:
            shortcut = nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        residual = F.relu(self.bn1(self.conv1(x)), inplace=True)
        residual = F.relu(self.bn2(self.conv2(residual)), inplace=True)
        residual = self.bn3(self.conv3(residual))
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(residual + shortcut, inplace=True)


class ResNet(nn.Module):
    """An encoder without its classifier."""

    def __init__(self, encoder: ResNetEncoder) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, _STEM_WIDTH, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM_WIDTH)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = _stage(encoder, 0)
        self.layer2 = _stage(encoder, 1)
        self.layer3 = _stage(encoder, 2)
        self.layer4 = _stage(encoder, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features of x, float32 (N, 3, H, W) with H and W multiples of 32, at strides 4, 8, 16 and 32."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        stride4 = self.layer1(x)
        stride8 = self.layer2(stride4)
        stride16 = self.layer3(stride8)
        stride32 = self.layer4(stride16)
        return stride4, stride8, stride16, stride32


def _stage(encoder: ResNetEncoder, stage: int) -> nn.Sequential:
    """The blocks at stride 4 * 2**stage. The first of them changes the width and, but at stride 4, halves the size."""
    inputs = WIDTHS[stage - 1] if stage else _STEM_WIDTH
    width = encoder.groups * encoder.group_width * 2**stage
    first = Bottleneck(inputs, width, WIDTHS[stage], groups=encoder.groups, stride=2 if stage else 1)
    further = (
        Bottleneck(WIDTHS[stage], width, WIDTHS[stage], groups=encoder.groups, stride=1)
        for _ in range(encoder.blocks[stage] - 1)
    )
    return nn.Sequential(first, *further)
