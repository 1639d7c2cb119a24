"""HEIC and AVIF: the primary picture of a file of boxes (ISO/IEC 14496-12 and 23008-12).

Only the boxes that tell its size are read here; libheif and libavif read them again.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from PIL import AvifImagePlugin, Image

from depthsvc.errors import BrokenImage
from depthsvc.imaging.photo.exif import exif_of, fov_of
from depthsvc.imaging.photo.header import Coding, Header, checked, damaged
from depthsvc.imaging.photo.jpeg import Data
from depthsvc.imaging.photo.orientation import UPRIGHT
from depthsvc.imaging.photo.pillow import divisor_for, open_image, photo_of, pixels_of
from depthsvc.imaging.photo.pixels import Bounds, Photo, upright
from depthsvc.imaging.wide_gamut import profile_of

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # as many photos are decoded at once as there are workers

_MAX_BOXES = 10_000
"""Boxes of one kind of container, and items of a file; a photo of 200 megapixels has about a thousand."""
_MAX_META_BYTES = 4_000_000
"""Bytes of the boxes that describe a file's items."""
_MAX_TILED = 2.0
"""Pixels of all tiles of a picture, as a multiple of the picture's; tiles are cut at its right and bottom."""
_SLACK_PIXELS = 1_000_000
"""Pixels that tiles may have beyond that: those of a small picture can be larger than itself."""


class _Box(NamedTuple):
    kind: bytes
    start: int
    """Where its content begins."""
    end: int


@dataclass(frozen=True)
class _Picture:
    """What a file says of its primary picture."""

    stored: tuple[int, int]
    """Width and height in pixels."""
    cropped: tuple[int, int]
    """The same of the part that is to be shown; libheif crops, libavif does not."""
    tiled: int
    """Pixels of all its tiles, or its own."""
    is_quarter_turned: bool
    """Whether it is to be turned by a right angle."""
    is_turned: bool
    """Whether it is to be turned or mirrored at all."""
    profile: bytes | None
    """For its colours, if they are described by numbers."""
    exif_types: tuple[int, ...]
    """Where the file says that items are EXIF data."""


def heic_header(data: Data) -> Header:
    """Raises BrokenImage if the boxes are damaged, too many, or do not tell the primary picture's size."""
    picture = _picture(data, "HEIC")
    return _header(data, Coding.HEIC, "HEIC", picture.cropped, picture.tiled)


def avif_header(data: Data) -> Header:
    """Raises BrokenImage as `heic_header` does."""
    picture = _picture(data, "AVIF")
    return _header(data, Coding.AVIF, "AVIF", picture.stored, picture.tiled)


def _header(data: Data, coding: Coding, name: str, size: tuple[int, int], tiled: int) -> Header:
    header = checked(Header(coding, *size, len(data), tiled), name)
    if tiled > _MAX_TILED * header.pixels + _SLACK_PIXELS:
        raise damaged(name)
    return header


def decode_heic(data: bytes, header: Header, bounds: Bounds) -> Photo:
    """Decode the primary picture of a HEIC, as libheif turns it, or else as its EXIF or XMP data say."""
    picture = _picture(data, "HEIC")
    with _opened(data) as image:
        size = (header.height, header.width) if picture.is_quarter_turned else (header.width, header.height)
        if any(abs(found - said) > 1 for found, said in zip(image.size, size, strict=True)):  # odd crops are rounded
            raise ValueError(f"libheif finds {image.size}")
        pixels, opacity = pixels_of(image, divisor_for(image.size, bounds))
        named: int = image.info.get("original_orientation") or UPRIGHT
        orientation = named if named in range(1, 9) and not picture.is_turned else UPRIGHT
        profile = image.info.get("icc_profile") or picture.profile
        fov = fov_of(image.info, *image.size)
        exif = exif_of(image.info)
        return upright(pixels, image.size, orientation, opacity=opacity, profile=profile, fov=fov, exif=exif)


def _opened(data: bytes) -> Image.Image:
    """A HEIC in Pillow's terms, with nothing but its primary picture. Decoded in one thread."""
    import pi_heif.as_plugin  # the libraries behind it are for the workers alone
    from pi_heif import options

    options.DECODE_THREADS, options.THUMBNAILS, options.DEPTH_IMAGES, options.AUX_IMAGES = 1, False, False, False
    image: Image.Image = pi_heif.as_plugin.HeifImageFile(io.BytesIO(data))
    return image


def decode_avif(data: bytes, header: Header, bounds: Bounds) -> Photo:
    """Decode the primary picture of an AVIF. Its boxes say how it is to be turned; EXIF data does not count."""
    picture = _picture(data, "AVIF")
    with open_image(_without_exif(data, picture), "AVIF", header, bounds) as image:
        metadata = {"icc_profile": picture.profile, **image.info}
        return photo_of(image, metadata, divisor_for(image.size, bounds))


def _without_exif(data: bytes, picture: _Picture) -> bytes:
    """The file with its EXIF items called something else: Pillow would read all of them, and turn by them.

    Its main brand becomes one that Pillow knows.
    """
    changed = bytearray(data)
    changed[8:12] = b"avif"
    for at in picture.exif_types:
        changed[at : at + 4] = b"free"
    return bytes(changed)


def _picture(data: Data, name: str) -> _Picture:
    """Raises BrokenImage."""
    try:
        return _primary_picture(data)
    except (struct.error, LookupError, ValueError, ZeroDivisionError) as error:
        raise damaged(name) from error


def _primary_picture(data: Data) -> _Picture:
    """Raises struct.error, LookupError, ValueError or BrokenImage for damaged boxes."""
    meta = _box(data, b"meta", 0, len(data))
    if meta.end - meta.start > _MAX_META_BYTES:
        raise BrokenImage("The file has too many boxes. Save it again with another program.")
    boxes = {box.kind: box for box in _boxes(data, meta.start + 4, meta.end)}
    version, primary = data[boxes[b"pitm"].start], boxes[b"pitm"].start + 4
    (item,) = struct.unpack_from(">I" if version else ">H", data, primary)
    properties = _Properties(data, boxes[b"iprp"])
    stored = properties.size(item)
    tiles = _references(data, boxes[b"iref"]).get(item, ()) if b"iref" in boxes else ()
    tiled = sum(columns * rows for columns, rows in map(properties.size, tiles)) if tiles else math.prod(stored)
    angle = properties.angle(item)
    return _Picture(
        stored,
        cropped=properties.crop(item) or stored,
        tiled=tiled,
        is_quarter_turned=bool(angle & 1),
        is_turned=bool(angle) or properties.is_mirrored(item),
        profile=properties.profile(item),
        exif_types=tuple(_exif_types(data, boxes[b"iinf"])),
    )


class _Properties:
    """The sizes and turns of items."""

    def __init__(self, data: Data, iprp: _Box) -> None:
        self._data = data
        container = _box(data, b"ipco", iprp.start, iprp.end)
        self._all = [None, *_boxes(data, container.start, container.end)]
        self._of: dict[int, tuple[int, ...]] = {}
        for box in _boxes(data, iprp.start, iprp.end):
            if box.kind == b"ipma":  # some programs write one for each item
                self._of |= _associations(data, box)

    def _first(self, item: int, kind: bytes) -> _Box | None:
        """An item's property of a kind."""
        found = (self._all[number] for number in self._of.get(item, ()))
        return next((box for box in found if box is not None and box.kind == kind), None)

    def size(self, item: int) -> tuple[int, int]:
        """Width and height of a picture. Raises LookupError if the file does not tell."""
        box = self._first(item, b"ispe")
        if box is None:
            raise LookupError("no size")
        width, height = struct.unpack_from(">II", self._data, box.start + 4)
        return width, height

    def crop(self, item: int) -> tuple[int, int] | None:
        """Width and height of the part of a picture that is to be shown, if it is not all of it."""
        box = self._first(item, b"clap")
        if box is None:
            return None
        width, width_parts, height, height_parts = struct.unpack_from(">4I", self._data, box.start)
        return width // width_parts, height // height_parts

    def profile(self, item: int) -> bytes | None:
        """A profile for a picture whose colours are described by numbers."""
        for number in self._of.get(item, ()):
            box = self._all[number]
            if box is not None and box.kind == b"colr" and self._data[box.start : box.start + 4] == b"nclx":
                return profile_of(*struct.unpack_from(">HH", self._data, box.start + 4))
        return None

    def angle(self, item: int) -> int:
        """By how many right angles a picture is to be turned."""
        box = self._first(item, b"irot")
        return self._data[box.start] & 3 if box else 0

    def is_mirrored(self, item: int) -> bool:
        """Whether a picture is to be mirrored."""
        return self._first(item, b"imir") is not None


def _box(data: Data, kind: bytes, start: int, end: int) -> _Box:
    """The first box of a kind. Raises LookupError if there is none."""
    found = next((box for box in _boxes(data, start, end) if box.kind == kind), None)
    if found is None:
        raise LookupError(kind)
    return found


def _boxes(data: Data, start: int, end: int) -> Iterator[_Box]:
    """The boxes in a part of a file. Raises struct.error or ValueError if they are damaged or too many."""
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        content = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, content)
            content += 8
        stop = end if size == 0 else start + size
        if not content <= stop <= end:
            raise ValueError("a box ends outside its container")
        yield _Box(kind, content, stop)
        start = stop
    raise ValueError("too many boxes")


def _associations(data: Data, ipma: _Box) -> dict[int, tuple[int, ...]]:
    """The numbers of each item's properties."""
    version, wide = data[ipma.start], data[ipma.start + 3] & 1
    (count,) = struct.unpack_from(">I", data, ipma.start + 4)
    position, associations = ipma.start + 8, {}
    for _ in range(min(count, _MAX_BOXES)):
        (item,) = struct.unpack_from(">I" if version else ">H", data, position)
        position += 4 if version else 2
        number, position = data[position], position + 1
        found = struct.unpack_from(f">{number}{'H' if wide else 'B'}", data, position)
        position += number * (2 if wide else 1)
        associations[item] = tuple(one & (0x7FFF if wide else 0x7F) for one in found)
    return associations


def _references(data: Data, iref: _Box) -> dict[int, tuple[int, ...]]:
    """The tiles of each picture that has some."""
    wide = data[iref.start]
    letter, tiles = ("I" if wide else "H"), {}
    for box in _boxes(data, iref.start + 4, iref.end):
        if box.kind == b"dimg":
            item, count = struct.unpack_from(f">{letter}H", data, box.start)
            start = box.start + struct.calcsize(f">{letter}H")
            tiles[item] = struct.unpack_from(f">{count}{letter}", data, start)
    return tiles


def _exif_types(data: Data, iinf: _Box) -> Iterator[int]:
    """Where entries of items say that they are EXIF data."""
    start = iinf.start + (8 if data[iinf.start] else 6)
    for box in _boxes(data, start, iinf.end):
        at = box.start + (10 if data[box.start] == 3 else 8)
        if box.kind == b"infe" and data[at : at + 4] == b"Exif":
            yield at
