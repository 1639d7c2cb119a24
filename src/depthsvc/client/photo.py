"""Whatever a caller has a photo in, as the bytes of a file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from depthsvc.imaging.encode import photo_file
from depthsvc.imaging.photo.decode import photo_of_array, photo_of_image


class ReadablePhoto(Protocol):
    """A binary file that is open for reading."""

    def read(self) -> bytes: ...


PhotoSource = str | PathLike[str] | bytes | bytearray | memoryview | Image.Image | NDArray[np.uint8] | ReadablePhoto
"""A path, the bytes of a JPEG, PNG or WebP file, an open binary file, a Pillow image, or an upright uint8 array: RGB
(h, w, 3) or grey (h, w). Images and arrays travel as PNG, and from 2 megapixels on as JPEG of quality 95, because a
service takes 10 MB."""


def photo_bytes(photo: PhotoSource) -> bytes:
    if isinstance(photo, (bytes, bytearray, memoryview)):
        return bytes(photo)
    if isinstance(photo, Image.Image):
        return photo_file(photo_of_image(photo).pixels)
    if isinstance(photo, np.ndarray):
        return photo_file(photo_of_array(photo).pixels)
    if isinstance(photo, (str, PathLike)):
        return Path(photo).read_bytes()
    data = photo.read()
    if not isinstance(data, bytes):
        raise TypeError('A photo must be opened in binary mode: open(path, "rb").')
    return data
