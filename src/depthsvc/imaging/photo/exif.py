"""Single numbers from a photo's EXIF data.

Pillow reads all of an EXIF block for one of them: 65,000 entries take it seconds, and it copies the values of all of
them, which may be the same megabytes. Here one entry is read.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

_PREFIX = b"Exif\0\0"
_SHORT, _LONG = 3, 4
ENTRY_BYTES = 12
_CAMERA_DIRECTORY = 0x8769
_FOCAL_LENGTH_35MM = 0xA405
_DIAGONAL_35MM = math.hypot(36, 24)


def exif_of(info: Mapping[Any, Any]) -> bytes:
    """The EXIF block among a file's metadata, named as in Pillow's `Image.info`; empty if there is none.

    ImageMagick writes it as text into a PNG, in hexadecimal after three lines. Some programs write its prefix twice.
    """
    block, text = info.get("exif"), info.get("Raw profile type exif")
    if not isinstance(block, bytes):
        try:
            block = bytes.fromhex("".join(text.split("\n")[3:])) if isinstance(text, str) else b""
        except ValueError:
            return b""
    return block.removeprefix(_PREFIX).removeprefix(_PREFIX)


def number_in(exif: bytes, tag: int, *, directory: int | None = None) -> int | None:
    """A whole number in the first directory, or in one that an entry of it points at; None if there is none."""
    order = "<" if exif.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(f"{order}4xI", exif)
        if directory is not None:
            start = _number(exif, order, start, directory)
            if start is None:
                return None
        return _number(exif, order, start, tag)
    except struct.error:
        return None


def _number(exif: bytes, order: str, start: int, wanted: int) -> int | None:
    """The number of this tag in the directory at `start`. Raises struct.error if there is no directory."""
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    first = start + 2
    entries = exif[first : first + min(count, (len(exif) - first) // ENTRY_BYTES) * ENTRY_BYTES]
    for tag, kind, _, value in struct.iter_unpack(f"{order}HHI4s", entries):
        if tag == wanted and kind in (_SHORT, _LONG):
            return int(struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", value)[0])
    return None


def fov_of(info: Mapping[Any, Any], width: int, height: int) -> float | None:
    """The angle in degrees that the longer side of a photo of this size spans, by its EXIF data; None if unknown.

    EXIF gives the focal length that has the same diagonal angle with a frame of 36 x 24 mm.
    """
    focal_mm = number_in(exif_of(info), _FOCAL_LENGTH_35MM, directory=_CAMERA_DIRECTORY)
    if not focal_mm:
        return None
    longer = _DIAGONAL_35MM * max(width, height) / math.hypot(width, height)
    return math.degrees(2 * math.atan(longer / (2 * focal_mm)))
