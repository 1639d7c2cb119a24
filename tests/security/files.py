"""Files that are made to harm a decoder, and what the service must answer to them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from tests.conftest import encoded
from tests.parity import photo

PIXELS = photo(120, 160)

WHOLE: dict[str, bytes] = {
    "jpeg": encoded(PIXELS, "JPEG"),
    "jpeg-progressive": encoded(PIXELS, "JPEG", progressive=True),
    "jpeg-cmyk": encoded(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"),
    "png": encoded(PIXELS, "PNG"),
    "png-palette": encoded(Image.fromarray(PIXELS).quantize(16), "PNG"),
    "png-16-bit": encoded(Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257), "PNG"),
    "webp": encoded(PIXELS, "WEBP"),
    "webp-lossless": encoded(PIXELS, "WEBP", lossless=True),
    "webp-animated": encoded(
        Image.fromarray(PIXELS), "WEBP", save_all=True, append_images=[Image.new("RGB", (160, 120))]
    ),
}
"""A good file of every kind that is taken."""


def png(width: int, height: int, *chunks: tuple[bytes, bytes], depth: int = 8, colour: int = 2) -> bytes:
    """A PNG with this header and these chunks, their checksums right."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        parts.append(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    return b"".join(parts)


def rows(width: int, height: int) -> bytes:
    """The compressed pixels of a black RGB PNG."""
    return zlib.compress(bytes((3 * width + 1) * height), 9)


def jpeg_of_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG that repeats one of its scans."""
    buffer = io.BytesIO()
    Image.new("L", (width, height), 128).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    first = data.index(b"\xff\xda")
    last = data.rindex(b"\xff\xda")
    return data[:first] + data[first:last] + data[last:-2] * scans + b"\xff\xd9"


def _jpeg_with(segment: bytes) -> bytes:
    """A JPEG with something between its first segment, which is 18 bytes long, and its second."""
    return WHOLE["jpeg"][:20] + segment + WHOLE["jpeg"][20:]


def _jpeg_size(width: int, height: int) -> bytes:
    data = bytearray(WHOLE["jpeg"])
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def _webp_size(width: int, height: int) -> bytes:
    data = bytearray(WHOLE["webp-lossless"])
    start = data.index(b"VP8L") + 9
    data[start : start + 4] = struct.pack("<I", (width - 1) | (height - 1) << 14)
    return bytes(data)


def black_png(width: int, height: int) -> bytes:
    """A black RGB PNG, as small as it can be."""
    return png(width, height, (b"IDAT", rows(width, height)))


BOMBS: dict[str, tuple[Callable[[], bytes], tuple[int, str]]] = {
    "a PNG of 2^31 pixels a side": (lambda: png(2**31 - 1, 2**31 - 1, (b"IDAT", b"")), (422, "too_many_pixels")),
    "a PNG of 51 megapixels in 150 kB": (
        lambda: black_png(8500, 6000),
        (422, "too_many_pixels"),
    ),
    "a PNG of a million pixels in one row": (
        lambda: black_png(10**6, 1),
        (422, "too_many_pixels"),
    ),
    "a PNG of no pixels": (lambda: black_png(0, 5), (400, "broken_image")),
    "a PNG with 100 times the pixels it declares": (lambda: png(10, 10, (b"IDAT", rows(1000, 1000))), (200, "")),
    "a PNG of 300,000 empty chunks": (lambda: png(9, 9, *[(b"IDAT", b"")] * 300_000), (400, "broken_image")),
    "a PNG of 300,000 unknown chunks": (lambda: png(9, 9, *[(b"junk", b"")] * 300_000), (400, "broken_image")),
    "a PNG whose profile is a zlib bomb": (
        lambda: png(9, 9, (b"iCCP", b"p\0\0" + zlib.compress(bytes(50_000_000))), (b"IDAT", rows(9, 9))),
        (200, ""),
    ),
    "a PNG whose text is a zlib bomb": (
        lambda: png(9, 9, (b"zTXt", b"t\0\0" + zlib.compress(bytes(50_000_000))), (b"IDAT", rows(9, 9))),
        (400, "broken_image"),
    ),
    "a PNG without pixels": (lambda: png(9, 9), (400, "broken_image")),
    "a JPEG of 65,500 x 65,500": (lambda: _jpeg_size(65500, 65500), (422, "too_many_pixels")),
    "a JPEG of 2,000 scans": (lambda: jpeg_of_scans(3000, 3000, 2000), (400, "broken_image")),
    "a JPEG of 80 scans over 49 megapixels": (lambda: jpeg_of_scans(7000, 7000, 80), (400, "broken_image")),
    "a JPEG of 500,000 comments": (lambda: _jpeg_with(b"\xff\xfe\x00\x02" * 500_000), (400, "broken_image")),
    "a JPEG whose EXIF is in 19,000 pieces": (
        lambda: _jpeg_with((b"\xff\xe1\x01\xf2Exif\0\0" + bytes(490 - 6)) * 19_000),
        (400, "broken_image"),
    ),
    "a JPEG with 5 MB of fill bytes": (lambda: _jpeg_with(b"\xff" * 5_000_000), (400, "broken_image")),
    "a JPEG with 5 MB of zeros between segments": (lambda: _jpeg_with(bytes(5_000_000)), (400, "broken_image")),
    "a WebP of 16,384 x 16,384": (lambda: _webp_size(16384, 16384), (422, "too_many_pixels")),
    "a JPEG that is a PNG after its first bytes": (lambda: b"\xff\xd8\xff" + WHOLE["png"], (400, "broken_image")),
    "a PNG that is a GIF after its first bytes": (
        lambda: b"\x89PNG\r\n\x1a\n" + encoded(PIXELS, "GIF"),
        (400, "broken_image"),
    ),
    "a GIF": (lambda: encoded(PIXELS, "GIF"), (415, "unsupported_media_type")),
    "a TIFF": (lambda: encoded(PIXELS, "TIFF"), (415, "unsupported_media_type")),
    "a BMP": (lambda: encoded(PIXELS, "BMP"), (415, "unsupported_media_type")),
    "an icon": (lambda: encoded(Image.fromarray(PIXELS[:64, :64]), "ICO"), (415, "unsupported_media_type")),
    "a PDF": (lambda: b"%PDF-1.7\n", (415, "unsupported_media_type")),
    "an SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", (415, "unsupported_media_type")),
    "a PPM": (lambda: encoded(PIXELS, "PPM"), (400, "not_an_image")),
    "a TGA": (lambda: encoded(PIXELS, "TGA"), (400, "not_an_image")),
    "a script": (lambda: b"#!/bin/sh\nrm -rf /\n", (400, "not_an_image")),
    "a pickle": (lambda: b"\x80\x04cos\nsystem\n(S'true'\ntR.", (400, "not_an_image")),
    "an EPS": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", (400, "not_an_image")),
    "nothing": (lambda: b"", (400, "missing_image")),
}
"""Hostile files by what they are, with the status and the code of the only right answer."""
