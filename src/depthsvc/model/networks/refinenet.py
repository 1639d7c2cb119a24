"""The decoder's blocks that MiDaS, DPT and their descendants share: RefineNet with residual convolutions.

Lin et al., "RefineNet", CVPR 2017, as Ranftl et al. use it. Attribute names match the official checkpoints.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def conv3x3(inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv2d:
    """A convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=bias)


class ResidualConvUnit(nn.Module):
    """x + conv(relu(conv(relu(x)))), (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(width, width)
        self.conv2 = conv3x3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.conv2(F.relu(self.conv1(F.relu(x))))
        return residual + x


class FeatureFusionBlock(nn.Module):
    """One step of the decoder: merge the coarser path with this stride's features and enlarge the result."""

    def __init__(self, width: int, out_width: int) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(width, out_width, kernel_size=1)
        self.resConfUnit1 = ResidualConvUnit(width)
        self.resConfUnit2 = ResidualConvUnit(width)

    def forward(self, path: Tensor, skip: Tensor | None = None, like: Tensor | None = None) -> Tensor:
        """`path` and `skip`, both (N, width, H, W) -> (N, out_width, h, w): as large as `like`, or twice H and W."""
        if skip is not None:
            path = path + self.resConfUnit1(skip)
        # Bilinear weights sum to 1, so a 1x1 convolution gives the same result before the upsampling as after it,
        # where the official code has it, at a quarter of the cost.
        path = self.out_conv(self.resConfUnit2(path))
        if like is None:
            return F.interpolate(path, scale_factor=2.0, mode="bilinear", align_corners=True)
        return F.interpolate(path, size=like.shape[-2:], mode="bilinear", align_corners=True)
