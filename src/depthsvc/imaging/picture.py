"""A picture file, as Python callers get heatmaps and refocused photos."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from depthsvc.errors import ConfigurationError, TooManyPixels
from depthsvc.imaging import encode
from depthsvc.imaging.profiles import in_srgb

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
        """RGB (height, width, 3), as sRGB."""
        if self._pixels is None:
            with Image.open(io.BytesIO(self)) as image:
                self._pixels = in_srgb(np.asarray(image.convert("RGB")), image.info.get("icc_profile"))
        return self._pixels

    def to_image(self) -> Image.Image:
        """A Pillow image, RGB, as sRGB and without metadata."""
        return Image.fromarray(self.pixels)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a .png or .jpg file. One of the other kind has no metadata.

        Raises ConfigurationError for another extension, TooManyPixels for a picture that no JPEG can hold, and OSError.
        """
        suffix = Path(path).suffix.lower()
        if (suffix := _SAME.get(suffix, suffix)) not in _ENCODERS:
            raise ConfigurationError(f"{path}: unknown extension. Save a picture as .png or .jpg.")
        media_type, encoder = _ENCODERS[suffix]
        if media_type == self.media_type:
            Path(path).write_bytes(self)
            return
        if encoder is encode.jpeg and max(self.pixels.shape) > encode.JPEG_MAX_SIDE:
            raise TooManyPixels(f"{path}: a JPEG has at most {encode.JPEG_MAX_SIDE} pixels a side. Save it as .png.")
        Path(path).write_bytes(encoder(self.pixels))

    def __reduce__(self) -> tuple[type[Picture], tuple[bytes]]:
        return Picture, (bytes(self),)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, bytes]:
        """The picture, for notebooks."""
        return {self.media_type: bytes(self)}

    def __repr__(self) -> str:
        try:
            with Image.open(io.BytesIO(self)) as image:
                width, height = image.size
        except OSError:
            return f"Picture({len(self)} bytes that are not a picture)"
        return f"Picture({width} x {height}, {self.media_type})"

    __str__ = __repr__
