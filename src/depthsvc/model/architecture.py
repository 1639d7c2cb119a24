"""Descriptions of networks, without building them. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
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
    stretch: float = 0.0
    """How much farther apart near things are moved than far ones: the output is x + `stretch` * x ** 2 instead of x."""
    encoder_options: dict[str, Any] = field(default_factory=dict, hash=False)
    """Further arguments of timm's create_model."""


MIDAS_SMALL = MidasArchitecture("midas_small", "tf_efficientnet_lite3", (64, 128, 256, 512))
COMPACT = MidasArchitecture(
    "compact",
    "mobilenetv2_100",
    (48, 64, 96, 96),
    skip_width=32,
    stretch=0.5,
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


@dataclass(frozen=True)
class DepthAnythingSize:
    """Widths and depths of the encoder, a vision transformer, and of the decoder."""

    width: int
    """Of a token."""
    blocks: int
    heads: int
    projected_widths: tuple[int, int, int, int]
    """Channels of the features at strides 3.5, 7, 14 and 28."""
    decoder_width: int


@dataclass(frozen=True)
class DepthAnythingArchitecture(Architecture):
    """A DINOv2 encoder and a DPT decoder, as in Depth Anything V1 and V2."""

    family = "depth_anything"
    size: DepthAnythingSize
    taps: tuple[int, int, int, int]
    """Blocks, from 0, after which the decoder takes the tokens."""
    max_depth: float | None = None
    """Metres of the farthest depth; None: the output is relative inverse depth."""


_VITS = DepthAnythingSize(384, 12, 6, (48, 96, 192, 384), 64)
_VITB = DepthAnythingSize(768, 12, 12, (96, 192, 384, 768), 128)
_VITL = DepthAnythingSize(1024, 24, 16, (256, 512, 1024, 1024), 256)
_LAST_OF_12, _LAST_OF_24 = (8, 9, 10, 11), (20, 21, 22, 23)
_SPREAD_OF_12, _SPREAD_OF_24 = (2, 5, 8, 11), (4, 11, 17, 23)
_INDOORS, _OUTDOORS = 20.0, 80.0

DEPTH_ANYTHING_VITS14 = DepthAnythingArchitecture("depth_anything_vits14", _VITS, _LAST_OF_12)
DEPTH_ANYTHING_VITB14 = DepthAnythingArchitecture("depth_anything_vitb14", _VITB, _LAST_OF_12)
DEPTH_ANYTHING_VITL14 = DepthAnythingArchitecture("depth_anything_vitl14", _VITL, _LAST_OF_24)
DEPTH_ANYTHING_V2_VITS = DepthAnythingArchitecture("depth_anything_v2_vits", _VITS, _SPREAD_OF_12)
DEPTH_ANYTHING_V2_VITB = DepthAnythingArchitecture("depth_anything_v2_vitb", _VITB, _SPREAD_OF_12)
DEPTH_ANYTHING_V2_VITL = DepthAnythingArchitecture("depth_anything_v2_vitl", _VITL, _SPREAD_OF_24)
DEPTH_ANYTHING_V2_METRIC_HYPERSIM_VITS = DepthAnythingArchitecture(
    "depth_anything_v2_metric_hypersim_vits", _VITS, _SPREAD_OF_12, _INDOORS
)
DEPTH_ANYTHING_V2_METRIC_HYPERSIM_VITB = DepthAnythingArchitecture(
    "depth_anything_v2_metric_hypersim_vitb", _VITB, _SPREAD_OF_12, _INDOORS
)
DEPTH_ANYTHING_V2_METRIC_HYPERSIM_VITL = DepthAnythingArchitecture(
    "depth_anything_v2_metric_hypersim_vitl", _VITL, _SPREAD_OF_24, _INDOORS
)
DEPTH_ANYTHING_V2_METRIC_VKITTI_VITS = DepthAnythingArchitecture(
    "depth_anything_v2_metric_vkitti_vits", _VITS, _SPREAD_OF_12, _OUTDOORS
)
DEPTH_ANYTHING_V2_METRIC_VKITTI_VITB = DepthAnythingArchitecture(
    "depth_anything_v2_metric_vkitti_vitb", _VITB, _SPREAD_OF_12, _OUTDOORS
)
DEPTH_ANYTHING_V2_METRIC_VKITTI_VITL = DepthAnythingArchitecture(
    "depth_anything_v2_metric_vkitti_vitl", _VITL, _SPREAD_OF_24, _OUTDOORS
)


class DptEncoder(Enum):
    """The encoders that DPT networks have."""

    VIT = auto()
    HYBRID = auto()
    """A ResNet, whose stages are the two finest levels, and a ViT over its features."""
    BEIT = auto()


@dataclass(frozen=True)
class DptArchitecture(Architecture):
    """A vision transformer that is read at several depths, and a convolutional decoder, as in MiDaS v3 and v3.1."""

    family = "dpt"
    ignored_keys = (
        "pretrained.model.norm.weight",
        "pretrained.model.norm.bias",
        "pretrained.model.fc_norm.weight",
        "pretrained.model.fc_norm.bias",
        "pretrained.model.head.weight",
        "pretrained.model.head.bias",
        "attn.relative_position_index",
    )
    encoder: DptEncoder
    width: int
    """Channels of a token."""
    heads: int
    depth: int
    """Number of blocks."""
    taps: tuple[int, ...]
    """Blocks, counted from 0, whose outputs are decoded."""
    level_widths: tuple[int, int, int, int]
    """Channels of what the decoder gets at strides 4, 8, 16 and 32."""
    grid: int
    """Patches on each side of the square to which the weights' positions belong."""
    decoder_width: int = 256
    """Channels of the decoder."""


_LARGE_WIDTHS = (256, 512, 1024, 1024)

DPT_LARGE = DptArchitecture("dpt_large_384", DptEncoder.VIT, 1024, 16, 24, (5, 11, 17, 23), _LARGE_WIDTHS, grid=24)
DPT_HYBRID = DptArchitecture("dpt_hybrid_384", DptEncoder.HYBRID, 768, 12, 12, (8, 11), (256, 512, 768, 768), grid=24)
DPT_BEIT_LARGE = DptArchitecture(
    "dpt_beit_large_512", DptEncoder.BEIT, 1024, 16, 24, (5, 11, 17, 23), _LARGE_WIDTHS, grid=32
)


@dataclass(frozen=True)
class ZoeArchitecture(Architecture):
    """Metric depth from the maps of a DPT network, as in ZoeDepth."""

    family = "zoe"
    ignored_keys = (
        *DptArchitecture.ignored_keys,
        "log_binomial_transform.k_idx",
        "log_binomial_transform.K_minus_1",
    )
    core: DptArchitecture
    attractors: tuple[int, int, int, int]
    """Points to which bins are drawn, at strides 16, 8, 4 and 2."""
    limits: tuple[float, float] | None = None
    """Metres between which bins lie. None: they have no limits."""
    is_routed: bool = False
    """Whether there is a head for indoor scenes and one for streets, and a router that chooses."""


_ZOE_CORE = DptArchitecture(
    "dpt_beit_large_384", DptEncoder.BEIT, 1024, 16, 24, (5, 11, 17, 23), _LARGE_WIDTHS, grid=24
)
ZOE_N = ZoeArchitecture("zoed_n", _ZOE_CORE, (16, 8, 4, 1))
ZOE_K = ZoeArchitecture("zoed_k", _ZOE_CORE, (16, 8, 4, 1), limits=(1e-3, 80.0))
ZOE_NK = ZoeArchitecture("zoed_nk", _ZOE_CORE, (16, 16, 16, 16), is_routed=True)
