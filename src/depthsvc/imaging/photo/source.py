"""A photo in whatever form a caller has it, to pixels or to the bytes of a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from depthsvc.imaging.encode import photo_file
from depthsvc.imaging.photo.decode import photo_of_array, photo_of_image
from depthsvc.imaging.photo.pixels import Photo


class ReadablePhoto(Protocol):
    """A binary file open for reading."""

    def read(self) -> bytes: ...


PhotoSource = str | PathLike[str] | bytes | bytearray | memoryview | Image.Image | NDArray[np.uint8] | ReadablePhoto
"""A path, the bytes of a photo file, an open binary file, a Pillow image, or an upright uint8 array: RGB (h, w, 3) or
grey (h, w)."""


def open_photo(photo: PhotoSource, decode: Callable[[bytes], Photo]) -> Photo:
    """The photo; `decode` decodes it if it is a file. Raises RequestError, OSError, and TypeError for anything else."""
    pixels = _without_file(photo)
    return decode(_file_bytes(photo)) if pixels is None else pixels


def as_file(photo: PhotoSource) -> bytes:
    """The photo as the bytes of a file, for sending to a service. Raises as `open_photo` does.

    Images and arrays become PNG, or JPEG of quality 95 above 2 megapixels, to send fewer bytes.
    """
    pixels = _without_file(photo)
    return _file_bytes(photo) if pixels is None else photo_file(pixels.pixels)


def _without_file(photo: PhotoSource) -> Photo | None:
    """A photo that is already pixels; None for any other."""
    if isinstance(photo, Image.Image):
        return photo_of_image(photo)
    if isinstance(photo, np.ndarray):
        return photo_of_array(photo)
    return None


def _file_bytes(photo: PhotoSource) -> bytes:
    if isinstance(photo, (bytes, bytearray, memoryview)):
        return bytes(photo)
    if isinstance(photo, (str, PathLike)):
        return Path(photo).read_bytes()
    read = getattr(photo, "read", None)
    if isinstance(photo, io.TextIOBase):
        raise TypeError('A photo must be opened in binary mode: open(path, "rb").')
    if read is None:
        kind = type(photo).__name__
        raise TypeError(f"A photo is a path, bytes, an open file, an array or a Pillow image, not {kind}.")
    data = read()
    if not isinstance(data, bytes):
        raise TypeError('A photo must be opened in binary mode: open(path, "rb").')
    return data
