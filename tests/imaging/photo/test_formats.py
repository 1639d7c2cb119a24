"""Kinds of files that few programs write, each of them made here."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from depthsvc.errors import BrokenImage, UnsupportedMediaType
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.formats import format_of
from depthsvc.imaging.photo.pixels import Bounds, Photo
from tests.conftest import encoded
from tests.parity import photo
from tests.security.files import tiff

PIXELS = photo(30, 40)
GREY = PIXELS[..., 0]


def decoded(data: bytes) -> Photo:
    return decode(data, Bounds(10**6))


def grey_tiff(
    order: str, bits: int, *more: tuple[int, int, int, int], white_is_zero: bool = False, pixels: bytes
) -> bytes:
    """A TIFF of one strip in either byte order."""
    entries = [
        *((256, 4, 1, 40), (257, 4, 1, 30), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, int(not white_is_zero))),
        *((273, 4, 1, 300), (277, 3, 1, 1), (278, 4, 1, 30), (279, 4, 1, len(pixels))),
    ]
    directory = b""
    for tag, kind, count, value in sorted([*entries, *more]):
        short = kind == 3 and count == 1
        directory += struct.pack(f"{order}HHI", tag, kind, count)
        directory += struct.pack(f"{order}HH", value, 0) if short else struct.pack(f"{order}I", value)
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(f"{order}HIH", 42, 8, len(entries) + len(more))
    return (head + directory + bytes(4)).ljust(300, b"\0") + pixels


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_grey_tiff_of_every_kind(order: str, white_is_zero: bool, bits: int) -> None:
    stored = ~GREY if white_is_zero else GREY
    pixels = stored.tobytes() if bits == 8 else (stored.astype(np.uint16) * 257).astype(f"{order}u2").tobytes()
    data = grey_tiff(order, bits, white_is_zero=white_is_zero, pixels=pixels)
    assert np.array_equal(decoded(data).pixels[..., 1], GREY)


@pytest.mark.parametrize("entry", [(271, 2, 0, 0), (34675, 7, 0, 0), (34675, 7, 2_000_000, 8), (274, 3, 9, 10**9)])
def test_a_damaged_entry_that_nobody_needs_does_no_harm(entry: tuple[int, int, int, int]) -> None:
    data = grey_tiff("<", 8, entry, pixels=GREY.tobytes())
    assert np.array_equal(decoded(data).pixels[..., 1], GREY)


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        ([(258, 3, 1, 32), (339, 3, 1, 3)], "signed or floating-point numbers"),
        ([(259, 3, 1, 7)], "JPEG compression"),
        ([(259, 3, 1, 50000)], "Zstandard compression"),
        ([(258, 3, 1, 16), (277, 3, 1, 2)], "16-bit grey with transparency"),
        ([(50706, 1, 4, 4)], "camera's raw file"),
        ([(254, 4, 1, 1)], "camera's raw file"),
        ([(259, 3, 1, 6), (330, 4, 1, 8)], "camera's raw file"),
    ],
)
def test_a_tiff_that_is_no_ordinary_photo_is_named(entries: list[tuple[int, int, int, int]], kind: str) -> None:
    given = {tag for tag, *_ in entries}
    usual = [(256, 4, 1, 9), (257, 4, 1, 9), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]
    data = tiff(*sorted([*entries, *(entry for entry in usual if entry[0] not in given)]))
    with pytest.raises(UnsupportedMediaType, match=kind):
        decoded(data)


def test_what_a_gifs_first_frame_does_not_cover_is_transparent() -> None:
    data = bytearray(encoded(Image.fromarray(PIXELS).quantize(16), "GIF"))
    data[6:10] = struct.pack("<HH", 60, 50)
    result = decoded(bytes(data))
    assert (result.width, result.height) == (60, 50)
    assert result.opacity is not None
    assert (result.opacity[:30, :40] == 255).all()
    assert (result.opacity[30:] == 0).all()
    assert (result.opacity[:, 40:] == 0).all()


def test_a_transparent_value_of_16_bits_counts() -> None:
    values = GREY.astype(np.uint16) * 257
    values[:10] = 12_345
    result = decoded(encoded(Image.fromarray(values), transparency=12_345))
    assert result.opacity is not None
    assert (result.opacity[:10] == 0).all()
    assert (result.opacity[10:] == 255).all()


def test_a_bmp_whose_alpha_is_nothing_is_opaque() -> None:
    """Clipboards and programs for screenshots leave it at 0."""
    rows = np.dstack([PIXELS[::-1, :, ::-1], np.zeros((30, 40), np.uint8)]).tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = struct.pack("<IiiHHIIiiII", 108, 40, 30, 1, 32, 3, len(rows), 0, 0, 0, 0) + masks + bytes(52)
    data = b"BM" + struct.pack("<IHHI", 14 + len(head) + len(rows), 0, 0, 14 + len(head)) + head + rows
    result = decoded(data)
    assert result.opacity is None
    assert np.array_equal(result.pixels, PIXELS)


@pytest.mark.parametrize(
    ("beginning", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypMiHB\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x18ftypmiaf\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x18ftypavis\0\0\0\0msf1avif", "AVIF"),
        (b"BM\1\2\3\4\5\6\7\x08\x36\0\0\0\x28\0\0\0", "BMP"),
    ],
)
def test_a_format_is_known_by_its_brands(beginning: bytes, name: str) -> None:
    assert format_of(beginning + bytes(20)).name == name


def test_avif_with_another_main_brand_is_decoded() -> None:
    data = encoded(PIXELS, "AVIF")
    for brand in (b"mif1", b"miaf", b"msf1"):
        assert np.array_equal(decoded(data[:8] + brand + data[12:]).pixels, decoded(data).pixels)


def test_jpeg_ls_is_named() -> None:
    with pytest.raises(UnsupportedMediaType, match="This is a JPEG-LS file"):
        decoded(b"\xff\xd8\xff\xf7" + bytes(20))


def test_a_gif_with_a_thousand_extensions_is_refused() -> None:
    data = encoded(Image.fromarray(PIXELS).quantize(16), "GIF")
    at = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    with pytest.raises(BrokenImage):
        decoded(data[:at] + b"\x21\xfe\x01x\0" * 1000 + data[at:])
