"""What distinguishes one network of the MiDaS family from another. Knows no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Architecture:
    """An encoder, a decoder's widths and a head; `DepthNetwork` builds it."""

    name: str
    encoder: str
    """timm's name of the encoder."""
    decoder_widths: tuple[int, int, int, int]
    """Channels of the decoder at strides 4, 8, 16 and 32."""
    full_resolution_head: bool
    """True: convolve at the input's resolution, as MiDaS does. False: add a skip connection at stride 2,
    convolve there and upsample the one channel of depth, at about a quarter of the cost."""
    encoder_options: dict[str, Any] = field(default_factory=dict, hash=False)
    """Further arguments of timm's create_model."""


MIDAS_SMALL = Architecture("midas_small", "tf_efficientnet_lite3", (64, 128, 256, 512), full_resolution_head=True)
COMPACT = Architecture(
    "compact",
    "mobilenetv2_100",
    (48, 48, 48, 48),
    full_resolution_head=False,
    encoder_options={"pad_type": "same"},
)
