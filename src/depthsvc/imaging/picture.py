"""A picture file, as Python callers get heatmaps and refocused photos."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from depthsvc.errors import ConfigurationError
from depthsvc.imaging import encode

_ENCODERS = {".png": ("image/png", encode.rgb_png), ".jpg": ("image/jpeg", encode.jpeg)}
_SAME = {".jpeg": ".jpg"}


class Picture(bytes):
    """The bytes of a PNG or JPEG file, with methods to save and convert it."""

    _pixels: NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, data: bytes, pixels: NDArray[np.uint8] | None = None) -> Picture:
        """A picture from a file's bytes and, if available, the pixels that it was made from."""
        picture = cls(data)
        picture._pixels = pixels
        return picture

    @property
    def media_type(self) -> str:
        """image/png or image/jpeg."""
        return "image/png" if self.startswith(b"\x89PNG") else "image/jpeg"

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """RGB (height, width, 3)."""
        if self._pixels is None:
            with Image.open(io.BytesIO(self)) as image:
                self._pixels = np.asarray(image.convert("RGB"))
        return self._pixels

    def to_image(self) -> Image.Image:
        """A Pillow image, RGB."""
        return Image.fromarray(self.pixels)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a .png or .jpg file. Raises ConfigurationError for another extension, and OSError."""
        suffix = Path(path).suffix.lower()
        if (suffix := _SAME.get(suffix, suffix)) not in _ENCODERS:
            raise ConfigurationError(f"{path}: unknown extension. Save a picture as .png or .jpg.")
        media_type, encoder = _ENCODERS[suffix]
        Path(path).write_bytes(self if media_type == self.media_type else encoder(self.pixels))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, bytes]:
        """The picture, for notebooks."""
        return {self.media_type: bytes(self)}

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        return f"Picture({width} x {height}, {self.media_type})"

    __str__ = __repr__
