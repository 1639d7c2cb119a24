"""Raw pictures from a pipe: rows of RGB bytes, one picture after the other, without a header."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from depthsvc.video.library import too_many_pixels
from depthsvc.video.sequences import Pixels

_CHANNELS = 3


def raw_pictures(stream: BinaryIO, name: str, width: int, height: int, *, max_pixels: int) -> Iterator[Pixels | None]:
    """The pictures in a stream of rgb24, each width * height * 3 bytes; None for a part of one at its end.

    Raises TooManyPixels before anything is read.
    """
    if width * height > max_pixels:
        raise too_many_pixels(name, width, height, max_pixels)
    size = width * height * _CHANNELS
    while data := stream.read(size):
        if len(data) < size:
            yield None
            return
        yield np.frombuffer(data, np.uint8).reshape(height, width, _CHANNELS)
