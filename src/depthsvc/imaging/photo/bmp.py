"""BMP, uncompressed, as programs write it."""

from __future__ import annotations

import struct

from depthsvc.errors import UnsupportedMediaType
from depthsvc.imaging.photo.header import Coding, Header, checked, damaged
from depthsvc.imaging.photo.jpeg import Data
from depthsvc.imaging.photo.pillow import divisor_for, open_image, photo_of
from depthsvc.imaging.photo.pixels import Bounds, Photo

_FILE_BYTES = 14
_OLD_BYTES = 12
"""Bytes of the first header that Windows and OS/2 wrote."""
_OLD = struct.Struct("<4xHHHH")
"""Width, height, planes and bits a pixel."""
_NEW = struct.Struct("<4xiiHHI")
"""The same, and compression; a negative height is of a picture stored from top to bottom."""
_UNCOMPRESSED = {0, 3, 6}
"""None, and with masks for the bits of each colour."""


def bmp_header(data: Data) -> Header:
    """Raises BrokenImage for a damaged header, and UnsupportedMediaType for a compressed file."""
    compression = 0
    try:
        if int.from_bytes(data[_FILE_BYTES : _FILE_BYTES + 4], "little") == _OLD_BYTES:
            width, height, _, bits = _OLD.unpack_from(data, _FILE_BYTES)
        else:
            width, height, _, bits, compression = _NEW.unpack_from(data, _FILE_BYTES)
    except struct.error as error:
        raise damaged("BMP") from error
    if compression not in _UNCOMPRESSED:
        raise UnsupportedMediaType("This BMP file is compressed. Save it without compression, or as a PNG.")
    width, height = max(width, 0), abs(height)
    row = (width * bits + 31) // 32 * 4
    return checked(Header(Coding.BMP, width, height, len(data), row * height), "BMP")


def decode_bmp(data: bytes, header: Header, bounds: Bounds) -> Photo:
    """Decode a BMP, a large one with no more detail than `bounds.enough` needs."""
    with open_image(data, "BMP", header, bounds) as image:
        divisor = divisor_for(image.size, bounds)
        photo = photo_of(image, {}, divisor)
        if photo.opacity is not None and not photo.opacity.any():  # programs leave the alpha of opaque pixels at 0
            return photo_of(image.convert("RGB"), {}, divisor)
        return photo
