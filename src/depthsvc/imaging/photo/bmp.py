"""BMP, uncompressed, as programs write it."""

from __future__ import annotations

import struct

from PIL import Image

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
_FIRST_OF_OS2 = range(16, 40, 4)
"""Bytes of a header that leaves out what is 0; Pillow does not decode it."""
_UNCOMPRESSED = {0, 3, 6}
"""None, and with masks for the bits of each colour."""


def bmp_header(data: Data) -> Header:
    """Raises BrokenImage for a damaged header, and UnsupportedMediaType for a compressed file."""
    compression = 0
    header_bytes = int.from_bytes(data[_FILE_BYTES : _FILE_BYTES + 4], "little")
    if header_bytes in _FIRST_OF_OS2:
        raise _unusual()
    try:
        if header_bytes == _OLD_BYTES:
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
    """Decode a BMP, a large one with no more detail than `bounds.enough` needs.

    Raises UnsupportedMediaType for a layout of bits that Pillow does not decode.
    """
    with _opened(data, header, bounds) as image:
        divisor = divisor_for(image.size, bounds)
        photo = photo_of(image, {}, divisor)
        if photo.opacity is not None and not photo.opacity.any():  # programs leave the alpha of opaque pixels at 0
            return photo_of(image.convert("RGB"), {}, divisor)
        return photo


def _opened(data: bytes, header: Header, bounds: Bounds) -> Image.Image:
    try:
        return open_image(data, "BMP", header, bounds)
    except OSError as error:
        if "Unsupported BMP" in str(error):
            raise _unusual() from error
        raise


def _unusual() -> UnsupportedMediaType:
    return UnsupportedMediaType("This BMP file has an unusual layout. Save it with 24 bits a pixel, or as a PNG.")
