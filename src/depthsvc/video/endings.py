"""Whether the end of a file is missing, where its format says how long it is.

FFmpeg reads what is left of a Matroska, AVI or MPEG-TS file and says nothing. An MP4 has an index, which tells.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_RIFF_HEAD = 8
_UNKNOWN = 0xFFFFFFFF
_EBML, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"
_TS_SYNC = 0x47
_TS_SIZES = ((188, 0), (192, 4), (204, 0))
"""Bytes of a packet, and of what precedes its sync byte: MPEG-TS, Blu-ray's, and with error correction."""


def is_cut_off(path: Path) -> bool:
    """Whether a file is shorter than it says. False if it does not say it. Raises OSError."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(2 * max(size for size, _ in _TS_SIZES))
        file.seek(0)
        if head.startswith(_EBML):
            return _matroska_end(file) > size
        if head.startswith(b"RIFF"):
            return _riff_end(file) > size
        return any(_is_ts(head, packet, offset) and size % packet > 0 for packet, offset in _TS_SIZES)


def _matroska_end(file: BinaryIO) -> int:
    """Where the segment, which follows a head, ends; 0 if its size is not known, as in a live stream."""
    head = _element(file, _EBML)
    if head is None:
        return 0
    file.seek(head, os.SEEK_CUR)
    segment = _element(file, _SEGMENT)
    return 0 if segment is None else file.tell() + segment


def _element(file: BinaryIO, name: bytes) -> int | None:
    """Size of the element of EBML that begins here; None if it is another, or its size is not known."""
    return _ebml_size(file) if file.read(len(name)) == name else None


def _ebml_size(file: BinaryIO) -> int | None:
    """A size of 1 to 8 bytes: as many as its first byte has leading zeros, and one. All ones: it is not known."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0x7F >> more)]) + file.read(more), "big")
    return None if value == (1 << 7 * (more + 1)) - 1 else value


def _riff_end(file: BinaryIO) -> int:
    """Where the last chunk at the top ends; 0 if its size is not known. A file of more than a gigabyte has several."""
    end = 0
    while len(head := file.read(_RIFF_HEAD)) == _RIFF_HEAD and head.startswith(b"RIFF"):
        length = int.from_bytes(head[4:], "little")
        if length == _UNKNOWN:
            return 0
        end = file.tell() + length
        file.seek(length + length % 2, os.SEEK_CUR)
    return end


def _is_ts(head: bytes, packet: int, offset: int) -> bool:
    return len(head) > packet + offset and head[offset] == head[offset + packet] == _TS_SYNC
