"""The depth network of LeReS: a ResNet encoder and a decoder that merges its features by addition.

Yin et al., "Learning to Recover 3D Scene Shape from a Single Image", CVPR 2021; the decoder is that of Xian et al.,
"Monocular Relative Depth Perception with Web Stereo Data Supervision", CVPR 2018. Attribute names match the official
checkpoints.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depthsvc.model.architecture import Architecture, LeresArchitecture, ResNetEncoder
from depthsvc.model.networks.base import Network
from depthsvc.model.networks.refinenet import conv3x3
from depthsvc.model.networks.resnet import WIDTHS, ResNet


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)


class Encoder(nn.Module):
    """The level at which the official checkpoints name the encoder."""

    def __init__(self, encoder: ResNetEncoder) -> None:
        super().__init__()
        self.encoder = ResNet(encoder)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        features: tuple[Tensor, Tensor, Tensor, Tensor] = self.encoder(x)
        return features


class FeatureTransferBlock(nn.Module):
    """y = relu(conv(x)), then relu(y + conv(relu(conv(y)))), (N, inputs, H, W) -> (N, outputs, H, W).

    The official block rectifies y in place before it adds it, so the weights were trained with a rectified shortcut.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs)
        self.conv_branch = nn.Sequential(
            nn.Identity(),  # the official ReLU in place
            conv3x3(outputs, outputs),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            conv3x3(outputs, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x), inplace=True)
        return F.relu(x + self.conv_branch(x), inplace=True)


class FeatureFusionModule(nn.Module):
    """One step of the decoder: merge the coarser path with this stride's features and double the size."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.ftb1 = FeatureTransferBlock(inputs, width)
        self.ftb2 = FeatureTransferBlock(width, width)

    def forward(self, skip: Tensor, path: Tensor) -> Tensor:
        """`skip` (N, inputs, H, W) and `path` (N, width, H, W) -> (N, width, 2 H, 2 W)."""
        return _doubled(self.ftb2(self.ftb1(skip) + path))


class AdaptiveOutput(nn.Module):
    """(N, width, H, W) -> (N, 1, 2 H, 2 W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.adapt_conv = nn.Sequential(
            conv3x3(width, width // 2),
            nn.BatchNorm2d(width // 2),
            nn.ReLU(inplace=True),
            conv3x3(width // 2, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return _doubled(self.adapt_conv(x))


class Decoder(nn.Module):
    """From the encoder's features to one channel of depth."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = FeatureTransferBlock(WIDTHS[3], 2 * width)
        self.conv1 = conv3x3(2 * width, width)
        self.ffm2 = FeatureFusionModule(WIDTHS[2], width)
        self.ffm1 = FeatureFusionModule(WIDTHS[1], width)
        self.ffm0 = FeatureFusionModule(WIDTHS[0], width)
        self.outconv = AdaptiveOutput(width)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Features at strides 4, 8, 16 and 32 of an (H, W) input -> (N, 1, H, W)."""
        stride4, stride8, stride16, stride32 = features
        path = _doubled(self.conv1(self.conv(stride32)))
        path = self.ffm2(stride16, path)
        path = self.ffm1(stride8, path)
        path = self.ffm0(stride4, path)
        depth: Tensor = self.outconv(path)
        return depth


class LeresNetwork(Network):
    """Affine depth of normalised photos: larger is farther, scale and shift are unknown, and it can be negative."""

    def __init__(self, architecture: LeresArchitecture) -> None:
        super().__init__()
        self.encoder_modules = Encoder(architecture.encoder)
        self.decoder_modules = Decoder(architecture.width)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 3, H, W), H and W multiples of 32 -> float32 (N, H, W)."""
        x = x.contiguous(memory_format=torch.channels_last)
        depth: Tensor = self.decoder_modules(self.encoder_modules(x))
        return depth.squeeze(1)

    def for_inference(self) -> nn.Module:
        """A copy with channels-last weights.

        On a CPU pooling and upsampling are 4 to 10 times as fast in this layout, and with weights in it too the
        convolutions of small maps need not rearrange them for each photo.
        """
        return copy.deepcopy(self).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def build(architecture: Architecture) -> LeresNetwork:
    """The network of a `LeresArchitecture`, with random weights."""
    assert isinstance(architecture, LeresArchitecture)
    return LeresNetwork(architecture)
