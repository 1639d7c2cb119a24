from __future__ import annotations

import struct
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from depthsvc.imaging.photo.decode import decode, photo_of_image
from depthsvc.imaging.photo.orientation import orientation_of
from depthsvc.imaging.photo.pixels import Bounds
from tests.conftest import encoded, opened
from tests.parity import photo

PIXELS = photo(16, 24)
XMP = '<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def block(*entries: tuple[int, int, int, int], order: str = "<", count: int | None = None) -> bytes:
    """An EXIF block whose first directory has these entries: tag, type, number of values, and value."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, count or len(entries))
    return b"Exif\0\0" + head + b"".join(struct.pack(f"{order}HHIHxx", *entry) for entry in entries)


@pytest.mark.parametrize("order", "<>")
def test_the_orientation_is_found_among_other_entries(order: str) -> None:
    exif = block((0x010F, 2, 4, 100), (0x0112, 3, 1, 8), (0x0131, 2, 4, 100), order=order)
    assert orientation_of({"exif": exif}) == 8
    assert orientation_of({"exif": exif.removeprefix(b"Exif\0\0")}) == 8


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        block((0x0112, 2, 1, 6)),
        block((0x010F, 2, 4, 6)),
        block((0x010F, 2, 4, 6), count=65_535),
        b"II*\0" + struct.pack("<IH", 8, 1) + b"\x12\x01\x03",
    ],
)
def test_a_photo_without_a_valid_orientation_is_upright(exif: bytes) -> None:
    assert orientation_of({"exif": exif}) == 1
    assert orientation_of({"exif": exif, "xmp": XMP.encode()}) == 6


@pytest.mark.parametrize("value", [0, 9, 65_535])
def test_an_impossible_orientation_is_none_and_xmp_does_not_count_then(value: int) -> None:
    assert orientation_of({"exif": block((0x0112, 3, 1, value)), "xmp": XMP.encode()}) == 1


def test_what_odd_programs_write_is_read() -> None:
    exif = block((0x0112, 3, 1, 6))
    assert orientation_of({"exif": b"Exif\0\0" + exif}) == 6, "the prefix twice"
    assert orientation_of({"exif": block((0x0112, 4, 1, 6))}) == 6, "a long number"
    big = b"MM\0*" + struct.pack(">IHHHII", 8, 1, 0x0112, 4, 1, 6)
    assert orientation_of({"exif": big}) == 6


def test_many_entries_are_not_read_by_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would copy the values of them all: gigabytes, if they point to the same megabytes."""
    monkeypatch.delattr(Image.Image, "getexif")
    entries = [(tag, 1, 1_000_000, 8) for tag in range(0x1000, 0x2000)]
    exif = block((0x0112, 3, 1, 6), *entries)
    for format in ("JPEG", "PNG", "WEBP"):
        assert decode(encoded(PIXELS, format, exif=exif), Bounds(10**6)).width == 16


def _as_text(exif: bytes) -> PngImagePlugin.PngInfo:
    information = PngImagePlugin.PngInfo()
    information.add_text("Raw profile type exif", f"\nexif\n{len(exif)}\n{exif.hex()}", zip=True)
    return information


def _with_xmp() -> PngImagePlugin.PngInfo:
    information = PngImagePlugin.PngInfo()
    information.add_itxt("XML:com.adobe.xmp", XMP)
    return information


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("PNG", {"pnginfo": _as_text(block((0x0112, 3, 1, 6)))}),
        ("PNG", {"pnginfo": _with_xmp()}),
        ("JPEG", {"xmp": XMP.encode()}),
        ("WEBP", {"xmp": XMP.encode()}),
    ],
)
def test_it_is_found_wherever_programs_write_it(format: str, options: dict[str, Any]) -> None:
    assert decode(encoded(PIXELS, format, **options), Bounds(10**6)).width == 16


def test_a_text_that_is_not_hexadecimal_does_not_matter() -> None:
    assert orientation_of({"Raw profile type exif": "\nexif\n3\nno hex"}) == 1


def test_an_open_image_is_turned_by_what_pillow_knows_of_it() -> None:
    image = opened(encoded(PIXELS))
    assert photo_of_image(image).width == 24
    image.getexif()[0x0112] = 6
    assert photo_of_image(image).width == 16
