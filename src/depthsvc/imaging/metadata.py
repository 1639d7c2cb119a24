"""What a picture made from a photo keeps of its metadata: EXIF data and the colour profile.

EXIF data are written again, from known fields of bounded size. Previews are not among them, nor what only the stored
pixels had: their orientation, size and colour space, and where the subject is among them. Maker notes are not either:
they hold places in the old file, and may say where the photo was taken.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from depthsvc.imaging.photo.exif import ENTRY_BYTES
from depthsvc.imaging.photo.orientation import UPRIGHT
from depthsvc.imaging.profiles import in_srgb

_PREFIX = b"Exif\0\0"
_VERSION = 42
_HEADER_BYTES = 8
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes of a number of each of TIFF's types."""
_SHORT, _LONG = 3, 4
_INLINE = 4
"""So many bytes stand in an entry itself."""
_MOST_BYTES = 20_000
"""Of a directory's values: all three fit a segment of a JPEG. What is larger is left out first."""

_ORIENTATION, _CAMERA, _PLACE = 0x0112, 0x8769, 0x8825
_COLOUR_SPACE, _WIDTH, _HEIGHT = 0xA001, 0xA002, 0xA003
_SRGB, _UNCALIBRATED = 1, 0xFFFF
_OF_THE_PHOTO = frozenset(
    (0x010D, 0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298)
) | set(range(0x9C9B, 0x9CA0))
"""Description, camera, resolution, program, time, artist, rating, copyright; and Windows' own five."""
_OF_THE_CAMERA = frozenset(
    {0x829A, 0x829D, 0x8822, 0x8824, 0x8827, 0x8828, 0x9000, 0x9003, 0x9004, 0x9101, 0x9286}
    | {0xA000, 0xA20B, 0xA215, 0xA217, 0xA300, 0xA301, 0xA420}
).union(
    range(0x8830, 0x8836),
    range(0x9010, 0x9013),
    range(0x9201, 0x920B),
    range(0x9290, 0x9293),
    range(0x9400, 0x9406),
    range(0xA401, 0xA40D),
    range(0xA430, 0xA43D),
    range(0xA460, 0xA463),
)
"""EXIF 3.0's (CIPA DC-008) own, without the maker note, what counts in stored pixels (colour space, size, subject area
and location, focal plane), the sensor's pattern, and names of other files. Others, such as IPTC data, may say where."""
_OF_THE_PLACE = frozenset(range(32))

_START = b"\xff\xd8"
_APPLICATION = 0xFFE1
_PROFILE = 0xFFE2
_PROFILE_PREFIX = b"ICC_PROFILE\0"
_PROFILE_PART = 65_000


@dataclass(frozen=True, eq=False)
class TaggedPixels:
    """A picture with its metadata."""

    pixels: NDArray[np.uint8]
    """RGB (h, w, 3)."""
    exif: bytes = b""
    """EXIF data, as in TIFF; empty: none."""
    profile: bytes | None = None
    """ICC profile of the pixels; None: sRGB."""

    def in_srgb(self) -> NDArray[np.uint8]:
        """The pixels as sRGB, RGB (h, w, 3)."""
        return in_srgb(self.pixels, self.profile)


class _Entry(NamedTuple):
    tag: int
    kind: int
    numbers: int
    value: bytes


def kept_exif(exif: bytes, width: int, height: int, *, srgb: bool, gps: bool) -> bytes:
    """The EXIF data, as in TIFF, of a photo's upright picture of this size; empty if there are none to be read.

    `srgb`: whether its colours are. `gps`: whether to keep where it was taken.
    """
    order = "<" if exif.startswith(b"II") else ">"
    try:
        version, start = struct.unpack_from(f"{order}HI", exif, 2)
    except struct.error:
        return b""
    if version != _VERSION or exif[:2] not in (b"II", b"MM"):
        return b""
    colours = _SRGB if srgb else _UNCALIBRATED
    main = _entries(exif, order, start, _OF_THE_PHOTO)
    camera = _entries(exif, order, _pointer(exif, order, start, _CAMERA), _OF_THE_CAMERA)
    place = _entries(exif, order, _pointer(exif, order, start, _PLACE), _OF_THE_PLACE) if gps else []
    if not (main or camera or place):
        return b""
    main.append(_number(order, _ORIENTATION, _SHORT, UPRIGHT))
    camera += [
        _number(order, _COLOUR_SPACE, _SHORT, colours),
        _number(order, _WIDTH, _LONG, width),
        _number(order, _HEIGHT, _LONG, height),
    ]
    return exif[:2] + struct.pack(f"{order}HI", _VERSION, _HEADER_BYTES) + _written(order, main, camera, place)


def _entries(exif: bytes, order: str, start: int | None, known: frozenset[int]) -> list[_Entry]:
    """The known entries of a directory; without those that are damaged, and the largest if they are too large."""
    found: dict[int, _Entry] = {}
    for tag, kind, count, value in _fields(exif, order, start):
        size = _SIZES.get(kind, 0) * count
        if tag not in known or tag in found or not 0 < size <= _MOST_BYTES:
            continue
        at = 0 if size <= _INLINE else struct.unpack(f"{order}I", value)[0]
        content = (value if size <= _INLINE else exif)[at : at + size]
        if len(content) == size:
            found[tag] = _Entry(tag, kind, count, content)
    kept, room = [], _MOST_BYTES
    for entry in sorted(found.values(), key=lambda entry: len(entry.value)):
        room -= len(entry.value) + ENTRY_BYTES + 1
        if room >= 0:
            kept.append(entry)
    return kept


def _fields(exif: bytes, order: str, start: int | None) -> Iterator[tuple[int, int, int, bytes]]:
    """Tag, type, count and the four bytes of a value or its place, of each entry of the directory at `start`."""
    if start is None or not 0 < start <= len(exif) - 2:
        return
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    first = start + 2
    last = first + min(count, (len(exif) - first) // ENTRY_BYTES) * ENTRY_BYTES
    yield from struct.iter_unpack(f"{order}HHI4s", exif[first:last])


def _pointer(exif: bytes, order: str, start: int, wanted: int) -> int | None:
    """Where the directory of this tag is."""
    for tag, kind, count, value in _fields(exif, order, start):
        if tag == wanted and kind == _LONG and count == 1:
            return int(struct.unpack(f"{order}I", value)[0])
    return None


def _number(order: str, tag: int, kind: int, value: int) -> _Entry:
    return _Entry(tag, kind, 1, struct.pack(f"{order}{'H' if kind == _SHORT else 'I'}", value))


def _written(order: str, main: list[_Entry], camera: list[_Entry], place: list[_Entry]) -> bytes:
    """The directories, one after the other, as they follow the header; the first one says where the others are."""
    pointers = [(tag, entries) for tag, entries in ((_CAMERA, camera), (_PLACE, place)) if entries]
    whole = [*main, *(_number(order, tag, _LONG, 0) for tag, _ in pointers)]
    start, others = _HEADER_BYTES + len(_directory(order, whole, 0)), b""
    for tag, entries in pointers:
        main = [*main, _number(order, tag, _LONG, start + len(others))]
        others += _directory(order, entries, start + len(others))
    return _directory(order, main, _HEADER_BYTES) + others


def _directory(order: str, entries: list[_Entry], start: int) -> bytes:
    """A directory of a TIFF at this place, with its values behind it, and without a next one."""
    behind = start + 2 + ENTRY_BYTES * len(entries) + 4
    table, values = struct.pack(f"{order}H", len(entries)), b""
    for tag, kind, count, value in sorted(entries):
        table += struct.pack(f"{order}HHI", tag, kind, count)
        if len(value) <= _INLINE:
            table += value.ljust(_INLINE, b"\0")
        else:
            table += struct.pack(f"{order}I", behind + len(values))
            values += value + bytes(len(value) % 2)
    return table + bytes(4) + values


def with_metadata(jpeg: bytes, exif: bytes, profile: bytes | None) -> bytes:
    """A JPEG that begins with a JFIF segment, with these behind it."""
    end = len(_START) + 2 + int.from_bytes(jpeg[4:6], "big")
    said = [_segment(_APPLICATION, _PREFIX + exif)] if exif else []
    profile = profile or b""
    parts = [profile[at : at + _PROFILE_PART] for at in range(0, len(profile), _PROFILE_PART)]
    said += [
        _segment(_PROFILE, _PROFILE_PREFIX + bytes((number, len(parts))) + part) for number, part in enumerate(parts, 1)
    ]
    return b"".join([jpeg[:end], *said, jpeg[end:]])


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">HH", marker, len(content) + 2) + content
