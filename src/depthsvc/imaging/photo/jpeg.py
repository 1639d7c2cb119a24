"""Limits on the structure of a JPEG, checked before a decoder reads it.

A few megabytes can hold millions of empty segments, or thousands of scans over a large picture, and keep a decoder
busy for minutes. No camera or editor writes such files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from depthsvc.errors import BrokenImage

Data = bytes | bytearray

MAX_SEGMENTS = 1000
"""Segments before a JPEG's first scan."""
MAX_SCANS = 100
"""Scans of a progressive JPEG; encoders write about ten."""
MAX_SCANNED_SAMPLES = 1_200_000_000
"""Samples in all scans: encoders write about seven for each pixel."""
MAX_FILL = 65_536
"""Bytes between segments of a JPEG, which a decoder skips one by one."""
MAX_TABLES = 100_000
"""Bytes of tables and frame headers of a JPEG before its first scan; programs write less than 2,000."""
_MAX_METADATA = 1 << 20
"""Bytes of EXIF or XMP data, or of a profile, that are kept, or little more."""

_JPEG_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_JPEG_SEGMENTS = {*range(0xC0, 0xD0), *range(0xDB, 0xF0), 0xFE}
"""Those that Pillow skips by their length as well; it looks for others inside the rest."""
_JPEG_START_OF_SCAN, _JPEG_END = 0xDA, 0xD9
END = bytes((0xFF, _JPEG_END))
"""The end marker."""
_FRAMES = {0xC0, 0xC1, 0xC2}
_COEFFICIENTS = 64
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""What ends the coded data of a scan."""
_JPEG_APPLICATION = {*range(0xE1, 0xEE), 0xEF, 0xFE}
"""Segments of programs and comments, without those that decide about colours: 0xE0 (JFIF) and 0xEE (Adobe)."""
_JPEG_METADATA = {"exif": b"Exif\0\0", "xmp": b"http://ns.adobe.com/xap/1.0/\0"}
"""How segments begin that can say how a photo is to be turned, by Pillow's names for them."""
_JPEG_PROFILE = b"ICC_PROFILE\0"
"""How a part of a profile begins; its number and their count follow."""


def essential_jpeg(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    """A JPEG without what its pixels do not need, such as previews; and its EXIF and XMP data and profile, joined.

    Pillow would read all of that when it opens the file. Raises BrokenImage as `segments` does.
    """
    kept, end = [], 0
    metadata: dict[str, bytes] = {}
    parts: dict[int, bytes] = {}
    for marker, start in segments(data):
        if marker not in _JPEG_APPLICATION:
            continue
        kept.append(data[end : start - 2])
        end = start + int.from_bytes(data[start : start + 2], "big")
        for name, prefix in _JPEG_METADATA.items():
            if data.startswith(prefix, start + 2) and len(metadata.get(name, b"")) < _MAX_METADATA:
                metadata[name] = metadata.get(name, b"") + data[start + 2 + len(prefix) : end]
        if data.startswith(_JPEG_PROFILE, start + 2) and len(parts) < _MAX_METADATA >> 16:
            number = data[start + 2 + len(_JPEG_PROFILE)]
            parts[number] = data[start + 4 + len(_JPEG_PROFILE) : end]
    if parts:
        metadata["icc_profile"] = b"".join(parts[number] for number in sorted(parts))
    return b"".join([*kept, data[end:]]), metadata


def segments(data: Data) -> Iterator[tuple[int, int]]:
    """Marker and start, with two bytes of length, of each segment of a JPEG before its first scan.

    Raises BrokenImage for more than MAX_SEGMENTS of them, for one of an unknown kind, and for more than MAX_FILL bytes
    between them or MAX_TABLES in tables.
    """
    position, fill, tables = 2, 0, 0
    for _ in range(MAX_SEGMENTS):
        end, position = position, data.find(b"\xff", position)
        fill += max(0, position - end)
        if fill > MAX_FILL or tables > MAX_TABLES:
            raise BrokenImage(
                "The JPEG file has too many bytes before its first scan. Save it again with another program."
            )
        if position < 0 or position + 4 > len(data) or data[position + 1] == _JPEG_START_OF_SCAN:
            return
        marker = data[position + 1]
        if marker in {0x00, 0xFF}:
            position += 1
        elif marker in _JPEG_WITHOUT_LENGTH:
            position += 2
        elif marker not in _JPEG_SEGMENTS:
            raise BrokenImage("The JPEG file is damaged or truncated. Save it again and send that.")
        else:
            yield marker, position + 2
            length = int.from_bytes(data[position + 2 : position + 4], "big")
            tables += 0 if marker in _JPEG_APPLICATION else length
            position += 2 + length
    raise BrokenImage(f"The JPEG file has more than {MAX_SEGMENTS} segments. Save it again with another program.")


@dataclass(frozen=True)
class Scans:
    """The coded data of a JPEG's first picture."""

    components: tuple[bytes, ...]
    """Of each scan, the identifiers of its components."""
    end: int
    """Where the picture ends: phones append videos, gain maps and other pictures."""
    ended: bool
    """Whether an end marker is there."""

    @property
    def count(self) -> int:
        return len(self.components)


def scans_of(data: Data) -> Scans:
    """The scans of a JPEG's first picture.

    Raises BrokenImage for more than MAX_SCANS scans or MAX_SEGMENTS segments.
    """
    if data.endswith(END) and _count_pairs(data, 0xFF, _JPEG_START_OF_SCAN) == 1:
        start = data.index(bytes((0xFF, _JPEG_START_OF_SCAN))) + 2  # most photos; a fifth of the time
        return Scans((_components(data, start),), len(data), ended=True)
    components: list[bytes] = []
    position, found = 2, _MARKER.search(data, 2)
    for _ in range(MAX_SEGMENTS):
        if found is None:
            return Scans(tuple(components), len(data), ended=False)
        position, marker = found.end(), data[found.end() - 1]
        if marker == _JPEG_END:
            return Scans(tuple(components), position, ended=True)
        if marker == _JPEG_START_OF_SCAN:
            components.append(_components(data, position))
        if len(components) > MAX_SCANS:
            raise BrokenImage(f"The JPEG file has more than {MAX_SCANS} scans. Save it as a baseline JPEG.")
        if marker not in _JPEG_WITHOUT_LENGTH:
            position += int.from_bytes(data[position : position + 2], "big")
        found = _MARKER.search(data, position)
    raise BrokenImage(f"The JPEG file has more than {MAX_SEGMENTS} segments. Save it again with another program.")


def _components(data: Data, start: int) -> bytes:
    """The identifiers of a scan's components, from behind its marker."""
    count = data[start + 2] if start + 2 < len(data) else 0
    return bytes(data[start + 3 : start + 3 + 2 * count : 2])


def has_all_scans(data: Data) -> bool:
    """Whether the scans of a JPEG hold every bit of every coefficient: a progressive one can be cut between two."""
    missing: set[tuple[int, int]] = set()
    position = 2
    while found := _MARKER.search(data, position):
        marker, start = data[found.end() - 1], found.end()
        position = start + (0 if marker in _JPEG_WITHOUT_LENGTH else int.from_bytes(data[start : start + 2], "big"))
        if marker in _FRAMES:
            components = data[start + 8 : position : 3]
            missing = {(component, coefficient) for component in components for coefficient in range(_COEFFICIENTS)}
        elif marker == _JPEG_START_OF_SCAN and position <= len(data):
            first, last, bits = data[position - 3 : position]
            components = data[start + 3 : position - 3 : 2]
            if not bits & 15:
                missing -= {
                    (component, coefficient) for component in components for coefficient in range(first, last + 1)
                }
    return not missing


def _count_pairs(data: Data, first: int, second: int) -> int:
    """How often two bytes follow each other. bytes.count takes four times as long."""
    pair = first | second << 8
    aligned = (np.frombuffer(data, "<u2", (len(data) - offset) // 2, offset) for offset in (0, 1))
    return sum(int(np.count_nonzero(pairs == pair)) for pairs in aligned)
