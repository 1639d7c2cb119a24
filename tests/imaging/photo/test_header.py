"""What the first bytes say of the work: photos are admitted or refused by it, so it must be right."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from benchmarks.material import interlaced_png
from depthsvc.errors import BrokenImage, UnsupportedMediaType
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.formats import header_of
from depthsvc.imaging.photo.header import Coding, Header
from depthsvc.imaging.photo.pixels import Bounds
from tests.conftest import encoded
from tests.parity import photo

PIXELS = photo(30, 41)
GREY = PIXELS[..., 0]


@pytest.mark.parametrize(
    ("data", "coding", "coded"),
    [
        (encoded(PIXELS, "JPEG", subsampling=0), Coding.JPEG, 3 * 30 * 41),
        (encoded(PIXELS, "JPEG", subsampling=2), Coding.JPEG, 1.5 * 30 * 41),
        (encoded(GREY, "JPEG"), Coding.JPEG, 30 * 41),
        (encoded(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"), Coding.JPEG, 4 * 30 * 41),
        (encoded(PIXELS, "JPEG", progressive=True, subsampling=0), Coding.PROGRESSIVE_JPEG, (3 + 3 + 8) * 30 * 41),
        (encoded(PIXELS), Coding.PNG, 30 * (1 + 3 * 41)),
        (encoded(Image.fromarray(PIXELS).convert("RGBA")), Coding.PNG, 30 * (1 + 4 * 41)),
        (encoded(Image.fromarray(PIXELS).convert("1")), Coding.PNG, 30 * (1 + 6)),
        (encoded(Image.fromarray(GREY.astype(np.uint16) * 257)), Coding.PNG, 30 * (1 + 2 * 41)),
        (interlaced_png(PIXELS), Coding.INTERLACED_PNG, 30 * (1 + 3 * 41)),
        (encoded(PIXELS, "WEBP"), Coding.WEBP, 30 * 41),
        (encoded(PIXELS, "WEBP", exif=b"Exif\0\0"), Coding.WEBP, 30 * 41),
        (encoded(PIXELS, "WEBP", lossless=True), Coding.LOSSLESS_WEBP, 30 * 41),
        (encoded(Image.fromarray(PIXELS).convert("RGBA"), "WEBP", lossless=True), Coding.LOSSLESS_WEBP, 30 * 41),
        (encoded(PIXELS, "AVIF"), Coding.AVIF, 30 * 41),
        (encoded(PIXELS, "HEIF"), Coding.HEIC, 64 * 64),
        (encoded(PIXELS, "TIFF"), Coding.TIFF, 30 * 3 * 41),
        (encoded(PIXELS, "TIFF", compression="tiff_lzw"), Coding.LZW_TIFF, 30 * 3 * 41),
        (encoded(PIXELS, "TIFF", compression="tiff_adobe_deflate"), Coding.DEFLATE_TIFF, 30 * 3 * 41),
        (encoded(GREY.astype(np.uint16) * 257, "TIFF"), Coding.TIFF, 30 * 2 * 41),
        (encoded(Image.fromarray(PIXELS).convert("1"), "TIFF"), Coding.TIFF, 30 * 6),
        (encoded(PIXELS, "BMP"), Coding.BMP, 30 * 124),
        (encoded(PIXELS, "GIF"), Coding.GIF, 30 * 41),
    ],
)
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_the_header_says_how_the_pixels_are_coded(data: bytes, coding: Coding, coded: float, kind: type) -> None:
    kept = 2 * 3 * 30 * 41 if coding is Coding.PROGRESSIVE_JPEG else 0
    assert header_of(kind(data)) == Header(coding, 41, 30, len(data), int(coded), kept)


@pytest.mark.parametrize(("lossless", "coding"), [(False, Coding.WEBP), (True, Coding.LOSSLESS_WEBP)])
def test_an_animation_is_coded_as_its_first_frame(lossless: bool, coding: Coding) -> None:
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=lossless)
    assert header_of(data).coding is coding


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF"])
def test_a_file_that_ends_in_its_header_is_broken(format: str) -> None:
    data = encoded(PIXELS, format)
    for end in range(12, 29):
        with pytest.raises(BrokenImage, match="damaged or truncated"):
            header_of(data[:end])


def test_a_picture_larger_than_its_header_is_not_decoded() -> None:
    """It would cost more than it was admitted for: Pillow takes the size from the last IHDR."""
    small, large = encoded(photo(8, 8)), encoded(PIXELS)
    ihdr = slice(8, 33)
    both = small[:33] + large[ihdr] + large[33:]
    assert (header_of(both).width, header_of(both).height) == (8, 8)
    with pytest.raises(BrokenImage):
        decode(both, Bounds(10**6))


@pytest.mark.parametrize(
    ("marker", "bits", "kind"),
    [
        (0xC3, 8, "lossless"),
        (0xC5, 8, "hierarchical"),
        (0xC9, 8, "arithmetic-coded"),
        (0xCA, 8, "arithmetic-coded"),
        (0xCF, 8, "lossless"),
        (0xC1, 12, "12-bit"),
    ],
)
def test_a_jpeg_that_is_coded_as_no_program_writes_it_is_refused(marker: int, bits: int, kind: str) -> None:
    """Some hundred bytes of arithmetic coding would take seconds."""
    data = bytearray(encoded(PIXELS, "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 1], data[frame + 4] = marker, bits
    with pytest.raises(UnsupportedMediaType, match=f"rare kind: {kind}. Save it"):
        header_of(data)


def test_apples_own_kind_of_png_is_named() -> None:
    data = encoded(PIXELS)
    with pytest.raises(UnsupportedMediaType, match=r"Apple's own kind \(CgBI\)"):
        header_of(data[:8] + b"\0\0\0\4CgBI\x50\0\x20\2\x2b\xd5\xb3\x7f" + data[8:])
