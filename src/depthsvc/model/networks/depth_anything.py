"""Depth Anything V1 and V2, relative and metric: a DINOv2 encoder and a DPT decoder.

Yang et al., "Depth Anything", CVPR 2024, and "Depth Anything V2", NeurIPS 2024; the decoder is that of Ranftl et al.,
"Vision Transformers for Dense Prediction", ICCV 2021. Attribute names match the official checkpoints.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from depthsvc.model.architecture import Architecture, DepthAnythingArchitecture, DepthAnythingSize
from depthsvc.model.networks.base import Network
from depthsvc.model.networks.dinov2 import DinoV2
from depthsvc.model.networks.refinenet import FeatureFusionBlock, conv3x3


class DepthAnything(Network):
    """Relative inverse depth, with unknown scale and shift, or metres, of normalised photos."""

    def __init__(self, architecture: DepthAnythingArchitecture) -> None:
        super().__init__()
        size = architecture.size
        self._max_depth = architecture.max_depth
        self.pretrained = DinoV2(size.width, size.blocks, size.heads, architecture.taps)
        self.depth_head = Head(size)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 3, H, W), H and W multiples of 14 -> float32 (N, H, W), >= 0."""
        depth: Tensor = self.depth_head(self.pretrained(x), x).squeeze(1)
        return F.relu(depth) if self._max_depth is None else depth.sigmoid() * self._max_depth


class Head(nn.Module):
    """The decoder: features of the encoder as a pyramid, merged from its coarsest level on."""

    def __init__(self, size: DepthAnythingSize) -> None:
        super().__init__()
        widths = size.projected_widths
        self.projects = nn.ModuleList(nn.Conv2d(size.width, width, kernel_size=1) for width in widths)
        self.resize_layers = nn.ModuleList(
            (
                nn.ConvTranspose2d(widths[0], widths[0], kernel_size=4, stride=4),
                nn.ConvTranspose2d(widths[1], widths[1], kernel_size=2, stride=2),
                nn.Identity(),
                nn.Conv2d(widths[3], widths[3], kernel_size=3, stride=2, padding=1),
            )
        )
        self.scratch = Fusion(widths, size.decoder_width)

    def forward(self, features: list[Tensor], photo: Tensor) -> Tensor:
        """Four (N, C, H / 14, W / 14) of a (N, 3, H, W) photo -> (N, 1, H, W), unbounded."""
        pyramid = [
            resize(project(feature))
            for feature, project, resize in zip(features, self.projects, self.resize_layers, strict=True)
        ]
        depth: Tensor = self.scratch(pyramid, photo)
        return depth


class Fusion(nn.Module):
    """RefineNet over the pyramid, and the convolutions that give depth."""

    def __init__(self, widths: tuple[int, int, int, int], width: int) -> None:
        super().__init__()
        self.layer1_rn = conv3x3(widths[0], width, bias=False)
        self.layer2_rn = conv3x3(widths[1], width, bias=False)
        self.layer3_rn = conv3x3(widths[2], width, bias=False)
        self.layer4_rn = conv3x3(widths[3], width, bias=False)
        self.refinenet1 = FeatureFusionBlock(width, width)
        self.refinenet2 = FeatureFusionBlock(width, width)
        self.refinenet3 = FeatureFusionBlock(width, width)
        self.refinenet4 = FeatureFusionBlock(width, width)
        self.output_conv1 = conv3x3(width, width // 2)
        self.output_conv2 = nn.Sequential(conv3x3(width // 2, 32), nn.ReLU(), nn.Conv2d(32, 1, kernel_size=1))

    def forward(self, pyramid: list[Tensor], photo: Tensor) -> Tensor:
        """Features at strides 3.5, 7, 14 and 28 of a (N, 3, H, W) photo -> (N, 1, H, W)."""
        layer1 = self.layer1_rn(pyramid[0])
        layer2 = self.layer2_rn(pyramid[1])
        layer3 = self.layer3_rn(pyramid[2])
        path: Tensor = self.refinenet4(self.layer4_rn(pyramid[3]), like=layer3)
        path = self.refinenet3(path, layer3, like=layer2)
        path = self.refinenet2(path, layer2, like=layer1)
        path = self.output_conv1(self.refinenet1(path, layer1))
        path = F.interpolate(path, size=photo.shape[-2:], mode="bilinear", align_corners=True)
        depth: Tensor = self.output_conv2(path)
        return depth


def build(architecture: Architecture) -> DepthAnything:
    """The network of a `DepthAnythingArchitecture`, with random weights."""
    assert isinstance(architecture, DepthAnythingArchitecture)
    return DepthAnything(architecture)
