from __future__ import annotations

import struct

import pytest
from PIL import ExifTags, Image, PngImagePlugin

from depthsvc.errors import BrokenImage
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.structure import check_jpeg_scans, check_jpeg_segments, essential_png
from tests.conftest import encoded, opened
from tests.parity import photo

JPEG = encoded(photo(60, 80), "JPEG", progressive=True)
PNG = encoded(photo(60, 80))


def test_ordinary_files_pass_unchanged() -> None:
    check_jpeg_segments(JPEG)
    check_jpeg_scans(JPEG, 60 * 80)
    assert essential_png(PNG) == PNG


@pytest.mark.parametrize(
    ("scans", "pixels", "taken"), [(100, 10_000_000, True), (101, 1, False), (21, 50_000_000, False)]
)
def test_scans_are_bounded_by_their_number_and_their_size(scans: int, pixels: int, taken: bool) -> None:
    data = b"\xff\xda" * scans
    if taken:
        check_jpeg_scans(data, pixels)
    else:
        with pytest.raises(BrokenImage, match=f"{scans} scans"):
            check_jpeg_scans(data, pixels)


def test_a_huge_baseline_jpeg_is_no_bomb() -> None:
    check_jpeg_scans(b"\xff\xda", 178_000_000)


@pytest.mark.parametrize("between", [b"\xff\xfe\x00\x02" * 1001, b"\xff" * 1001, bytes(70_000), b"\xff\xd0" * 1001])
def test_segments_of_a_jpeg_are_bounded(between: bytes) -> None:
    with pytest.raises(BrokenImage, match="Save it again"):
        check_jpeg_segments(JPEG[:20] + between + JPEG[20:])


def test_a_png_loses_what_its_pixels_do_not_need() -> None:
    information = PngImagePlugin.PngInfo()
    information.add_text("comment", "kept")
    information.add_text("long", "x" * 2_000_000)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    profile = bytes(3_000_000)
    data = encoded(photo(60, 80), pnginfo=information, exif=exif, icc_profile=profile)
    essential = essential_png(data)
    assert (b"iCCP" in data, b"iCCP" in essential) == (True, False)
    assert len(essential) < len(data) - 2_000_000
    assert opened(essential).info["comment"] == "kept"
    assert (decode(data, max_pixels=10**6).width, decode(data, max_pixels=10**6).height) == (60, 80)


@pytest.mark.parametrize("cut", range(8, len(PNG), 997))
def test_a_png_that_is_cut_off_stays_so(cut: int) -> None:
    assert essential_png(PNG[:cut]) == PNG[:cut]


def test_chunks_of_a_png_are_bounded() -> None:
    empty = struct.pack(">I", 0) + b"IDAT" + bytes(4)
    with pytest.raises(BrokenImage, match="more than 20000 chunks"):
        essential_png(PNG[:33] + empty * 20_000 + PNG[33:])
