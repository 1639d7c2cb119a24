from __future__ import annotations

import io
import math
import struct
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from PIL import Image

from depthsvc.errors import BrokenImage, MissingImage, NotAnImage, TooManyPixels, UnsupportedMediaType
from depthsvc.imaging.photo.decode import decode, photo_of_image
from depthsvc.imaging.photo.formats import format_of
from depthsvc.imaging.photo.pixels import Photo
from tests.conftest import encoded
from tests.parity import photo

LIMIT = 50_000_000


def decoded(data: bytes) -> Photo:
    return decode(data, max_pixels=LIMIT)


def with_orientation(image: Image.Image, orientation: int, format: str = "PNG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, dict[str, Any]]
    options = {"PNG": {}, "JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    return encoded(image, format, exif=exif, **options[format])


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_lossless_photo_comes_back_exactly(format: str) -> None:
    pixels = photo(40, 60)
    result = decoded(encoded(pixels, format, lossless=True))
    assert (result.width, result.height) == (60, 40)
    assert np.array_equal(result.pixels, pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_every_exif_orientation_is_turned_upright(orientation: int, format: str) -> None:
    upright = Image.fromarray(photo(48, 64))
    stored_by = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how a camera held that way transposes what it sees
    stored = upright.transpose(Image.Transpose(stored_by[orientation])) if orientation > 1 else upright
    result = decoded(with_orientation(stored, orientation, format))
    assert (result.width, result.height) == (64, 48)
    assert np.abs(result.pixels.astype(int) - np.asarray(upright).astype(int)).mean() < 1


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_is_ignored(orientation: int) -> None:
    assert decoded(with_orientation(Image.fromarray(photo(8, 16)), orientation)).width == 16


def test_a_damaged_exif_block_does_not_matter() -> None:
    data = encoded(photo(16, 24), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decoded(data).pixels.shape == (16, 24, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_png_modes_keep_their_colours(mode: str) -> None:
    image = Image.fromarray(photo(20, 30)).convert(mode)
    opaque = image.convert("L") if mode in ("1", "L", "LA") else image
    assert np.array_equal(decoded(encoded(image)).pixels, np.asarray(opaque.convert("RGB")))


def test_transparency_is_dropped_and_the_colours_under_it_stay() -> None:
    pixels = np.dstack([photo(20, 30), np.zeros((20, 30), np.uint8)])
    assert np.array_equal(decoded(encoded(pixels)).pixels, pixels[..., :3])


def test_a_transparent_palette_entry_keeps_its_colour() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    assert np.array_equal(decoded(encoded(image, transparency=1)).pixels[0, 0], (200, 100, 50))


def test_16_bit_grey_is_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    assert np.array_equal(decoded(encoded(ramp)).pixels[..., 1], (ramp >> 8).astype(np.uint8))


def test_16_bit_colour_is_reduced_to_8() -> None:
    rows = b"".join(b"\0" + struct.pack(">6H", 65535, 32768, 0, 256, 257, 65280) for _ in range(2))
    assert decoded(_png(2, 2, 16, 2, rows)).pixels[0].tolist() == [[255, 128, 0], [1, 1, 255]]


def test_cmyk_jpeg_is_converted() -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red
    red, green, blue = decoded(encoded(image, "JPEG", quality=95)).pixels[8, 8]
    assert red > 200
    assert max(green, blue) < 90


def test_the_first_frame_of_an_animation_is_used() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    for format in ("PNG", "WEBP"):
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=100, lossless=True)
        assert decoded(data).pixels[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5000), (5000, 1)])
def test_extreme_shapes(width: int, height: int) -> None:
    for format in ("PNG", "JPEG", "WEBP"):
        result = decoded(encoded(Image.new("RGB", (width, height), "white"), format))
        assert result.pixels.shape == (height, width, 3)


@pytest.mark.parametrize(("enough", "expected"), [(math.inf, 1600), (400, 800), (399, 400 * 2), (200, 400), (10, 200)])
def test_a_large_jpeg_is_decoded_no_larger_than_needed(enough: float, expected: int) -> None:
    data = encoded(np.full((800, 1600, 3), 90, np.uint8), "JPEG")
    result = decode(data, max_pixels=LIMIT, enough=enough)
    assert (result.width, result.height) == (1600, 800)
    assert result.pixels.shape[1] == expected


def test_the_pixel_limit_is_checked_before_decoding() -> None:
    bomb = _png(30_000, 30_000, 8, 0, b"")  # the header alone; decoding would fail
    with pytest.raises(TooManyPixels, match=r"30000 x 30000 pixels; at most 50 megapixels|far too many pixels"):
        decoded(bomb)
    data = encoded(photo(10, 11))
    assert decode(data, max_pixels=110).width == 11
    with pytest.raises(TooManyPixels, match="11 x 10 pixels"):
        decode(data, max_pixels=109)


@pytest.mark.parametrize(("width", "height"), [(65_536, 1), (1, 50_000_000)])
def test_a_side_longer_than_any_output_can_have_is_refused(width: int, height: int) -> None:
    with pytest.raises(TooManyPixels, match="the limit is 65535 pixels a side"):
        decoded(_png(width, height, 8, 0, b""))


def test_a_pillow_image_without_pixels_is_refused() -> None:
    with pytest.raises(BrokenImage, match="no pixels"):
        photo_of_image(Image.new("RGB", (0, 5)))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_file_cut_off_anywhere_is_refused(format: str) -> None:
    data = encoded(photo(60, 80), format)
    for percent in range(1, 100):
        cut = data[: len(data) * percent // 100]
        with pytest.raises((BrokenImage, NotAnImage)):
            decoded(cut)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_damaged_bytes_give_a_photo_or_a_clear_refusal(format: str) -> None:
    data = bytearray(encoded(photo(60, 80), format))
    generator = np.random.default_rng(7)
    for _ in range(150):
        damaged = data.copy()
        for position in generator.integers(0, len(data), 6):
            damaged[position] = generator.integers(256)
        with suppress(BrokenImage, NotAnImage, TooManyPixels, UnsupportedMediaType):
            assert decoded(bytes(damaged)).pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (encoded(Image.new("P", (4, 4)), "GIF"), "a GIF"),
        (encoded(photo(4, 4), "BMP"), "a BMP"),
        (encoded(photo(4, 4), "TIFF"), "a TIFF"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "a HEIC"),
        (b"\0\0\0\x18ftypavif" + bytes(20), "an AVIF"),
        (b"\0\0\0\x18ftypmp42" + bytes(20), "a video"),
        (b"%PDF-1.7", "a PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG"),
    ],
)
def test_other_kinds_of_files_are_named(data: bytes, kind: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=f"This is {kind} file. Convert it to JPEG, PNG or WebP"):
        decoded(data)


@pytest.mark.parametrize("data", [b"hello", b"\x89PNG", b"RIFF1234WAVE", bytes(1000)])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(NotAnImage):
        format_of(data)


def test_nothing_at_all_is_a_missing_image() -> None:
    with pytest.raises(MissingImage):
        format_of(b"")


def test_the_first_picture_of_a_phones_multi_picture_jpeg_is_used() -> None:
    first, second = (Image.fromarray(photo(40, 60, seed)) for seed in (0, 1))
    result = decoded(encoded(first, "MPO", save_all=True, append_images=[second], quality=95))
    assert np.abs(result.pixels.astype(int) - np.asarray(first)).mean() < 8
    assert np.abs(result.pixels.astype(int) - np.asarray(second)).mean() > 15


def test_only_the_sniffed_decoder_is_tried() -> None:
    """A file of another format behind a known signature reaches no other codec."""
    with pytest.raises(BrokenImage):
        decoded(b"\xff\xd8\xff" + encoded(photo(4, 4), "TIFF"))


def test_a_pillow_image_is_turned_upright() -> None:
    image = Image.open(io.BytesIO(with_orientation(Image.fromarray(photo(10, 20)), 6)))
    result = photo_of_image(image)
    assert (result.width, result.height) == (10, 20)
    assert result.pixels.shape == (20, 10, 3)


def _png(width: int, height: int, bits: int, color_type: int, rows: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
