"""A decoded photo, and the limits on decoding."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from depthsvc.errors import TooManyPixels

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

    def without_pixels(self) -> Photo:
        """The photo with only its width and height, so that the memory of its pixels can be freed."""
        return replace(self, pixels=np.empty((0, 0, 3), np.uint8))


@dataclass(frozen=True)
class Bounds:
    """How much of a photo may, and must, be decoded."""

    max_pixels: int
    """Largest width times height, checked from the header."""
    enough: float = math.inf
    """A photo may be decoded at reduced size as long as its shorter side keeps this many pixels."""

    def check(self, width: int, height: int) -> None:
        """Raises TooManyPixels. Call it with the header's width and height before decoding anything."""
        if max(width, height) > MAX_SIDE:
            raise TooManyPixels(f"The image is {width} x {height}; the limit is {MAX_SIDE} pixels a side. Resize it.")
        if width * height > self.max_pixels:
            raise self.too_many_pixels(f"{width} x {height} pixels")

    def too_many_pixels(self, found: str) -> TooManyPixels:
        return TooManyPixels(f"The image has {found}; the limit is {self.max_pixels / 1e6:g} megapixels. Resize it.")


def upright(pixels: NDArray[np.uint8], size: tuple[int, int], orientation: int) -> Photo:
    """The photo as a person sees it, from stored pixels and the EXIF orientation, 1 to 8.

    `size`: width and height of the whole photo as stored.
    """
    if orientation >= 5:
        pixels, size = pixels.transpose(1, 0, 2), size[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return Photo(pixels, *size)
