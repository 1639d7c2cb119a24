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
