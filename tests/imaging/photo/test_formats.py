"""Kinds of files that few programs write, each of them made here."""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
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
Order = Literal["<", ">"]
Samples = NDArray[np.uint8] | NDArray[np.uint16]


def decoded(data: bytes) -> Photo:
    return decode(data, Bounds(10**6))


def grey_tiff(
    order: str,
    bits: int,
    *more: tuple[int, int, int, int],
    white_is_zero: bool = False,
    pixels: bytes,
    width: int = 40,
    height: int = 30,
) -> bytes:
    """A TIFF of one strip in either byte order."""
    entries = [
        *(
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 1, bits),
            (259, 3, 1, 1),
            (262, 3, 1, int(not white_is_zero)),
        ),
        *((273, 4, 1, 300), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height * bits // 8)),
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


def in_strips(pixels: Samples, order: Order, predictor: int) -> bytes:
    """A deflated RGB TIFF of strips of 7 rows."""
    height, _width, _ = pixels.shape
    stored = pixels.copy()
    if predictor == 2:
        stored[:, 1:] -= pixels[:, :-1]
    rows = stored.astype(stored.dtype.newbyteorder(order))
    return deflated(order, pixels, [rows[top : top + 7] for top in range(0, height, 7)], (278, 7), (317, predictor))


def in_tiles(pixels: Samples, order: Order) -> bytes:
    """A deflated RGB TIFF of tiles of 16 x 32, beyond the picture's edges filled with ones."""
    height, width, _ = pixels.shape
    padded = np.ones((-(-height // 32) * 32, -(-width // 16) * 16, 3), pixels.dtype.newbyteorder(order))
    padded[:height, :width] = pixels
    tiles = [padded[y : y + 32, x : x + 16] for y in range(0, height, 32) for x in range(0, width, 16)]
    return deflated(order, pixels, tiles, (322, 16), (323, 32))


def in_planes(pixels: Samples, order: Order) -> bytes:
    """A deflated RGB TIFF whose red, green and blue are stored apart, each in strips of 11 rows."""
    strips = [pixels[top : top + 11, :, plane] for plane in range(3) for top in range(0, len(pixels), 11)]
    return deflated(order, pixels, strips, (278, 11), (284, 2))


def deflated(order: Order, pixels: Samples, parts: list[Any], *about: tuple[int, int]) -> bytes:
    """An RGB TIFF of deflated strips or tiles; entries of single numbers say what they are."""
    height, width, _ = pixels.shape
    pieces = [zlib.compress(part.tobytes()) for part in parts]
    tags = (324, 325) if (322, 16) in about else (273, 279)
    values = {256: [width], 257: [height], 258: [8 * pixels.itemsize] * 3, 259: [8], 262: [2], 277: [3]}
    values |= {tag: [value] for tag, value in about}
    starts = itertools.accumulate(map(len, pieces[:-1]), initial=8)
    values |= {tags[0]: list(starts), tags[1]: [len(piece) for piece in pieces]}
    at = 8 + sum(map(len, pieces))
    directory, behind = struct.pack(f"{order}H", len(values)), b""
    start = at + 2 + 12 * len(values) + 4
    for tag, numbers in sorted(values.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        place = packed if len(numbers) == 1 else struct.pack(f"{order}I", start + len(behind))
        directory += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + place
        behind += b"" if len(numbers) == 1 else packed
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, at)
    return b"".join([head, *pieces, directory, bytes(4), behind])


@pytest.mark.parametrize("order", ["<", ">"])
def test_deflated_tiff_of_every_kind(order: Order) -> None:
    for pixels in (PIXELS, PIXELS.astype(np.uint16) * 257):
        for predictor in (1, 2):
            assert np.array_equal(decoded(in_strips(pixels, order, predictor)).pixels, PIXELS)
        assert np.array_equal(decoded(in_tiles(pixels, order)).pixels, PIXELS)
    assert np.array_equal(decoded(in_planes(PIXELS, order)).pixels, PIXELS)


def test_a_tiff_may_be_one_large_strip() -> None:
    data = grey_tiff("<", 8, pixels=b"", width=9000, height=8000) + bytes(9000 * 8000)
    assert decode(data, Bounds(10**8)).pixels.shape == (8000, 9000, 3)


def test_a_tiff_with_tiles_far_larger_than_its_picture_is_refused() -> None:
    with pytest.raises(BrokenImage, match="far larger than its picture"):
        decoded(grey_tiff("<", 8, (322, 4, 1, 30_000), (323, 4, 1, 30_000), pixels=GREY.tobytes()))


def test_a_damaged_deflated_tiff_is_broken() -> None:
    data = bytearray(in_strips(PIXELS, "<", 1))
    data[8:40] = bytes(32)
    with pytest.raises(BrokenImage):
        decoded(bytes(data))


@pytest.mark.parametrize("entry", [(271, 2, 0, 0), (34675, 7, 0, 0), (34675, 7, 2_000_000, 8), (274, 3, 9, 10**9)])
def test_a_damaged_entry_that_nobody_needs_does_no_harm(entry: tuple[int, int, int, int]) -> None:
    data = grey_tiff("<", 8, entry, pixels=GREY.tobytes())
    assert np.array_equal(decoded(data).pixels[..., 1], GREY)


@pytest.mark.parametrize("extras", [(2, 2), (2, 1), (1, 2), (0, 2), (2, 0)])
def test_a_tiff_may_have_a_saved_selection_beside_its_transparency(extras: tuple[int, int]) -> None:
    samples = np.dstack([PIXELS, np.full((30, 40, 2), 255, np.uint8)])
    more = [(262, 3, 1, 2), (273, 4, 1, 300), (277, 3, 1, 5), (338, 3, 2, extras[0] | extras[1] << 16)]
    usual = [(256, 4, 1, 40), (257, 4, 1, 30), (258, 3, 1, 8), (259, 3, 1, 1), (278, 4, 1, 30), (279, 4, 1, 6000)]
    data = tiff(*sorted([*usual, *more])).ljust(300, b"\0") + samples.tobytes()
    assert np.array_equal(decoded(data).pixels, PIXELS)


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        ([(258, 3, 1, 32), (339, 3, 1, 3)], "signed or floating-point numbers"),
        ([(259, 3, 1, 7)], "JPEG compression"),
        ([(259, 3, 1, 50000)], "Zstandard compression"),
        ([(258, 3, 1, 16), (277, 3, 1, 2)], "16-bit grey with transparency"),
        ([(50706, 1, 4, 4)], "camera's raw file"),
        ([(254, 4, 1, 1), (271, 2, 4, 0x00524550)], "camera's raw file"),
        ([(254, 4, 1, 1)], "whose first page is a thumbnail"),
        ([(258, 3, 1, 16), (277, 3, 1, 5)], "more channels than colours and transparency"),
        ([(277, 3, 1, 7), (262, 3, 1, 2)], "more channels than colours and transparency"),
        ([(277, 3, 1, 2), (338, 3, 1, 1)], "grey with a channel that is not transparency"),
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
    ("bits", "masks"),
    [
        pytest.param(16, (0xF00, 0xF0, 0xF), id="4 bits a colour"),
        pytest.param(16, (0x1F, 0x7E0, 0xF800), id="blue first"),
        pytest.param(32, (0x3FF00000, 0xFFC00, 0x3FF), id="10 bits a colour"),
        pytest.param(32, (0xFF, 0xFF00, 0xFF0000), id="red first"),
    ],
)
def test_a_bmp_of_another_layout_is_named(bits: int, masks: tuple[int, int, int]) -> None:
    head = struct.pack("<IiiHHIIiiII", 40, 40, 30, 1, bits, 3, 0, 0, 0, 0, 0) + struct.pack("<III", *masks)
    data = b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(head)) + head + bytes(30 * 40 * bits // 8)
    with pytest.raises(UnsupportedMediaType, match="unusual layout"):
        decoded(data)


def test_a_bmp_with_a_short_header_is_named() -> None:
    data = b"BM" + struct.pack("<IHHIIiiHH", 0, 0, 0, 30, 16, 40, 30, 1, 24) + bytes(30 * 120)
    with pytest.raises(UnsupportedMediaType, match="unusual layout"):
        decoded(data)


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
