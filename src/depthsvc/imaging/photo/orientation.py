"""How a photo has to be turned, from its metadata.

Pillow reads all of an EXIF block for that: 65,000 entries take it seconds, and it copies the values of all of them,
which may be the same megabytes. Here one entry is read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any

UPRIGHT = 1
_KNOWN = range(1, 9)
_TAG, _SHORT, _LONG = 0x0112, 3, 4
_ENTRY_BYTES = 12
_EXIF_PREFIX = b"Exif\0\0"
_XMP = re.compile(r'tiff:Orientation(?:="|>)([0-9])')


def orientation_of(info: Mapping[Any, Any]) -> int:
    """The EXIF orientation, 1 to 8, from a file's metadata by Pillow's names for them, as in `Image.info`.

    EXIF counts before XMP. 1 if there is none, or it is damaged, which is no reason to refuse a photo.
    """
    found = _in_exif(_exif_block(info))
    if found is None:
        found = _in_xmp(info)
    return found if found is not None and found in _KNOWN else UPRIGHT


def _exif_block(info: Mapping[Any, Any]) -> bytes:
    """The EXIF block of any format; ImageMagick writes it as text into a PNG, in hexadecimal after three lines."""
    block, text = info.get("exif"), info.get("Raw profile type exif")
    if isinstance(block, bytes):
        return block
    try:
        return bytes.fromhex("".join(text.split("\n")[3:])) if isinstance(text, str) else b""
    except ValueError:
        return b""


def _in_exif(block: bytes) -> int | None:
    """The orientation in the block's first directory, if it has one. Some programs write the prefix twice."""
    tiff = block.removeprefix(_EXIF_PREFIX).removeprefix(_EXIF_PREFIX)
    order = "<" if tiff.startswith(b"II") else ">"
    try:
        (first,) = struct.unpack_from(f"{order}4xI", tiff)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
    except struct.error:
        return None
    start = first + 2
    entries = tiff[start : start + min(count, (len(tiff) - start) // _ENTRY_BYTES) * _ENTRY_BYTES]
    for tag, kind, _, value in struct.iter_unpack(f"{order}HHI4s", entries):
        if tag == _TAG and kind in (_SHORT, _LONG):
            return int(struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", value)[0])
    return None


def _in_xmp(info: Mapping[Any, Any]) -> int | None:
    for name in ("XML:com.adobe.xmp", "xmp"):
        text = info.get(name)
        found = _XMP.search(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text or ""))
        if found:
            return int(found[1])
    return None
