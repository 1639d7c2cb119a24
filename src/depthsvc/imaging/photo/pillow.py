"""Decoding the formats that Pillow opens to upright RGB. Every limit is checked before the work it limits."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from depthsvc.imaging.photo.chunks import essential_png
from depthsvc.imaging.photo.exif import exif_of, fov_of
from depthsvc.imaging.photo.header import Coding, Header, png_header
from depthsvc.imaging.photo.inflate import INFLATE_ERROR
from depthsvc.imaging.photo.interlaced import passes
from depthsvc.imaging.photo.jpeg import END, essential_jpeg, has_all_scans, scans_of
from depthsvc.imaging.photo.orientation import orientation_of
from depthsvc.imaging.photo.pixels import ALL, Bounds, Photo, upright
from depthsvc.imaging.spec import DETAIL_PIXELS
from depthsvc.imaging.transparency import GROUND, OPAQUE

DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    struct.error,
    zlib.error,
    INFLATE_ERROR,
    cv2.error,
    MemoryError,
    RuntimeError,
)
"""Exceptions that decoders raise for damaged files, as found by fuzzing."""

_STRIP_ROWS = 256
"""Rows copied from Pillow at a time, so that a large photo is not in memory three times."""


def decode_jpeg(data: bytes, header: Header, bounds: Bounds) -> Photo:
    """Decode a JPEG with no more detail than `bounds.enough` needs. A missing end marker is added."""
    picture = data[: scans.end] if (scans := scans_of(data)).end < len(data) else data
    picture, metadata = essential_jpeg(picture)
    if not scans.ended:
        picture = picture.rstrip(END[:1])
        _check_completeness(picture, header, bounds)
        picture += END
    return _decode_jpeg(picture, metadata, header, bounds)


_NOISE = tuple(
    noise + b"".join(bytes((0xFF, 0xD0 + (first + number) % 8)) + noise for number in range(8))
    for noise, first in ((b"", 0), (b"\xaa" * 500, 0), (b"\x55" * 500, 4))
)
"""What a decoder takes for the rest of a picture that is not complete, with all restart markers in two orders: it skips
those that seem to come too early or too late."""


def _check_completeness(picture: bytes, header: Header, bounds: Bounds) -> None:
    """Raises ValueError if a JPEG without an end marker lacks more than that: a scan, or it matters what follows."""
    if not has_all_scans(picture):
        raise ValueError("scans are missing")
    if header.pixels <= DETAIL_PIXELS:
        bounds = replace(bounds, enough=ALL)
    first, *others = (_decode_jpeg(picture + noise + END, {}, header, bounds).pixels for noise in _NOISE)
    if not all(np.array_equal(first, other) for other in others):
        raise ValueError("its picture is cut off")


def _decode_jpeg(data: bytes, metadata: Mapping[str, bytes], header: Header, bounds: Bounds) -> Photo:
    with open_image(data, "JPEG", header, bounds) as image:
        size = image.size
        _reduce_while_decoding(image, bounds.reduction(*size))
        return photo_of(image, metadata, size=size)


def decode_png(data: bytes, header: Header, bounds: Bounds) -> Photo:
    """Decode a PNG, a large one with no more detail than `bounds.enough` needs."""
    data, metadata = essential_png(data)
    with open_image(data, "PNG", header, bounds) as image:
        divisor = divisor_for(image.size, bounds)
        if divisor > 1 and header.coding is Coding.INTERLACED_PNG:
            pixels, opacity = _passes(data, header, divisor, bounds)
            return _photo(pixels, opacity, image.size, metadata)
        return photo_of(image, metadata, divisor)


def _passes(data: bytes, header: Header, divisor: int, bounds: Bounds) -> Pixels:
    """Every `divisor`-th row and column of an interlaced PNG."""
    height, width = -(-header.height // divisor), -(-header.width // divisor)
    pixels, opacity = np.empty((height, width, 3), np.uint8), np.full((height, width), OPAQUE, np.uint8)
    for part in passes(data, divisor, bounds.check_time):
        with open_image(part.file, "PNG", png_header(part.file), bounds) as image:
            pixels[part.rows, part.columns], seen = pixels_of(image)
            if seen is not None:
                opacity[part.rows, part.columns] = seen
    return pixels, opacity if opacity.min() < OPAQUE else None


def decode_webp(data: bytes, header: Header, bounds: Bounds) -> Photo:
    """Decode the first frame of a WebP, and keep no more detail of a large one than `bounds.enough` needs.

    OpenCV decodes the same pixels as Pillow in a third of the memory.
    """
    with open_image(data, "WEBP", header, bounds) as image:
        size, metadata, has_alpha = image.size, image.info, image.mode == "RGBA"
    del image  # and with it a decoder's buffers of 8 bytes a pixel
    flag = cv2.IMREAD_UNCHANGED if has_alpha else cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if decoded is None:
        raise ValueError("libwebp cannot decode it")
    pixels, divisor = np.asarray(decoded, np.uint8), divisor_for(size, bounds)
    if divisor == 1 and not has_alpha:
        return _photo(pixels, None, size, metadata)
    return _photo(*_by_strips(size, divisor, partial(_rows, pixels)), size, metadata)


def _rows(pixels: NDArray[np.uint8], top: int, bottom: int) -> Image.Image:
    """Rows of OpenCV's pixels: RGB, or BGRA."""
    strip = pixels[top:bottom]
    return Image.fromarray(strip if strip.shape[2] == 3 else cv2.cvtColor(strip, cv2.COLOR_BGRA2RGBA))


class _Pieces(io.BytesIO):
    """A file that is read in pieces, with a look at the time before each: headers do not tell how long they take."""

    def __init__(self, data: bytes, bounds: Bounds) -> None:
        super().__init__(data)
        self._bounds = bounds

    def read(self, size: int | None = -1, /) -> bytes:
        self._bounds.check_time()
        return super().read(size)


def open_image(data: bytes, format_name: str, header: Header, bounds: Bounds) -> ImageFile.ImageFile:
    """Raises ValueError for a file of another size than its header's, by which the photo was admitted.

    Raises TooExpensive when `bounds.check_time` does, also while the image is decoded.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about sizes, which are limited here, and about odd EXIF
        image = Image.open(_Pieces(data, bounds), formats=[format_name])
    if image.size != (header.width, header.height):
        raise ValueError(f"Pillow finds {image.size}")
    return image


def _reduce_while_decoding(image: ImageFile.ImageFile, divisor: int) -> None:
    """Have libjpeg skip detail: its inverse DCT gives 1/2, 1/4 or 1/8 of the size at a fraction of the cost."""
    if divisor > 1:
        image.draft(None, (image.width // divisor, image.height // divisor))


def divisor_for(size: tuple[int, int], bounds: Bounds) -> int:
    """By how much to reduce an image whose decoder cannot. A small one stays as it is, as in MiDaS."""
    return bounds.reduction(*size) if size[0] * size[1] > DETAIL_PIXELS else 1


def photo_of(
    image: Image.Image, metadata: Mapping[Any, Any], divisor: int = 1, size: tuple[int, int] | None = None
) -> Photo:
    """An image as an upright photo, its stored pixels reduced by `divisor`.

    `metadata`: EXIF and XMP data and profile by Pillow's names. `size`: of the whole photo if it is not the image's.
    """
    return _photo(*pixels_of(image, divisor), size or image.size, metadata)


def _photo(
    pixels: NDArray[np.uint8], opacity: NDArray[np.uint8] | None, size: tuple[int, int], metadata: Mapping[Any, Any]
) -> Photo:
    profile = metadata.get("icc_profile") or None
    fov = fov_of(metadata, *size)
    turned, exif = orientation_of(metadata), exif_of(metadata)
    return upright(pixels, size, turned, opacity=opacity, profile=profile, fov=fov, exif=exif)


Pixels = tuple[NDArray[np.uint8], NDArray[np.uint8] | None]
"""RGB (h, w, 3), on GROUND where it is transparent, and its opacity (h, w), or None if it is opaque."""


def pixels_of(image: Image.Image, divisor: int = 1) -> Pixels:
    """The pixels of an image of any mode, both sides reduced by 1, 2, 4 or 8."""
    image.load()
    return _by_strips(image.size, divisor, lambda top, bottom: image.crop((0, top, image.width, bottom)))


def _by_strips(size: tuple[int, int], divisor: int, strip_of: Callable[[int, int], Image.Image]) -> Pixels:
    """Each pixel the average of `divisor` x `divisor` ones, fewer at the right and the bottom."""
    width, height = size
    shape = -(-height // divisor), -(-width // divisor)
    pixels, opacity = np.empty((*shape, 3), np.uint8), None
    for top in range(0, height, _STRIP_ROWS):
        colours, seen = _on_ground(strip_of(top, min(top + _STRIP_ROWS, height)))
        strip = _reduced(colours, divisor)
        rows = slice(top // divisor, top // divisor + len(strip))
        pixels[rows] = strip if strip.ndim == 3 else strip[..., None]
        if seen is not None:
            opacity = np.full(shape, OPAQUE, np.uint8) if opacity is None else opacity
            opacity[rows] = _reduced(seen, divisor)
    return pixels, opacity


def _reduced(image: Image.Image, divisor: int) -> NDArray[np.uint8]:
    return np.asarray(image.reduce(divisor) if divisor > 1 else image)


def _on_ground(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """An image as RGB or grey, and its opacity unless it is opaque."""
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip instead of scaling
        return _of_16_bits(np.asarray(image).astype(np.uint16), image.info.get("transparency"))
    if not image.has_transparency_data:
        return image.convert("RGB"), None
    image = image.convert("RGBA")
    opacity = image.getchannel("A")
    if opacity.getextrema() == (OPAQUE, OPAQUE):
        return image.convert("RGB"), None
    ground = Image.new("RGB", image.size, (GROUND, GROUND, GROUND))
    ground.paste(image, mask=opacity)
    return ground, opacity


def _of_16_bits(values: NDArray[np.uint16], transparent: int | None) -> tuple[Image.Image, Image.Image | None]:
    """8 of 16 bits, and the opacity if one of the values is transparent."""
    grey = (values >> 8).astype(np.uint8)
    if transparent is None or not (unseen := values == transparent).any():
        return Image.fromarray(grey), None
    grey[unseen] = GROUND
    return Image.fromarray(grey), Image.fromarray(np.where(unseen, np.uint8(0), np.uint8(OPAQUE)))
