"""Interlaced PNG files at reduced size, from their first passes alone.

Adam7 stores a picture in seven passes, each of which is a small picture of its own: the first alone is every eighth
pixel each way, the first three are every fourth, the first five every second. A large photo of which only a few
hundred pixels are needed then costs a small part of its time and memory.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from depthsvc.imaging.photo.inflate import Inflater
from depthsvc.imaging.png import SIGNATURE, chunk


class _Pass(NamedTuple):
    """Where a pass has its pixels: first row and column, and the steps to the next."""

    top: int
    left: int
    down: int
    across: int


_PASSES = (
    _Pass(0, 0, 8, 8),
    _Pass(0, 4, 8, 8),
    _Pass(4, 0, 8, 4),
    _Pass(0, 2, 4, 4),
    _Pass(2, 0, 4, 2),
    _Pass(0, 1, 2, 2),
    _Pass(1, 0, 2, 1),
)
_PASSES_FOR = {8: 1, 4: 3, 2: 5}
"""Passes that together have every pixel whose row and column are multiples of the divisor."""
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples per pixel by colour type."""


@dataclass(frozen=True)
class PartialPng:
    """A pass of an interlaced PNG as a file of its own, and where its pixels belong in the reduced picture."""

    file: bytes
    """A PNG that is not interlaced, with what the whole file says of colours; the first one also of all else."""
    rows: slice
    columns: slice


def passes(data: bytes, divisor: int, check_time: Callable[[], None]) -> Iterator[PartialPng]:
    """The parts of an interlaced PNG, reduced by `divisor`, 2, 4 or 8: every so many rows and columns.

    `check_time`: as in `Bounds`.

    Raises ValueError, LookupError, struct.error or INFLATE_ERROR for a damaged file.
    """
    (_, first), *others = _chunks(data)
    header = _Header(*_IHDR.unpack(first))
    about = [(kind, body) for kind, body in others if kind not in _PIXELS]
    inflater = Inflater((body for kind, body in others if kind == b"IDAT"), check_time)
    for number in _PASSES[: _PASSES_FOR[divisor]]:
        height = -(-max(0, header.height - number.top) // number.down)
        width = -(-max(0, header.width - number.left) // number.across)
        if height and width:
            part = header._replace(width=width, height=height, interlacing=0)
            top, left, down, across = (value // divisor for value in number)
            yield PartialPng(_file(part, about, inflater), slice(top, None, down or 1), slice(left, None, across or 1))
            about = [(kind, body) for kind, body in about if kind in _COLOURS]


class _Header(NamedTuple):
    """IHDR."""

    width: int
    height: int
    bits: int
    color_type: int
    compression: int
    filtering: int
    interlacing: int

    @property
    def row_bytes(self) -> int:
        """Bytes of a filtered row."""
        return 1 + (self.width * self.bits * _SAMPLES[self.color_type] + 7) // 8


_IHDR = struct.Struct(">IIBBBBB")
_PIXELS = (b"IDAT", b"IEND")
_COLOURS = (b"PLTE", b"tRNS")


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and content of every chunk, without a look at its checksum."""
    view, position = memoryview(data), len(SIGNATURE)
    while position + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        yield data[position + 4 : position + 8], view[position + 8 : position + 8 + length]
        position += 12 + length


def _file(header: _Header, about: list[tuple[bytes, memoryview]], inflater: Inflater) -> bytes:
    """The next pass as a file of its own, stored without compression."""
    rows = inflater.take(header.height * header.row_bytes)
    head, body = chunk(b"IHDR", [_IHDR.pack(*header)]), chunk(b"IDAT", [zlib.compress(rows, 0)])
    kept = [piece for kind, content in about for piece in chunk(kind, [content])]
    return b"".join([SIGNATURE, *head, *kept, *body, *chunk(b"IEND", [])])
