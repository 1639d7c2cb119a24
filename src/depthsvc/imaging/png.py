"""PNG files, compressed by ISA-L: maps and photos take a fifth of zlib's time at about the same size."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COMPRESSION_LEVEL = 1  # of 0 to 3; 2 takes as long and gains 1 %, 3 takes six times as long
_BEGINNING = 16
"""Bytes that are compressed separately. Otherwise ISA-L would hash one position of the picture by the compressor's
address instead of its content, and one file in some thousands would come out a few bytes longer."""


class PixelFormat(Enum):
    """Pixel format: bits per sample, PNG's colour type, and bytes per pixel."""

    RGB = 8, 2, 3
    RGBA = 8, 6, 4
    PALETTE = 8, 3, 1
    GREY16 = 16, 0, 2


class Filter(Enum):
    """PNG row filters, by their numbers in PNG."""

    NONE = 0
    """No filter: best for rows with few values, such as colours from a table."""
    SUB = 1
    """Each pixel minus the one to its left: best for photos and fine gradients."""


def png(
    rows: Iterable[NDArray[np.uint8]],
    width: int,
    height: int,
    pixels: PixelFormat,
    *,
    palette: bytes = b"",
    texts: Mapping[str, str] | None = None,
) -> bytes:
    """A PNG file of `height` rows, given in blocks from top to bottom as `filtered` makes them.

    `palette`: red, green and blue of each entry. `texts`: what its text chunks say, by keyword.
    """
    bits, color_type, _ = pixels.value
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    data = _compress(rows)
    colors = chunk(b"PLTE", [palette]) if palette else []
    said = [piece for name, text in (texts or {}).items() for piece in _text_chunk(name, text)]
    return b"".join([SIGNATURE, *chunk(b"IHDR", [header]), *colors, *said, *chunk(b"IDAT", data), *chunk(b"IEND", [])])


def _text_chunk(keyword: str, text: str) -> list[bytes | memoryview]:
    return chunk(b"tEXt", [f"{keyword}\0{text}".encode("latin-1", "replace")])


def filtered(
    blocks: Iterable[NDArray[np.uint8]], pixels: PixelFormat, row_filter: Filter = Filter.NONE
) -> Iterator[NDArray[np.uint8]]:
    """Rows (rows, 1 + bytes per row) as a file holds them, each after the number of its filter.

    `blocks`: uint8, (rows, bytes per row). 16-bit samples are big-endian.
    """
    _, _, pixel_size = pixels.value
    return (_filter(block, row_filter, pixel_size) for block in blocks)


def _filter(block: NDArray[np.uint8], row_filter: Filter, pixel_size: int) -> NDArray[np.uint8]:
    rows, width = block.shape
    result = np.empty((rows, 1 + width), np.uint8)
    result[:, 0] = row_filter.value
    if row_filter is Filter.NONE:
        result[:, 1:] = block
    else:
        result[:, 1 : 1 + pixel_size] = block[:, :pixel_size]
        np.subtract(block[:, pixel_size:], block[:, :-pixel_size], out=result[:, 1 + pixel_size :])
    return result


def _compress(blocks: Iterable[NDArray[np.uint8]]) -> list[bytes]:
    compressor = isal_zlib.compressobj(_COMPRESSION_LEVEL)
    parts: list[bytes] = []
    for block in blocks:
        data = block.reshape(-1).data
        if not parts:
            parts += [compressor.compress(data[:_BEGINNING]), compressor.flush(isal_zlib.Z_SYNC_FLUSH)]
            data = data[_BEGINNING:]
        parts.append(compressor.compress(data))
    return [*parts, compressor.flush()]


def chunk(kind: bytes, parts: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    """A chunk of a PNG file, in pieces."""
    checksum = isal_zlib.crc32(kind)
    for part in parts:
        checksum = isal_zlib.crc32(part, checksum)
    return [struct.pack(">I", sum(map(len, parts))), kind, *parts, struct.pack(">I", checksum)]
