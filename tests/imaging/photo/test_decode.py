from __future__ import annotations

import base64
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
from depthsvc.imaging.photo.pixels import ALL, Bounds, Enough, Photo, at_least
from depthsvc.imaging.transparency import GROUND
from tests.conftest import encoded
from tests.parity import photo

LIMIT = 50_000_000


def decoded(data: bytes, enough: Enough = ALL) -> Photo:
    return decode(data, Bounds(LIMIT, enough))


def with_orientation(image: Image.Image, orientation: int, format: str = "PNG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, dict[str, Any]]
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    return encoded(image, format, exif=exif, **options.get(format, {}))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "BMP"])
def test_lossless_photo_comes_back_exactly(format: str) -> None:
    pixels = photo(40, 60)
    result = decoded(encoded(pixels, format, **({"lossless": True} if format == "WEBP" else {})))
    assert (result.width, result.height) == (60, 40)
    assert np.array_equal(result.pixels, pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_every_exif_orientation_is_turned_upright(orientation: int, format: str) -> None:
    upright = Image.fromarray(photo(48, 64))
    stored_by = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how a camera held that way transposes what it sees
    stored = upright.transpose(Image.Transpose(stored_by[orientation])) if orientation > 1 else upright
    result = decoded(with_orientation(stored, orientation, format))
    assert (result.width, result.height) == (64, 48)
    lossy = format in ("AVIF", "HEIF")
    assert np.abs(result.pixels.astype(int) - np.asarray(upright).astype(int)).mean() < (8 if lossy else 1)


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


def test_what_is_transparent_is_on_a_neutral_ground() -> None:
    """Whatever colours an editor has left there; half of them show where it is half transparent."""
    opacity = np.zeros((20, 30), np.uint8)
    opacity[:, 10:20], opacity[:, 20:] = 128, 255
    pixels = np.dstack([photo(20, 30), opacity])
    for format in ("PNG", "WEBP", "TIFF", "AVIF"):
        options = (
            {"lossless": True, "exact": True} if format == "WEBP" else {"quality": 100} if format == "AVIF" else {}
        )
        result = decoded(encoded(pixels, format, **options))
        near = 0 if format != "AVIF" else 12
        assert result.opacity is not None
        assert np.array_equal(result.opacity, opacity)
        assert np.abs(result.pixels[:, :10].astype(int) - GROUND).max() <= near
        half = (pixels[:, 10:20, :3].astype(int) * 128 + GROUND * 127) / 255
        assert np.abs(result.pixels[:, 10:20] - half).mean() <= 1 + near
        assert np.abs(result.pixels[:, 20:].astype(int) - pixels[:, 20:, :3]).mean() <= near


def test_an_opaque_photo_has_no_opacity() -> None:
    assert decoded(encoded(np.dstack([photo(20, 30), np.full((20, 30), 255, np.uint8)]))).opacity is None
    assert decoded(encoded(photo(20, 30))).opacity is None


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_transparent(format: str) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.putpixel((1, 1), 0)
    result = decoded(encoded(image, format, transparency=1))
    assert result.opacity is not None
    assert result.opacity[0, 0] == 0
    assert result.pixels[0, 0].tolist() == [GROUND] * 3
    assert (result.opacity[1, 1], *result.pixels[1, 1]) == (255, 0, 0, 0)


def test_large_cut_outs_are_averaged_with_their_opacity() -> None:
    opacity = np.zeros((4000, 4000), np.uint8)
    opacity[::2] = 255
    data = encoded(np.dstack([np.full((4000, 4000, 3), 10, np.uint8), opacity]), compress_level=1)
    result = decoded(data, at_least(1000))
    assert result.opacity is not None
    assert result.pixels.shape == (1000, 1000, 3)
    assert abs(int(result.opacity[5, 5]) - 127) <= 1
    assert abs(int(result.pixels[5, 5, 0]) - (GROUND + 10) // 2) <= 1


def test_16_bit_grey_is_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    assert np.array_equal(decoded(encoded(ramp)).pixels[..., 1], (ramp >> 8).astype(np.uint8))


def test_16_bit_colour_is_reduced_to_8() -> None:
    rows = b"".join(b"\0" + struct.pack(">6H", 65535, 32768, 0, 256, 257, 65280) for _ in range(2))
    assert decoded(png_bytes(2, 2, 16, 2, rows)).pixels[0].tolist() == [[255, 128, 0], [1, 1, 255]]


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
    result = decode(data, Bounds(LIMIT, at_least(enough)))
    assert (result.width, result.height) == (1600, 800)
    assert result.pixels.shape[1] == expected


def test_the_pixel_limit_is_checked_before_decoding() -> None:
    bomb = png_bytes(30_000, 30_000, 8, 0, b"")  # the header alone; decoding would fail
    with pytest.raises(TooManyPixels, match="30000 x 30000 pixels; the limit is 50 megapixels"):
        decoded(bomb)
    data = encoded(photo(10, 11))
    assert decode(data, Bounds(110)).width == 11
    with pytest.raises(TooManyPixels, match="11 x 10 pixels"):
        decode(data, Bounds(109))


@pytest.mark.parametrize(("width", "height"), [(65_536, 1), (1, 50_000_000)])
def test_a_side_longer_than_any_output_can_have_is_refused(width: int, height: int) -> None:
    with pytest.raises(TooManyPixels, match="the limit is 65535 pixels a side"):
        decoded(png_bytes(width, height, 8, 0, b""))


def test_a_pillow_image_without_pixels_is_refused() -> None:
    with pytest.raises(BrokenImage, match="no pixels"):
        photo_of_image(Image.new("RGB", (0, 5)))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF"])
def test_a_file_cut_off_anywhere_is_refused(format: str) -> None:
    data = encoded(photo(60, 80), format)
    for percent in range(1, 100):
        cut = data[: len(data) * percent // 100]
        with pytest.raises((BrokenImage, NotAnImage, UnsupportedMediaType)):
            decoded(cut)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF"])
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
        (b"\0\0\0\x18ftypmp42" + bytes(20), "a video"),
        (b"\0\0\0\x14ftypqt  " + bytes(20), "a video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a Canon raw file"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(20), "a Canon raw file"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(20), "a Fujifilm raw file"),
        (b"IIRO\x08\0\0\0" + bytes(20), "an Olympus raw file"),
        (b"IIU\0\x18\0\0\0" + bytes(20), "a Panasonic raw file"),
        (b"%PDF-1.7", "a PDF file"),
        (b"8BPS\0\1" + bytes(20), "a Photoshop file"),
        (b"\xff\x0a" + bytes(20), "a JPEG XL file"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL file"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 file"),
        (encoded(photo(64, 64), "ICO"), "an icon"),
        (encoded(photo(4, 4), "PPM"), "a Portable Anymap file"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG file"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- Inkscape -->\n<svg/>", "an SVG file"),
    ],
)
def test_other_kinds_of_files_are_named(data: bytes, kind: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=f"This is {kind}. Convert it to JPEG, PNG, WebP, "):
        decoded(data)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"PK\3\4" + bytes(20), "an archive"),
        (b"\x1f\x8b\x08" + bytes(20), "gzip-compressed"),
        (b"data:image/png;base64,iVBORw0KGgo=", "base64"),
        (base64.b64encode(encoded(photo(4, 4), "JPEG")), "base64"),
        (base64.b64encode(encoded(photo(4, 4))), "base64"),
        (b'{"image": "..."}', "JSON"),
    ],
)
def test_what_people_send_by_mistake_is_named(data: bytes, what: str) -> None:
    with pytest.raises(NotAnImage, match=f"This is .*{what}.* (S|s)end|This is {what}.* Check"):
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


def png_bytes(width: int, height: int, bits: int, color_type: int, rows: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
