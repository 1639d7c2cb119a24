"""OpenEXR files of one float32 channel, compressed losslessly.

The format: openexr.com/en/latest/OpenEXRFileLayout.html. No decoder of it is in the packages that the service needs,
and one channel of scan lines takes little.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

MAGIC = struct.pack("<II", 20000630, 2)
"""Signature, and version 2 of the format: scan lines in one part."""
_LEVEL = 1
_LINES = 16
"""Scan lines that are compressed together with ZIP compression."""
_FLOAT, _ZIP, _INCREASING_Y = 2, 3, 0
_CENTRE = 128
"""Added to differences of bytes."""


def exr_file(values: NDArray[np.float32], channel: str, texts: Mapping[str, str]) -> bytes:
    """A file of values (h, w), with texts as attributes of the same names."""
    height, width = values.shape
    header = MAGIC + b"".join(_attributes(width, height, channel, texts)) + b"\0"
    blocks = [_block(values[top : top + _LINES], top) for top in range(0, height, _LINES)]
    start = len(header) + 8 * len(blocks)
    sizes = np.cumsum([0, *map(len, blocks[:-1])], dtype="<u8")
    return b"".join([header, (start + sizes).astype("<u8").tobytes(), *blocks])


def _attributes(width: int, height: int, channel: str, texts: Mapping[str, str]) -> Iterable[bytes]:
    window = struct.pack("<iiii", 0, 0, width - 1, height - 1)
    channels = channel.encode() + b"\0" + struct.pack("<iiii", _FLOAT, 0, 1, 1) + b"\0"
    yield _attribute("channels", "chlist", channels)
    yield _attribute("compression", "compression", bytes([_ZIP]))
    yield _attribute("dataWindow", "box2i", window)
    yield _attribute("displayWindow", "box2i", window)
    yield _attribute("lineOrder", "lineOrder", bytes([_INCREASING_Y]))
    yield _attribute("pixelAspectRatio", "float", struct.pack("<f", 1))
    yield _attribute("screenWindowCenter", "v2f", struct.pack("<ff", 0, 0))
    yield _attribute("screenWindowWidth", "float", struct.pack("<f", 1))
    for name, text in texts.items():
        yield _attribute(name, "string", text.encode())


def _attribute(name: str, kind: str, value: bytes) -> bytes:
    return b"%s\0%s\0%s%s" % (name.encode(), kind.encode(), struct.pack("<i", len(value)), value)


def _block(lines: NDArray[np.float32], top: int) -> bytes:
    """Lines with their number and size in front. What does not become smaller is stored as it is."""
    raw = np.ascontiguousarray(lines, "<f4").view(np.uint8).reshape(-1)
    split = np.concatenate([raw[::2], raw[1::2]])
    differences = split.copy()
    differences[1:] -= split[:-1]
    differences[1:] += np.uint8(_CENTRE)
    packed = isal_zlib.compress(differences, _LEVEL)
    if len(packed) >= len(raw):
        packed = raw.tobytes()
    return struct.pack("<ii", top, len(packed)) + packed
