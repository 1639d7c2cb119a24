"""TIFF: the first page, of 8 or 16 bits.

A directory of a TIFF can name the same megabytes thousands of times, and Pillow copies every value that it names. So a
decoder gets a directory with only the entries that pixels, colours and orientation need, each of them bounded.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np
from PIL import _imaging

from depthsvc.errors import BrokenImage, UnsupportedMediaType
from depthsvc.imaging.photo.header import Coding, Header, checked, damaged
from depthsvc.imaging.photo.jpeg import Data
from depthsvc.imaging.photo.pillow import divisor_for, open_image, pixels_of
from depthsvc.imaging.photo.pixels import Bounds, Photo, upright


class _Tag(IntEnum):
    PREVIEW = 254
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    MAKE = 271
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTES = 279
    PLANES = 284
    PREDICTOR = 317
    PALETTE = 320
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_BYTES = 325
    SUB_DIRECTORIES = 330
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    PROFILE = 34675
    DNG_VERSION = 50706


_KNOWN = frozenset(_Tag)
_OPTIONAL = {_Tag.ORIENTATION, _Tag.MAKE, _Tag.PROFILE, _Tag.SUB_DIRECTORIES}
"""Entries that count as absent if they are damaged."""
_DROPPED = {_Tag.ORIENTATION, _Tag.MAKE, _Tag.PREVIEW, _Tag.DNG_VERSION, _Tag.SUB_DIRECTORIES}
"""Entries that a decoder does not need; by the first, Pillow would turn the photo."""
_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B"}
"""Types of values, by their number: struct's letters."""
_MOST_BYTES = 1 << 20
"""Bytes of an entry's values: of a profile, or of the places of strips."""
_MOST_NUMBERS = 16
"""Values of an entry that are read here."""
_COMPRESSIONS = {1, 5, 8, 32773, 32946}
"""None, LZW, Deflate, PackBits and the older Deflate."""
_OTHER_COMPRESSIONS = {
    **dict.fromkeys((2, 3, 4), "fax compression"),
    **dict.fromkeys((6, 7), "JPEG compression"),
    34712: "JPEG 2000 compression",
    34925: "LZMA compression",
    50000: "Zstandard compression",
    50001: "WebP compression",
}
_DEEP, _GREY_AND_ALPHA, _SEPARATE = 16, 2, 2
_UNSIGNED = 1
_WHITE_IS_ZERO = 0
_COLOURS = {_WHITE_IS_ZERO, 1, 2, 3}
"""Grey both ways, RGB and palette."""
_MOST_PIECE = 64_000_000
"""Bytes of an inflated strip or tile, which the decoder holds at once."""
_ENTRY = 12


@dataclass(frozen=True)
class _Directory:
    """The entries of the first page that count."""

    order: str
    """struct's letter for the byte order."""
    entries: Mapping[_Tag, bytes]
    """Each with its 12 bytes."""
    data: Data

    @classmethod
    def of(cls, data: Data) -> _Directory:
        """Raises BrokenImage or UnsupportedMediaType."""
        order = "<" if data[:2] == b"II" else ">"
        if data[2:4] in (b"+\0", b"\0+"):
            raise UnsupportedMediaType("This is a BigTIFF file. Save it as a TIFF, a PNG or a JPEG.")
        try:
            (first,) = struct.unpack_from(f"{order}I", data, 4)
            (count,) = struct.unpack_from(f"{order}H", data, first)
        except struct.error as error:
            raise damaged("TIFF") from error
        entries: dict[_Tag, bytes] = {}
        for at in range(first + 2, first + 2 + count * _ENTRY, _ENTRY):
            entry = bytes(data[at : at + _ENTRY])
            (tag,) = struct.unpack_from(f"{order}H", entry.ljust(2, b"\0"))
            if len(entry) == _ENTRY and tag in _KNOWN:
                entries.setdefault(_Tag(tag), entry)
        page = cls(order, entries, data)
        for tag in _OPTIONAL & entries.keys():
            if page.place(tag) is None:
                del entries[tag]
        return page

    def values(self, tag: _Tag, default: int) -> tuple[int, ...]:
        """The first values of an entry, or the default. Raises BrokenImage if it is not as an entry has to be."""
        if tag not in self.entries:
            return (default,)
        place = self.place(tag)
        if place is None:
            raise damaged("TIFF")
        source, start, count, letter = place
        return struct.unpack_from(f"{self.order}{min(count, _MOST_NUMBERS)}{letter}", source, start)

    def place(self, tag: _Tag) -> tuple[Data, int, int, str] | None:
        """Where the values of an entry are, how many, and struct's letter for one; None if they cannot be."""
        kind, count, place = struct.unpack(f"{self.order}2xHII", self.entries[tag])
        letter = _TYPES.get(kind, "")
        size = struct.calcsize(f"<{letter}") * count
        source, start = (self.entries[tag], 8) if size <= 4 else (self.data, place)
        return (source, start, count, letter) if 0 < size <= _MOST_BYTES and start + size <= len(source) else None

    def one(self, tag: _Tag, default: int = 0) -> int:
        """The first value of an entry, or the default. Raises BrokenImage."""
        return self.values(tag, default)[0]

    @property
    def is_inverted(self) -> bool:
        """Whether 0 is white."""
        return self.one(_Tag.PHOTOMETRIC, 1) == _WHITE_IS_ZERO

    def _black_is_zero(self) -> bytes:
        """The entry that says so."""
        return struct.pack(f"{self.order}HHIHH", _Tag.PHOTOMETRIC, 3, 1, 1, 0)

    def file(self) -> bytes:
        """The file with only the entries that a decoder needs in its directory, which is put at its end."""
        kept = [self.entries[tag] for tag in sorted(self.entries) if tag not in _DROPPED]
        if self.is_inverted:  # Pillow knows that of some kinds alone
            kept = [self._black_is_zero() if entry is self.entries[_Tag.PHOTOMETRIC] else entry for entry in kept]
        start = len(self.data) + len(self.data) % 2
        head = self.data[:4] + struct.pack(f"{self.order}I", start)
        count = struct.pack(f"{self.order}H", len(kept))
        last = struct.pack(f"{self.order}I", 0)
        body = bytes(self.data[8:]).ljust(start - 8, b"\0")
        return b"".join([head, body, count, *kept, last])


def tiff_header(data: Data) -> Header:
    """Raises BrokenImage for a damaged directory, and UnsupportedMediaType for what is not an 8- or 16-bit photo."""
    page = _Directory.of(data)
    width, height, samples = page.one(_Tag.WIDTH), page.one(_Tag.HEIGHT), page.one(_Tag.SAMPLES, 1)
    bits = page.values(_Tag.BITS, 1)
    _check_kind(page, bits)
    header = checked(Header(Coding.TIFF, width, height, len(data), 0), "TIFF")
    pixel_bits = bits[0] * samples
    row = (width * pixel_bits + 7) // 8
    if _Tag.TILE_WIDTH in page.entries:
        columns, rows = page.one(_Tag.TILE_WIDTH), page.one(_Tag.TILE_HEIGHT)
        piece = (columns * pixel_bits + 7) // 8 * rows
    else:
        piece = row * min(page.one(_Tag.ROWS_PER_STRIP, height), height)
    if not 0 < piece <= _MOST_PIECE:
        raise BrokenImage(
            f"The TIFF file has a strip or tile of {piece / 1e6:.0f} MB; the limit is {_MOST_PIECE / 1e6:.0f} MB. Save "
            "it again with smaller ones, or as a PNG."
        )
    for tag in page.entries:
        page.values(tag, 0)
    return Header(header.coding, width, height, len(data), row * height)


def _check_kind(page: _Directory, bits: tuple[int, ...]) -> None:
    """Raises UnsupportedMediaType for a kind of TIFF that is no ordinary photo."""
    compression = page.one(_Tag.COMPRESSION, 1)
    is_known = compression in _COMPRESSIONS
    has_previews = _Tag.SUB_DIRECTORIES in page.entries and not is_known
    if _Tag.DNG_VERSION in page.entries or page.one(_Tag.PREVIEW) & 1 or has_previews:
        maker, *_ = bytes(page.values(_Tag.MAKE, 0)).strip(b"\0 ").decode("ascii", "replace").title().split() or [""]
        named = f" ({maker})" if maker else ""
        raise UnsupportedMediaType(f"This is a camera's raw file{named}. Export it as a JPEG, a PNG or a TIFF.")
    kind = ""
    if not is_known:
        kind = f"with {_OTHER_COMPRESSIONS.get(compression, f'compression {compression}')}"
    elif page.one(_Tag.SAMPLE_FORMAT, _UNSIGNED) != _UNSIGNED:
        kind = "of signed or floating-point numbers"
    elif page.one(_Tag.PHOTOMETRIC, 1) not in _COLOURS:
        kind = "of a colour space other than RGB and grey"
    elif bits[0] == _DEEP and page.one(_Tag.SAMPLES, 1) == _GREY_AND_ALPHA:
        kind = "of 16-bit grey with transparency"
    elif bits[0] == _DEEP and page.one(_Tag.PLANES, 1) == _SEPARATE and len(bits) > 1:
        kind = "of 16 bits in separate planes"
    elif len(set(bits)) > 1 or bits[0] not in (1, 2, 4, 8, 16):
        kind = f"of {max(bits)} bits a sample"
    if kind:
        raise UnsupportedMediaType(f"This is a TIFF {kind}. Save it as an 8- or 16-bit RGB TIFF, a PNG or a JPEG.")


def decode_tiff(data: bytes, header: Header, bounds: Bounds) -> Photo:
    """Decode the first page of a TIFF, a large one with no more detail than `bounds.enough` needs."""
    _silence_libtiff()
    page = _Directory.of(data)
    orientation = page.one(_Tag.ORIENTATION, 1)
    with open_image(page.file(), "TIFF", header) as image:
        pixels, opacity = pixels_of(image, divisor_for(image.size, bounds))
        if page.is_inverted:
            pixels = np.invert(pixels)
        profile = image.info.get("icc_profile")
        return upright(
            pixels, image.size, orientation if orientation in range(1, 9) else 1, opacity=opacity, profile=profile
        )


@cache
def _silence_libtiff() -> None:
    """It writes a line on stderr for every error; Pillow raises an exception as well."""
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        if set_handler := getattr(ctypes.CDLL(_imaging.__file__), name, None):
            set_handler(None)
