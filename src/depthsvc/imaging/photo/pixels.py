"""A decoded photo, and the limits on decoding."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from depthsvc.errors import TooManyPixels

Enough = Callable[[int, int], float]
"""From a photo's width and height in pixels, how many pixels of its shorter side must be decoded."""

MAX_SIDE = 65_535
"""Longest side in pixels: JPEG's limit; libpng's is a million."""


@dataclass(frozen=True)
class Photo:
    """A decoded photo, upright."""

    pixels: NDArray[np.uint8]
    """RGB (h, w, 3). A large JPEG may have been decoded at a half, a quarter or an eighth of its size."""
    width: int
    """Width of the whole photo in pixels, as a person sees it."""
    height: int
    """Height of the whole photo in pixels, as a person sees it."""
    opacity: NDArray[np.uint8] | None = None
    """(h, w) of `pixels`: 0 where nothing is seen, 255 where the photo is opaque; None: it is so everywhere. Where the
    photo is transparent, `pixels` are of a neutral ground."""
    profile: bytes | None = None
    """ICC profile of `pixels`; None: sRGB."""
    orientation: int = 1
    """EXIF orientation of the stored pixels, by which they have been turned."""
    fov: float | None = None
    """Angle in degrees that the longer side spans, if the file says it."""
    exif: bytes = b""
    """EXIF data as the file has them, from the header of their TIFF on; empty: none. Not checked."""

    def without_pixels(self) -> Photo:
        """The photo with only its width and height, so that the memory of its pixels can be freed."""
        return replace(self, pixels=np.empty((0, 0, 3), np.uint8), opacity=None)


def at_least(pixels: float) -> Enough:
    """So many pixels of the shorter side, whatever the photo's size."""
    return lambda width, height: pixels


ALL: Enough = at_least(math.inf)
NONE: Enough = at_least(0)


@dataclass(frozen=True)
class Bounds:
    """How much of a photo may, and must, be decoded."""

    max_pixels: int
    """Largest width times height, checked from the header."""
    enough: Enough = ALL
    check_time: Callable[[], None] = lambda: None
    """Called before each piece of a file is decoded. May raise TooExpensive."""

    def reduction(self, width: int, height: int) -> int:
        """The divisor of both sides, 1, 2, 4 or 8, at which such a photo may be decoded."""
        enough = self.enough(width, height)
        return next((divisor for divisor in (8, 4, 2) if min(width, height) >= enough * divisor), 1)

    def check(self, width: int, height: int) -> None:
        """Raises TooManyPixels. Call it with the header's width and height before decoding anything."""
        if max(width, height) > MAX_SIDE:
            raise TooManyPixels(f"The image is {width} x {height}; the limit is {MAX_SIDE} pixels a side. Resize it.")
        if width * height > self.max_pixels:
            raise self.too_many_pixels(f"{width} x {height} pixels")

    def too_many_pixels(self, found: str) -> TooManyPixels:
        message = f"The image has {found}; the limit is {self.max_pixels / 1e6:g} megapixels. Resize it."
        return TooManyPixels(message).limited_by("max_megapixels")


def upright(
    pixels: NDArray[np.uint8],
    size: tuple[int, int],
    orientation: int,
    *,
    opacity: NDArray[np.uint8] | None = None,
    profile: bytes | None = None,
    fov: float | None = None,
    exif: bytes = b"",
) -> Photo:
    """The photo as a person sees it, from stored pixels and the EXIF orientation, 1 to 8.

    `size`: width and height of the whole photo as stored. `opacity`, `profile`, `fov` and `exif`: as in `Photo`.
    """
    if opacity is not None:
        opacity = _turned(opacity, orientation)
    seen = size[::-1] if orientation >= 5 else size
    return Photo(_turned(pixels, orientation), *seen, opacity, profile, orientation, fov, exif)


def _turned(stored: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Rows and columns as a person sees them."""
    if orientation >= 5:
        stored = stored.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        stored = stored[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        stored = stored[::-1]
    return stored
