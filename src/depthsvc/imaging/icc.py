"""ICC profiles as untrusted data: what remains is what places RGB or grey pixels, and no larger than it says.

A profile may hold programs of any length (multi-process elements) whose steps are one and the same bytes: in a file of
a kilobyte they took gigabytes or minutes.
"""

from __future__ import annotations

import math
import struct

_HEADER_BYTES = 128
_SPACE = slice(16, 20)
_CHANNELS = {b"RGB ": 3, b"GRAY": 1}
"""Of the colour spaces that are used."""
_MOST_TAGS = 100
_ENTRY = struct.Struct(">4sII")
_TYPES: dict[bytes, tuple[bytes, ...]] = {
    **dict.fromkeys((b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt"), (b"XYZ ",)),
    **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC", b"kTRC"), (b"curv", b"para")),
    b"chad": (b"sf32",),
    b"A2B0": (b"mft1", b"mft2", b"mAB "),
}
"""The tags that are kept, and of which types."""
_WORDS: dict[bytes, tuple[bytes, ...]] = dict.fromkeys((b"desc", b"cprt"), (b"desc", b"mluc", b"text"))
"""Tags for people, without which other programs refuse a profile."""
_ID = slice(84, 100)
"""Of a header: a checksum, or zeros."""


def space_of(profile: bytes) -> bytes:
    """The colour space that a profile is for, as four bytes."""
    return profile[_SPACE]


def description_of(profile: bytes) -> str:
    """A profile's name for people; empty if it has none."""
    tag = _tags(profile).get(b"desc", b"")
    try:
        if tag.startswith(b"mluc"):
            length, start = struct.unpack_from(">II", tag, 20)
            return tag[start : start + length].decode("utf-16-be")
        (length,) = struct.unpack_from(">I", tag, 8)
        return tag[12 : 12 + length].rstrip(b"\0").decode("ascii")
    except (struct.error, UnicodeDecodeError):
        return ""


def plain(profile: bytes, *, named: bool = False) -> bytes:
    """A profile with only the tags that are needed; those that are too large or strange for that are left out.

    `named`: with its name and copyright too, for programs of others.
    """
    channels, types = _CHANNELS.get(space_of(profile), 0), _TYPES | _WORDS if named else _TYPES
    kept = {
        name: tag
        for name, tag in _tags(profile).items()
        if tag[:4] in types.get(name, ()) and (name != b"A2B0" or _has_its_table(tag, channels))
    }
    start = _HEADER_BYTES + 4 + _ENTRY.size * len(kept)
    table, body = struct.pack(">I", len(kept)), b""
    for name, tag in kept.items():
        table += _ENTRY.pack(name, start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    head = bytearray(profile[:_HEADER_BYTES])
    head[:4], head[_ID] = struct.pack(">I", start + len(body)), bytes(_ID.stop - _ID.start)
    return bytes(head) + table + body


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """The tags of a profile by their names."""
    try:
        (count,) = struct.unpack_from(">I", profile, _HEADER_BYTES)
        entries = [
            _ENTRY.unpack_from(profile, _HEADER_BYTES + 4 + _ENTRY.size * at) for at in range(count % _MOST_TAGS)
        ]
    except struct.error:
        return {}
    return {name: profile[start : start + size] for name, start, size in entries}


def _has_its_table(tag: bytes, channels: int) -> bool:
    """Whether a lookup table from so many channels to three is as large as it says."""
    if tag[8:10] != bytes((channels, 3)):
        return False
    if tag.startswith(b"mft"):
        numbers, width = int(tag[10] ** channels), 1 if tag.startswith(b"mft1") else 2
        return 3 * numbers * width <= len(tag)
    (start,) = struct.unpack_from(">I", tag.ljust(28, b"\0"), 24)
    if start == 0:  # curves and a matrix only
        return True
    head = tag[start : start + 17]
    numbers = math.prod(int(side) for side in head[:channels])
    return len(head) == 17 and 3 * numbers * int(head[16]) <= len(tag)
