"""The MiDaS network: a convolutional encoder, a RefineNet decoder and a small head for inverse depth.

Ranftl et al., "Towards Robust Monocular Depth Estimation: Mixing Datasets for Zero-shot Cross-dataset
Transfer", TPAMI 2022; the "small" variant is described at github.com/isl-org/MiDaS (v2.1). Attribute names
match the official checkpoints, so that their state dicts load key for key.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from depthsvc.model.architecture import Architecture, MidasArchitecture
from depthsvc.model.networks.base import Network
from depthsvc.model.networks.encoder import Encoder, without_padded_copies
from depthsvc.model.networks.refinenet import FeatureFusionBlock, conv3x3


class Decoder(nn.Module):
    """RefineNet over the encoder's features; returns one channel of unbounded inverse depth."""

    def __init__(self, architecture: MidasArchitecture, encoder_widths: tuple[int, ...]) -> None:
        super().__init__()
        width1, width2, width3, width4 = architecture.decoder_widths
        last_width = architecture.skip_width or width1
        self.layer1_rn = conv3x3(encoder_widths[1], width1, bias=False)
        self.layer2_rn = conv3x3(encoder_widths[2], width2, bias=False)
        self.layer3_rn = conv3x3(encoder_widths[3], width3, bias=False)
        self.layer4_rn = conv3x3(encoder_widths[4], width4, bias=False)
        self.refinenet4 = FeatureFusionBlock(width4, width3)
        self.refinenet3 = FeatureFusionBlock(width3, width2)
        self.refinenet2 = FeatureFusionBlock(width2, width1)
        self.refinenet1 = FeatureFusionBlock(width1, last_width)
        self.layer0_rn: nn.Module | None = None
        if architecture.skip_width is None:
            self.output_conv = self._full_resolution_head(width1)
        else:
            self.layer0_rn = conv3x3(encoder_widths[0], last_width, bias=False)
            self.output_conv = self._subpixel_head(last_width)

    @staticmethod
    def _full_resolution_head(width: int) -> nn.Sequential:
        return nn.Sequential(
            conv3x3(width, width // 2),
            nn.Upsample(scale_factor=2.0, mode="bilinear"),
            conv3x3(width // 2, 32),
            nn.ReLU(),
            nn.Conv2d(32, 1, kernel_size=1),
        )

    @staticmethod
    def _subpixel_head(width: int) -> nn.Sequential:
        """Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel CNN", 2016."""
        return nn.Sequential(
            conv3x3(width, 24),
            nn.ReLU(),
            conv3x3(24, 16),
            nn.ReLU(),
            nn.Conv2d(16, 4, kernel_size=1),
            nn.PixelShuffle(2),
        )

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Features at strides 2, 4, 8, 16, 32 of an (H, W) input -> (N, 1, H, W)."""
        path: Tensor = self.refinenet4(self.layer4_rn(features[4]))
        path = self.refinenet3(path, self.layer3_rn(features[3]))
        path = self.refinenet2(path, self.layer2_rn(features[2]))
        path = self.refinenet1(path, self.layer1_rn(features[1]))
        if self.layer0_rn is not None:
            path = path + self.layer0_rn(features[0])
        depth: Tensor = self.output_conv(path)
        return depth


class Stretch(nn.Module):
    """x + share * x ** 2.

    A network that is unsure keeps to the middle: the nearest things of its maps are too little ahead of the rest.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x * (x * self.share + 1)


class DepthNetwork(Network):
    """Relative inverse depth of normalised photos: larger is nearer, scale and shift are unknown."""

    def __init__(self, architecture: MidasArchitecture) -> None:
        super().__init__()
        self.pretrained = Encoder(architecture.encoder, **architecture.encoder_options)
        self.scratch = Decoder(architecture, self.pretrained.widths)
        stretched = [Stretch(architecture.stretch)] if architecture.stretch else []
        self.output_activation: nn.Module = nn.Sequential(nn.ReLU(), *stretched)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 3, H, W), H and W multiples of 32 -> float32 (N, H, W), >= 0."""
        x = x.contiguous(memory_format=torch.channels_last)
        depth: Tensor = self.output_activation(self.scratch(self.pretrained(x)))
        return depth.squeeze(1)

    def for_inference(self) -> nn.Module:
        """A copy with channels-last weights and features, and without padded copies of features.

        On a CPU the layout saves a fifth of the time, and avoiding the copies 2 to 4 %.
        """
        return without_padded_copies(self).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def build(architecture: Architecture) -> DepthNetwork:
    """The network of a `MidasArchitecture`, with random weights."""
    assert isinstance(architecture, MidasArchitecture)
    return DepthNetwork(architecture)
