"""Descriptions of networks, without building them. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class Architecture:
    """One network of a family. Each family is a subclass with the parameters of its networks."""

    family: ClassVar[str]
    """Module of `depthsvc.model.networks` whose `build` makes the network."""
    ignored_keys: ClassVar[tuple[str, ...]] = ()
    """Ends of keys that published checkpoints have and the network does not need."""
    name: str


@dataclass(frozen=True)
class MidasArchitecture(Architecture):
    """A convolutional encoder, a decoder's widths and a head, as in MiDaS v2.1 small."""

    family = "midas"
    encoder: str
    """timm's name of the encoder."""
    decoder_widths: tuple[int, int, int, int]
    """Channels of the decoder at strides 4, 8, 16 and 32."""
    skip_width: int | None = None
    """None: the head convolves at the input's resolution, as in MiDaS. A number: the decoder continues with this many
    channels at stride 2 and adds the encoder's features there, and its head expands each pixel of that grid to four of
    the input's, at about a quarter of the cost."""
    encoder_options: dict[str, Any] = field(default_factory=dict, hash=False)
    """Further arguments of timm's create_model."""


MIDAS_SMALL = MidasArchitecture("midas_small", "tf_efficientnet_lite3", (64, 128, 256, 512))
COMPACT = MidasArchitecture(
    "compact",
    "mobilenetv2_100",
    (48, 64, 96, 96),
    skip_width=32,
    encoder_options={"pad_type": "same"},
)


@dataclass(frozen=True)
class ResNetEncoder:
    """A ResNet or ResNeXt with bottleneck blocks."""

    blocks: tuple[int, int, int, int]
    """Blocks at strides 4, 8, 16 and 32."""
    groups: int = 1
    """Groups of each block's 3x3 convolution."""
    group_width: int = 64
    """Channels of one group at stride 4; twice as many at each further stride."""


RESNET50 = ResNetEncoder((3, 4, 6, 3))
RESNEXT101_32X8D = ResNetEncoder((3, 4, 23, 3), groups=32, group_width=8)


@dataclass(frozen=True)
class MidasV21Architecture(Architecture):
    """A ResNet encoder and a RefineNet decoder of one width, as in MiDaS v2.1."""

    family = "midas_v21"
    encoder: ResNetEncoder
    width: int
    """Channels of the decoder."""


@dataclass(frozen=True)
class LeresArchitecture(Architecture):
    """A ResNet encoder with the decoder of LeReS."""

    family = "leres"
    encoder: ResNetEncoder
    width: int
    """Channels of the decoder; twice as many at stride 32."""


MIDAS_V21_384 = MidasV21Architecture("midas_v21_384", RESNEXT101_32X8D, width=256)
LERES_RES50 = LeresArchitecture("leres_res50", RESNET50, width=256)
LERES_RES101 = LeresArchitecture("leres_res101", RESNEXT101_32X8D, width=256)
