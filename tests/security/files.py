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
    "avif": encoded(PIXELS, "AVIF"),
    "avif-alpha": encoded(np.dstack([PIXELS, PIXELS[..., 0]]), "AVIF"),
    "heic": encoded(PIXELS, "HEIF"),
    "heic-alpha": encoded(np.dstack([PIXELS, PIXELS[..., 0]]), "HEIF"),
    "tiff": encoded(PIXELS, "TIFF"),
    "tiff-lzw": encoded(PIXELS, "TIFF", compression="tiff_lzw"),
    "tiff-deflate": encoded(PIXELS, "TIFF", compression="tiff_adobe_deflate"),
    "tiff-16-bit": encoded(PIXELS[..., 0].astype(np.uint16) * 257, "TIFF"),
    "bmp": encoded(PIXELS, "BMP"),
    "bmp-palette": encoded(Image.fromarray(PIXELS).quantize(16), "BMP"),
    "gif": encoded(Image.fromarray(PIXELS).quantize(64), "GIF"),
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


def tiff(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A little-endian TIFF with these entries: tag, type, number of values, and value or place.

    `following`: the place of the next page.
    """
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + directory + struct.pack("<I", following)


def tiff_of(width: int, height: int, *more: tuple[int, int, int, int], following: int = 0) -> bytes:
    """An RGB TIFF of one strip that lies right behind its directory, and what else its directory says."""
    given = {entry[0] for entry in more}
    usual = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    usual += [(273, 4, 1, 200), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, min(width * height, 2**31))]
    entries = sorted([entry for entry in usual if entry[0] not in given] + list(more))
    return tiff(*entries, following=following).ljust(200, b"\0") + bytes(min(width * height, 1000))


def _changed(data: bytes, before: bytes, after: bytes) -> bytes:
    """A file with something else in one place."""
    assert before in data
    return data.replace(before, after, 1)


def _box_size(data: bytes, width: int, height: int) -> bytes:
    """A HEIC or AVIF that says it is as large as this."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


def box(kind: bytes, content: bytes) -> bytes:
    """A box of a HEIC or AVIF."""
    return struct.pack(">I4s", 8 + len(content), kind) + content


_BROKEN = (400, "broken_image")
_TOO_LARGE = (422, "too_many_pixels")
_ODD = (415, "unsupported_media_type")
_AVIF_START = box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")
_HEIC_START = box(b"ftyp", b"heic\0\0\0\0mif1heic")
_GIF_START = b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0x80, 0, 0) + bytes(6)
_GIF_FRAME = b"\x2c" + struct.pack("<HHHHB", 0, 0, 9, 9, 0)
_GIF_PIXELS = b"\2\x0a\x84\x8f\xa9\xcb\xed\x0f\xa3\x9c\xb4\0;"
NEW_BOMBS: dict[str, tuple[Callable[[], bytes], tuple[int, str]]] = {
    "a TIFF of 2^32 pixels a side": (lambda: tiff_of(2**32 - 1, 2**32 - 1), _TOO_LARGE),
    "a TIFF of a gigapixel": (lambda: tiff_of(40_000, 40_000, (278, 4, 1, 10)), _TOO_LARGE),
    "a TIFF of no pixels": (lambda: tiff_of(0, 9), _BROKEN),
    "a TIFF with a strip of 100 MB": (lambda: tiff_of(10_000, 10_000), _BROKEN),
    "a TIFF with a tile of 4 GB": (lambda: tiff_of(9, 9, (322, 4, 1, 65_536), (323, 4, 1, 65_536)), _BROKEN),
    "a TIFF with tiles of nothing": (lambda: tiff_of(9, 9, (322, 4, 1, 0), (323, 4, 1, 0)), _BROKEN),
    "a TIFF whose strips lie outside it": (lambda: tiff_of(90, 90, (273, 4, 500, 2**31)), _BROKEN),
    "a TIFF of a billion strips": (lambda: tiff_of(90, 90, (273, 4, 10**9, 8)), _BROKEN),
    "a TIFF of 65,000 samples a pixel": (lambda: tiff_of(900, 900, (277, 3, 1, 65_000)), _ODD),
    "a TIFF whose entries all name 5 MB": (
        lambda: tiff(*[(tag, 7, 5_000_000, 0) for tag in range(40_000, 50_000)]) + bytes(5_000_000),
        _BROKEN,
    ),
    "a TIFF of 65,535 entries": (lambda: tiff_of(9, 9, *[(60_000, 3, 1, 1)] * 65_000), (200, "")),
    "a TIFF without a directory": (lambda: b"II*\0" + struct.pack("<I", 2**31) + bytes(100), _BROKEN),
    "a TIFF whose next page is itself": (lambda: tiff_of(9, 9, following=8), (200, "")),
    "a BigTIFF": (lambda: b"II+\0\x08\0\0\0" + bytes(100), _ODD),
    "a TIFF of floating-point numbers": (lambda: tiff_of(9, 9, (258, 3, 1, 32), (339, 3, 1, 3)), _ODD),
    "a TIFF of JPEG data": (lambda: tiff_of(9, 9, (259, 3, 1, 7)), _ODD),
    "a DNG": (lambda: tiff_of(9, 9, (50706, 1, 4, 4)), _ODD),
    "a NEF": (lambda: tiff_of(9, 9, (254, 4, 1, 1)), _ODD),
    "a BMP of 2^31 pixels a side": (
        lambda: WHOLE["bmp"][:18] + struct.pack("<ii", 2**31 - 1, -(2**31)) + WHOLE["bmp"][26:],
        _TOO_LARGE,
    ),
    "a BMP of negative width": (lambda: WHOLE["bmp"][:18] + struct.pack("<i", -9) + WHOLE["bmp"][22:], _BROKEN),
    "a BMP of 90 megapixels in 57 kB": (
        lambda: WHOLE["bmp"][:18] + struct.pack("<ii", 9000, 10_000) + WHOLE["bmp"][26:],
        _BROKEN,
    ),
    "a BMP whose pixels lie outside it": (lambda: WHOLE["bmp"][:10] + b"\xff\xff\xff\x7f" + WHOLE["bmp"][14:], _BROKEN),
    "a run-length encoded BMP": (lambda: WHOLE["bmp-palette"][:30] + b"\1\0\0\0" + WHOLE["bmp-palette"][34:], _ODD),
    "a GIF whose frame is larger than itself": (
        lambda: _GIF_START + b"\x2c" + struct.pack("<HHHHB", 9, 9, 65_535, 65_535, 0) + _GIF_PIXELS,
        _TOO_LARGE,
    ),
    "a GIF of 65,535 x 65,535": (
        lambda: b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + _GIF_FRAME + _GIF_PIXELS,
        _TOO_LARGE,
    ),
    "a GIF of 30,000 comments": (
        lambda: _GIF_START + (b"\x21\xfe\xff" + bytes(255) + b"\0") * 30_000 + _GIF_FRAME + _GIF_PIXELS,
        _BROKEN,
    ),
    "a GIF with a comment of 8 MB": (
        lambda: _GIF_START + b"\x21\xfe" + (b"\xff" + bytes(255)) * 30_000 + b"\0" + _GIF_FRAME + _GIF_PIXELS,
        (200, ""),
    ),
    "a GIF without frames": (lambda: _GIF_START + b";", _BROKEN),
    "a GIF whose frame never ends": (lambda: _GIF_START + _GIF_FRAME + b"\2" + b"\1\0" * 10, _BROKEN),
    "a HEIC of 2^32 pixels a side": (lambda: _box_size(WHOLE["heic"], 2**32 - 1, 2**32 - 1), _TOO_LARGE),
    "an AVIF of a gigapixel": (lambda: _box_size(WHOLE["avif"], 40_000, 40_000), _TOO_LARGE),
    "an AVIF of another size than it says": (lambda: _box_size(WHOLE["avif"], 90, 90), (200, "")),
    "a HEIC without boxes": (lambda: _HEIC_START, _BROKEN),
    "an AVIF of a million empty boxes": (lambda: _AVIF_START + box(b"free", b"") * 1_000_000, _BROKEN),
    "an AVIF with 5 MB of items": (lambda: _AVIF_START + box(b"meta", bytes(5_000_000)), _BROKEN),
    "a HEIC whose box ends outside it": (lambda: _HEIC_START + struct.pack(">I4s", 2**31, b"meta"), _BROKEN),
    "a HEIC whose box has 2^64 bytes": (
        lambda: _HEIC_START + struct.pack(">I4sQ", 1, b"meta", 2**64 - 1) + bytes(50),
        _BROKEN,
    ),
    "a HEIC of unknown items": (lambda: _changed(WHOLE["heic"], b"pitm", b"free"), _BROKEN),
    "a HEIC without its pixels": (lambda: _changed(WHOLE["heic"], b"hvcC", b"free"), _BROKEN),
    "an AVIF without its pixels": (lambda: _changed(WHOLE["avif"], b"av1C", b"free"), _BROKEN),
}
"""The same for formats that few programs write."""

_EXIF_TEXT = b"Raw profile type exif\0\0"
BOMBS: dict[str, tuple[Callable[[], bytes], tuple[int, str]]] = {
    **NEW_BOMBS,
    "a PNG of 2^31 pixels a side": (lambda: png(2**31 - 1, 2**31 - 1, (b"IDAT", b"")), (422, "too_many_pixels")),
    "a PNG of 121 megapixels in 350 kB": (
        lambda: black_png(11_000, 11_000),
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
        (200, ""),
    ),
    "a PNG whose EXIF text is a zlib bomb": (
        lambda: png(9, 9, (b"zTXt", _EXIF_TEXT + zlib.compress(bytes(50_000_000))), (b"IDAT", rows(9, 9))),
        (200, ""),
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
    "an icon": (lambda: encoded(Image.fromarray(PIXELS[:64, :64]), "ICO"), (415, "unsupported_media_type")),
    "a PDF": (lambda: b"%PDF-1.7\n", (415, "unsupported_media_type")),
    "an SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", (415, "unsupported_media_type")),
    "a PPM": (lambda: encoded(PIXELS, "PPM"), (415, "unsupported_media_type")),
    "a TGA": (lambda: encoded(PIXELS, "TGA"), (400, "not_an_image")),
    "a script": (lambda: b"#!/bin/sh\nrm -rf /\n", (400, "not_an_image")),
    "a pickle": (lambda: b"\x80\x04cos\nsystem\n(S'true'\ntR.", (400, "not_an_image")),
    "an EPS": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", (415, "unsupported_media_type")),
    "nothing": (lambda: b"", (400, "missing_image")),
}
"""Hostile files by what they are, with the status and the code of the only right answer."""
