"""Dense prediction transformers: a vision transformer's tokens, reassembled to maps, and MiDaS's RefineNet decoder.

Ranftl et al., "Vision Transformers for Dense Prediction", ICCV 2021; with BEiT as the encoder, Birkl et al., "MiDaS
v3.1", 2023. Attribute names match the official checkpoints, so that their state dicts load key for key.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depthsvc.model.architecture import Architecture, DptArchitecture, DptEncoder
from depthsvc.model.networks.base import Network
from depthsvc.model.networks.beit import Beit
from depthsvc.model.networks.refinenet import FeatureFusionBlock, conv3x3
from depthsvc.model.networks.resnet_hybrid import with_standardized_weights
from depthsvc.model.networks.vit import VisionTransformer


class Readout(nn.Module):
    """Adds what the class token knows to every patch, (N, 1 + T, C) -> (N, T, C)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(2 * width, width), nn.GELU())

    def forward(self, tokens: Tensor) -> Tensor:
        linear, activation = self.project
        assert isinstance(linear, nn.Linear)
        # The official code repeats the class token beside each patch. It is the same for all, so once is enough.
        for_patches, for_class = linear.weight.chunk(2, 1)
        from_class = F.linear(tokens[:, :1], for_class, linear.bias)
        projected: Tensor = activation(F.linear(tokens[:, 1:], for_patches) + from_class)
        return projected


class Reassemble(nn.Sequential):
    """Tokens (N, 1 + h * w, C) -> a map (N, width, h', w') at the stride of one level of the decoder."""

    def __init__(self, inputs: int, width: int, resample: nn.Module) -> None:
        # Officially 1 and 2 turn the tokens into a map, whose size `forward` has to be told instead.
        super().__init__(
            Readout(inputs), nn.Identity(), nn.Identity(), nn.Conv2d(inputs, width, kernel_size=1), resample
        )

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:  # type: ignore[override]
        patches: Tensor = self[0](tokens).transpose(1, 2)
        grid = patches.reshape(patches.shape[0], patches.shape[1], height, width)
        level: Tensor = self[4](self[3](grid))
        return level


class Encoder(nn.Module):
    """A transformer and what makes four maps of it, at strides 4, 8, 16 and 32."""

    def __init__(self, architecture: DptArchitecture) -> None:
        super().__init__()
        self.model = _transformer(architecture)
        width, widths = architecture.width, architecture.level_widths
        if architecture.encoder is not DptEncoder.HYBRID:
            for number, factor in ((1, 4), (2, 2)):
                level = widths[number - 1]
                enlarge = nn.ConvTranspose2d(level, level, factor, factor)
                self.add_module(f"act_postprocess{number}", Reassemble(width, level, enlarge))
        self.act_postprocess3 = Reassemble(width, widths[2], nn.Identity())
        reduce = nn.Conv2d(widths[3], widths[3], kernel_size=3, stride=2, padding=1)
        self.act_postprocess4 = Reassemble(width, widths[3], reduce)

    def forward(self, x: Tensor) -> list[Tensor]:
        """float32 (N, 3, H, W) -> four maps, finest first."""
        tapped = self.model(x)
        levels = list(tapped.maps)
        for tokens in tapped.tokens:
            reassemble = getattr(self, f"act_postprocess{len(levels) + 1}")
            levels.append(reassemble(tokens, *tapped.grid))
        return levels


def _transformer(architecture: DptArchitecture) -> nn.Module:
    return Beit(architecture) if architecture.encoder is DptEncoder.BEIT else VisionTransformer(architecture)


class Decoded(NamedTuple):
    """The decoder's maps, which metric heads read as well."""

    bottleneck: Tensor
    """(N, C, H / 32, W / 32)."""
    paths: tuple[Tensor, Tensor, Tensor, Tensor]
    """(N, C, ...) at strides 16, 8, 4 and 2."""
    features: Tensor
    """(N, 32, H, W), from which the last convolution makes depth."""


class Decoder(nn.Module):
    """RefineNet over four maps, and the head."""

    def __init__(self, architecture: DptArchitecture) -> None:
        super().__init__()
        widths, width = architecture.level_widths, architecture.decoder_width
        self.layer1_rn = conv3x3(widths[0], width, bias=False)
        self.layer2_rn = conv3x3(widths[1], width, bias=False)
        self.layer3_rn = conv3x3(widths[2], width, bias=False)
        self.layer4_rn = conv3x3(widths[3], width, bias=False)
        self.refinenet1 = FeatureFusionBlock(width, width)
        self.refinenet2 = FeatureFusionBlock(width, width)
        self.refinenet3 = FeatureFusionBlock(width, width)
        self.refinenet4 = FeatureFusionBlock(width, width)
        self.output_conv = nn.Sequential(
            conv3x3(width, width // 2),
            nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True),
            conv3x3(width // 2, 32),
            nn.ReLU(),
            nn.Conv2d(32, 1, kernel_size=1),
        )

    def forward(self, levels: list[Tensor]) -> Decoded:
        """Maps at strides 4, 8, 16 and 32 -> everything but the last convolution."""
        level1 = self.layer1_rn(levels[0])
        level2 = self.layer2_rn(levels[1])
        level3 = self.layer3_rn(levels[2])
        level4 = self.layer4_rn(levels[3])
        path4 = self.refinenet4(level4, like=level3)
        path3 = self.refinenet3(path4, level3, like=level2)
        path2 = self.refinenet2(path3, level2, like=level1)
        path1 = self.refinenet1(path2, level1)
        return Decoded(level4, (path4, path3, path2, path1), self.output_conv[:-1](path1))

    def inverse_depth(self, decoded: Decoded) -> Tensor:
        """The map (N, 1, H, W), >= 0."""
        return F.relu(self.output_conv[-1](decoded.features))


class DptNetwork(Network):
    """Relative inverse depth of normalised photos: larger is nearer, scale and shift are unknown."""

    def __init__(self, architecture: DptArchitecture) -> None:
        super().__init__()
        self.pretrained = Encoder(architecture)
        self.scratch = Decoder(architecture)

    def decode(self, x: Tensor) -> Decoded:
        """float32 (N, 3, H, W), H and W multiples of 32 -> the decoder's maps."""
        decoded: Decoded = self.scratch(self.pretrained(x.contiguous(memory_format=torch.channels_last)))
        return decoded

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 3, H, W), H and W multiples of 32 -> float32 (N, H, W), >= 0."""
        return self.scratch.inverse_depth(self.decode(x)).squeeze(1)

    def for_inference(self) -> nn.Module:
        """The same network; filters of the hybrid are standardised once. All other weights are shared."""
        return with_standardized_weights(self)


def build(architecture: Architecture) -> DptNetwork:
    """The network of a `DptArchitecture`, with random weights."""
    assert isinstance(architecture, DptArchitecture)
    return DptNetwork(architecture)
