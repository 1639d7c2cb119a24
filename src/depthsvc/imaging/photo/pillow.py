"""Decoding the formats that Pillow opens to upright RGB. Every limit is checked before the work it limits."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile

from depthsvc.imaging.photo.pixels import Bounds, Photo, upright
from depthsvc.imaging.photo.structure import check_jpeg_scans

DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    struct.error,
    zlib.error,
    cv2.error,
)
"""Exceptions that decoders raise for damaged files, as found by fuzzing."""

_STRIP_ROWS = 256
"""Rows copied from Pillow at a time, so that a large photo is not in memory three times."""


def decode_jpeg(data: bytes, bounds: Bounds) -> Photo:
    """Decode a JPEG with no more detail than `bounds.enough` needs."""
    with _open(data, "JPEG") as image:
        bounds.check(*image.size)
        check_jpeg_scans(data, image.width * image.height)
        size = image.size
        _reduce_while_decoding(image, bounds.enough)
        return upright(rgb(image), size, exif_orientation(image))


def decode_png(data: bytes, bounds: Bounds) -> Photo:
    """Decode a PNG."""
    with _open(data, "PNG") as image:
        bounds.check(*image.size)
        return upright(rgb(image), image.size, exif_orientation(image))


def decode_webp(data: bytes, bounds: Bounds) -> Photo:
    """Decode the first frame of a WebP. OpenCV decodes the same pixels as Pillow in a third of the memory."""
    with _open(data, "WEBP") as image:
        bounds.check(*image.size)
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is None:
            raise ValueError("libwebp cannot decode it")
        return upright(np.asarray(pixels, np.uint8), image.size, exif_orientation(image))


def _open(data: bytes, format_name: str) -> ImageFile.ImageFile:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about sizes, which max_pixels limits here, and about odd EXIF
        return Image.open(io.BytesIO(data), formats=[format_name])


def _reduce_while_decoding(image: ImageFile.ImageFile, enough: float) -> None:
    """Have libjpeg skip detail: its inverse DCT gives 1/2, 1/4 or 1/8 of the size at a fraction of the cost."""
    scale = next((scale for scale in (8, 4, 2) if min(image.size) >= enough * scale), 1)
    if scale > 1:
        image.draft(None, (image.width // scale, image.height // scale))


def exif_orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 if the EXIF block is damaged, which is no reason to refuse a photo."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return value if value in range(1, 9) else 1


def rgb(image: Image.Image) -> NDArray[np.uint8]:
    """All pixels of an image of any mode, (h, w, 3)."""
    image.load()
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, image.height)
        pixels[top:bottom] = _strip_rgb(image.crop((0, top, image.width, bottom)))
    return pixels


def _strip_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip instead of scaling
        return (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)[..., None]
    if image.mode == "P":  # via RGBA, where a transparent palette entry keeps its colour
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        return np.asarray(image)[..., :3]
    if image.mode == "LA":
        image = image.getchannel("L")
    return np.asarray(image.convert("RGB"))
