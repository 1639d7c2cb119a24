"""The large convolutional MiDaS network: a ResNeXt encoder, a RefineNet decoder and a small head for inverse depth.

Ranftl et al., "Towards Robust Monocular Depth Estimation: Mixing Datasets for Zero-shot Cross-dataset Transfer",
TPAMI 2022, in version 2.1. Attribute names match the official checkpoint.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depthsvc.model.architecture import Architecture, MidasV21Architecture, ResNetEncoder
from depthsvc.model.networks.base import Network
from depthsvc.model.networks.refinenet import conv3x3
from depthsvc.model.networks.resnet import WIDTHS, ResNet


class Encoder(nn.Module):
    """A ResNet whose stem is a part of its first stage."""

    def __init__(self, encoder: ResNetEncoder) -> None:
        super().__init__()
        network = ResNet(encoder)
        self.layer1 = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool, network.layer1)
        self.layer2 = network.layer2
        self.layer3 = network.layer3
        self.layer4 = network.layer4

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features of x, float32 (N, 3, H, W) with H and W multiples of 32, at strides 4, 8, 16 and 32."""
        stride4 = self.layer1(x)
        stride8 = self.layer2(stride4)
        stride16 = self.layer3(stride8)
        stride32 = self.layer4(stride16)
        return stride4, stride8, stride16, stride32


class ResidualConvUnit(nn.Module):
    """relu(x) + conv(relu(conv(relu(x)))), (N, C, H, W) -> (N, C, H, W).

    The official unit rectifies x in place before it adds it, so the weights were trained with a rectified shortcut.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(width, width)
        self.conv2 = conv3x3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        residual: Tensor = self.conv2(F.relu(self.conv1(x), inplace=True))
        return residual + x


class FeatureFusionBlock(nn.Module):
    """One step of the decoder: merge the coarser path with this stride's features and double the size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.resConfUnit1 = ResidualConvUnit(width)
        self.resConfUnit2 = ResidualConvUnit(width)

    def forward(self, path: Tensor, skip: Tensor | None = None) -> Tensor:
        """`path` and `skip`, both (N, width, H, W) -> (N, width, 2 H, 2 W)."""
        if skip is not None:
            path = path + self.resConfUnit1(skip)
        return F.interpolate(self.resConfUnit2(path), scale_factor=2.0, mode="bilinear", align_corners=True)


class Decoder(nn.Module):
    """RefineNet over the encoder's features; returns one channel of unbounded inverse depth."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer1_rn = conv3x3(WIDTHS[0], width, bias=False)
        self.layer2_rn = conv3x3(WIDTHS[1], width, bias=False)
        self.layer3_rn = conv3x3(WIDTHS[2], width, bias=False)
        self.layer4_rn = conv3x3(WIDTHS[3], width, bias=False)
        self.refinenet4 = FeatureFusionBlock(width)
        self.refinenet3 = FeatureFusionBlock(width)
        self.refinenet2 = FeatureFusionBlock(width)
        self.refinenet1 = FeatureFusionBlock(width)
        self.output_conv = nn.Sequential(
            conv3x3(width, width // 2),
            nn.Upsample(scale_factor=2.0, mode="bilinear"),
            conv3x3(width // 2, 32),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 1, kernel_size=1),
        )

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Features at strides 4, 8, 16 and 32 of an (H, W) input -> (N, 1, H, W)."""
        stride4, stride8, stride16, stride32 = features
        path: Tensor = self.refinenet4(self.layer4_rn(stride32))
        path = self.refinenet3(path, self.layer3_rn(stride16))
        path = self.refinenet2(path, self.layer2_rn(stride8))
        path = self.refinenet1(path, self.layer1_rn(stride4))
        depth: Tensor = self.output_conv(path)
        return depth


class MidasV21Network(Network):
    """Relative inverse depth of normalised photos: larger is nearer, scale and shift are unknown."""

    def __init__(self, architecture: MidasV21Architecture) -> None:
        super().__init__()
        self.pretrained = Encoder(architecture.encoder)
        self.scratch = Decoder(architecture.width)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 3, H, W), H and W multiples of 32 -> float32 (N, H, W), >= 0."""
        x = x.contiguous(memory_format=torch.channels_last)
        return F.relu(self.scratch(self.pretrained(x))).squeeze(1)

    def for_inference(self) -> nn.Module:
        """A copy with channels-last weights.

        On a CPU pooling and upsampling are 4 to 10 times as fast in this layout, and with weights in it too the
        convolutions of small maps need not rearrange them for each photo.
        """
        return copy.deepcopy(self).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def build(architecture: Architecture) -> MidasV21Network:
    """The network of a `MidasV21Architecture`, with random weights."""
    assert isinstance(architecture, MidasV21Architecture)
    return MidasV21Network(architecture)
