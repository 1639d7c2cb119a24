"""TIFF: the first page, of 8 or 16 bits.

A directory of a TIFF can name the same megabytes thousands of times, and Pillow copies every value that it names. So a
decoder gets a directory with only the entries that pixels, colours and orientation need, each of them bounded.
"""

from __future__ import annotations

import ctypes
import itertools
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np
from PIL import _imaging

from depthsvc.errors import BrokenImage, UnsupportedMediaType
from depthsvc.imaging.photo.exif import fov_of
from depthsvc.imaging.photo.header import Coding, Header, checked, damaged
from depthsvc.imaging.photo.inflate import Inflater
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
_DEFLATE = (8, 32946)
_CODINGS = {5: Coding.LZW_TIFF, **dict.fromkeys(_DEFLATE, Coding.DEFLATE_TIFF)}
_OTHER_COMPRESSIONS = {
    **dict.fromkeys((2, 3, 4), "fax compression"),
    **dict.fromkeys((6, 7), "JPEG compression"),
    34712: "JPEG 2000 compression",
    34925: "LZMA compression",
    50000: "Zstandard compression",
    50001: "WebP compression",
}
_DEEP, _GREY_AND_ALPHA, _SEPARATE = 16, 2, 2
_ALPHA = (2,)
"""Kinds of extra channels: transparency alone, and colours that are not multiplied by it."""
_MOST_SAMPLES = {False: len("RGBAXX"), True: len("RGBA")}
"""Channels of a picture, by whether it has 16 bits."""
_UNSIGNED = 1
_WHITE_IS_ZERO = 0
_GREYS = {_WHITE_IS_ZERO, 1}
_COLOURS = {*_GREYS, 2, 3}
"""Grey both ways, RGB and palette."""
_MOST_PIECE = 64_000_000
"""Bytes of an inflated tile that is larger than the picture; the decoder holds all of it."""
_SHORT, _LONG = 3, 4
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
    def coded_bytes(self) -> int:
        """Bytes of all rows, inflated."""
        return self._row_bytes * self.one(_Tag.HEIGHT) * self._planes

    @property
    def piece_bytes(self) -> int:
        """Bytes of an inflated strip or tile; the last strip may have fewer."""
        return self._tile_bytes if self._is_tiled else self._row_bytes * self._strip_rows

    def _piece_sizes(self) -> Iterable[int]:
        """Bytes of each inflated strip or tile."""
        width, height = self.one(_Tag.WIDTH), self.one(_Tag.HEIGHT)
        if self._is_tiled:
            columns, rows = self.one(_Tag.TILE_WIDTH), self.one(_Tag.TILE_HEIGHT)
            return itertools.repeat(self._tile_bytes, -(-width // columns) * -(-height // rows) * self._planes)
        rows = self._strip_rows
        return [self._row_bytes * min(rows, height - top) for top in range(0, height, rows)] * self._planes

    @property
    def _is_tiled(self) -> bool:
        return _Tag.TILE_WIDTH in self.entries

    @property
    def _tile_bytes(self) -> int:
        return self._bytes_of(self.one(_Tag.TILE_WIDTH)) * self.one(_Tag.TILE_HEIGHT)

    @property
    def _strip_rows(self) -> int:
        height = self.one(_Tag.HEIGHT)
        return min(self.one(_Tag.ROWS_PER_STRIP, height), height)

    @property
    def _row_bytes(self) -> int:
        """Bytes of a row of one plane."""
        return self._bytes_of(self.one(_Tag.WIDTH))

    def _bytes_of(self, pixels: int) -> int:
        samples = self.one(_Tag.SAMPLES, 1) // self._planes
        return (pixels * self.one(_Tag.BITS, 1) * samples + 7) // 8

    @property
    def _planes(self) -> int:
        """In how many planes the samples of a pixel are."""
        return max(1, self.one(_Tag.SAMPLES, 1)) if self.one(_Tag.PLANES, 1) == _SEPARATE else 1

    @property
    def is_inverted(self) -> bool:
        """Whether 0 is white."""
        return self.one(_Tag.PHOTOMETRIC, 1) == _WHITE_IS_ZERO

    def _black_is_zero(self) -> bytes:
        """The entry that says so."""
        return struct.pack(f"{self.order}HHIHH", _Tag.PHOTOMETRIC, _SHORT, 1, 1, 0)

    @property
    def extras(self) -> tuple[int, ...]:
        """Kinds of the channels that are no colours, as far as the file says it."""
        return self.values(_Tag.EXTRA_SAMPLES, 0) if _Tag.EXTRA_SAMPLES in self.entries else ()

    def _first_extra(self) -> bytes:
        """The entry that says that the first of two extra channels may be transparency, and the second is nothing."""
        return struct.pack(f"{self.order}HHIHH", _Tag.EXTRA_SAMPLES, _SHORT, 2, self.extras[0], 0)

    def file(self, check_time: Callable[[], None]) -> bytes:
        """The file with only the entries that a decoder needs in its directory, which is put at its end.

        Strips and tiles that are deflated are inflated, with a look at the time. Raises ValueError, INFLATE_ERROR or
        BrokenImage for damaged ones, and what `check_time` raises.
        """
        entries = {tag: entry for tag, entry in self.entries.items() if tag not in _DROPPED}
        if self.is_inverted:  # Pillow knows that of some kinds alone
            entries[_Tag.PHOTOMETRIC] = self._black_is_zero()
        if len(self.extras) == 2:  # and of one kind of transparency alone
            entries[_Tag.EXTRA_SAMPLES] = self._first_extra()
        inflated: list[bytes] = []
        if self.one(_Tag.COMPRESSION, 1) in _DEFLATE:
            places, inflated = self._inflated(check_time)
            entries |= places
        start = len(self.data) + sum(map(len, inflated))
        head = bytes(self.data[:4]) + struct.pack(f"{self.order}I", start + start % 2)
        count = struct.pack(f"{self.order}H", len(entries))
        last = struct.pack(f"{self.order}I", 0)
        kept = (entries[tag] for tag in sorted(entries))
        return b"".join([head, bytes(self.data[8:]), *inflated, bytes(start % 2), count, *kept, last])

    def _inflated(self, check_time: Callable[[], None]) -> tuple[dict[_Tag, bytes], list[bytes]]:
        """Entries for strips or tiles that are not compressed, and what they name, to be put behind the file."""
        tags = (_Tag.TILE_OFFSETS, _Tag.TILE_BYTES) if self._is_tiled else (_Tag.STRIP_OFFSETS, _Tag.STRIP_BYTES)
        view = memoryview(self.data)
        found = zip(self._piece_sizes(), *map(self._all_values, tags), strict=False)
        parts = [
            zlib.compress(Inflater([view[start : start + count]], check_time).take(size), 0)
            for size, start, count in found
        ]
        sizes = [len(part) for part in parts]
        *starts, end = itertools.accumulate(sizes, initial=len(self.data))
        entries = {}
        for tag, numbers in zip(tags, (starts, sizes), strict=True):
            values = struct.pack(f"{self.order}{len(numbers)}I", *numbers)
            place = values if len(numbers) == 1 else struct.pack(f"{self.order}I", end)
            entries[tag] = struct.pack(f"{self.order}HHI", tag, _LONG, len(numbers)) + place
            parts.append(values)
            end += len(values)
        return entries, parts

    def _all_values(self, tag: _Tag) -> tuple[int, ...]:
        """All values of an entry, which there must be. Raises BrokenImage."""
        place = self.place(tag) if tag in self.entries else None
        if place is None:
            raise damaged("TIFF")
        source, start, count, letter = place
        return struct.unpack_from(f"{self.order}{count}{letter}", source, start)


def tiff_header(data: Data) -> Header:
    """Raises BrokenImage for a damaged directory, and UnsupportedMediaType for what is not an 8- or 16-bit photo."""
    page = _Directory.of(data)
    width, height = page.one(_Tag.WIDTH), page.one(_Tag.HEIGHT)
    _check_kind(page, page.values(_Tag.BITS, 1))
    coding = _CODINGS.get(page.one(_Tag.COMPRESSION, 1), Coding.TIFF)
    header = checked(Header(coding, width, height, len(data), page.coded_bytes), "TIFF")
    if not 0 < page.piece_bytes <= max(_MOST_PIECE, header.coded):
        raise BrokenImage("The TIFF file has tiles that are far larger than its picture. Save it again as a PNG.")
    for tag in page.entries:
        page.values(tag, 0)
    return header


def _check_kind(page: _Directory, bits: tuple[int, ...]) -> None:
    """Raises UnsupportedMediaType for a kind of TIFF that is no ordinary photo."""
    compression = page.one(_Tag.COMPRESSION, 1)
    is_known = compression in _COMPRESSIONS
    has_previews = _Tag.SUB_DIRECTORIES in page.entries and not is_known
    is_thumbnail = bool(page.one(_Tag.PREVIEW) & 1)
    if _Tag.DNG_VERSION in page.entries or has_previews or (is_thumbnail and _Tag.MAKE in page.entries):
        maker, *_ = bytes(page.values(_Tag.MAKE, 0)).strip(b"\0 ").decode("ascii", "replace").title().split() or [""]
        named = f" ({maker})" if maker else ""
        raise UnsupportedMediaType(f"This is a camera's raw file{named}. Export it as a JPEG, a PNG or a TIFF.")
    kind = ""
    if is_thumbnail:
        kind = "whose first page is a thumbnail"
    elif not is_known:
        kind = f"with {_OTHER_COMPRESSIONS.get(compression, f'compression {compression}')}"
    elif compression in _DEFLATE and page.one(_Tag.FILL_ORDER, 1) != 1:
        kind = "whose compressed bits are in reverse order"
    elif page.one(_Tag.SAMPLE_FORMAT, _UNSIGNED) != _UNSIGNED:
        kind = "of signed or floating-point numbers"
    elif page.one(_Tag.PHOTOMETRIC, 1) not in _COLOURS:
        kind = "of a colour space other than RGB and grey"
    elif bits[0] == _DEEP and page.one(_Tag.SAMPLES, 1) == _GREY_AND_ALPHA:
        kind = "of 16-bit grey with transparency"
    elif page.one(_Tag.SAMPLES, 1) > _MOST_SAMPLES[bits[0] == _DEEP] or any(page.extras[2:]):
        kind = f"of {bits[0]} bits with more channels than colours and transparency"
    elif page.one(_Tag.SAMPLES, 1) > 1 and page.one(_Tag.PHOTOMETRIC, 1) in _GREYS and page.extras != _ALPHA:
        kind = "of grey with a channel that is not transparency"
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
    with open_image(page.file(bounds.check_time), "TIFF", header, bounds) as image:
        pixels, opacity = pixels_of(image, divisor_for(image.size, bounds))
        if page.is_inverted:
            pixels = np.invert(pixels)
        profile = image.info.get("icc_profile")
        turned = orientation if orientation in range(1, 9) else 1
        fov = fov_of({"exif": data}, *image.size)  # EXIF data is a TIFF's own directory
        return upright(pixels, image.size, turned, opacity=opacity, profile=profile, fov=fov, exif=data)


@cache
def _silence_libtiff() -> None:
    """It writes a line on stderr for every error; Pillow raises an exception as well."""
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        if set_handler := getattr(ctypes.CDLL(_imaging.__file__), name, None):
            set_handler(None)
