"""Colour profiles: pixels as sRGB, where a photo's colours are shown.

The network gets pixels as they are stored, as in MiDaS.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from depthsvc.imaging.blocks import row_ranges
from depthsvc.imaging.icc import description_of, plain, space_of

_MOST_BYTES = 1 << 17
"""Of a profile that a picture keeps. Those of cameras have a hundredth of this."""
_MODES = {b"RGB ": "RGB", b"GRAY": "L"}
"""Pillow's name for the pixels of a profile's colour space. Those of a grey photo are the same in all channels."""


def in_srgb(pixels: NDArray[np.uint8], profile: bytes | None) -> NDArray[np.uint8]:
    """Pixels, RGB (h, w, 3), of an ICC profile as sRGB. A profile that cannot be used counts as sRGB."""
    found = _transform(profile) if profile else None
    if found is None:
        return pixels
    transform, mode = found
    height, width = pixels.shape[:2]
    converted = np.empty(pixels.shape, np.uint8)
    for top, bottom in row_ranges(height, width):
        rows = pixels[top:bottom] if mode == "RGB" else pixels[top:bottom, :, 0]
        block = ImageCms.applyTransform(Image.fromarray(np.ascontiguousarray(rows)), transform)
        converted[top:bottom] = np.asarray(block)
    return converted


def keepable(profile: bytes | None) -> bytes | None:
    """What a picture keeps of an ICC profile if its RGB pixels stay as they are; None: they have to be sRGB.

    It is as plain as what is used here: a profile may harm who reads it.
    """
    if not profile or space_of(profile) != b"RGB " or not (is_srgb(profile) or _transform(profile)):
        return None
    kept = plain(profile, named=True)
    return kept if len(kept) <= _MOST_BYTES else None


def is_srgb(profile: bytes | None) -> bool:
    """Whether a profile's pixels are sRGB, as they are without one."""
    return profile is None or description_of(profile).startswith("sRGB")


@lru_cache(maxsize=4)
def _transform(profile: bytes) -> tuple[ImageCms.ImageCmsTransform, str] | None:
    """From a profile to sRGB, and the mode of what it takes; None if that is the same, or it cannot be used."""
    mode = _MODES.get(space_of(profile))
    if mode is None or is_srgb(profile):
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(plain(profile)))
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB"), mode
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None
