"""Photo bytes to upright RGB pixels, with every limit checked before the work it limits."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile

from depthsvc.errors import BrokenImage, MissingImage, NotAnImage, TooManyPixels, UnsupportedMediaType
from depthsvc.imaging.photo.structure import check_jpeg_scans, check_jpeg_segments, essential_png

MAX_SIDE = 65_535
"""Longest side in pixels: a JPEG has no longer one, and libpng writes none beyond a million."""

_SIGNATURES = ((b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"))
_REFUSED_SIGNATURES = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\x00", "a TIFF"),
    (b"MM\x00*", "a TIFF"),
    (b"II+\x00", "a TIFF"),
    (b"%PDF", "a PDF"),
    (b"8BPS", "a Photoshop file"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (b"#?RADIANCE", "a Radiance HDR"),
    (b"v/1\x01", "an OpenEXR"),
    (b"<svg", "an SVG"),
)
_ISO_MEDIA_BRANDS = {b"avif": "an AVIF", b"avis": "an AVIF", b"crx ": "a Canon raw file"}
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")

# What Pillow's decoders raise for damaged files, as far as fuzzing them has shown.
_DECODER_ERRORS = (
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

_STRIP_ROWS = 256
"""Pixels leave Pillow so many rows at a time, so that a large photo is not in memory three times."""


@dataclass(frozen=True)
class Photo:
    """A decoded photo, upright."""

    pixels: NDArray[np.uint8]
    """RGB, (h, w, 3). A large JPEG may have been decoded at a half, a quarter or an eighth of its size."""
    width: int
    """Width of the whole photo in pixels, as a person sees it."""
    height: int
    """Height of the whole photo in pixels, as a person sees it."""


def sniff(data: bytes) -> str:
    """Name the format of an image file by its first bytes: "JPEG", "PNG" or "WEBP".

    Raises MissingImage for no bytes at all, UnsupportedMediaType for an image (or document) of another
    kind, and NotAnImage for everything else.
    """
    if not data:
        raise MissingImage("The image is empty. Send the bytes of a JPEG, PNG or WebP photo.")
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if refused := _refused_kind(data):
        raise UnsupportedMediaType(f"This is {refused} file. Convert it to JPEG, PNG or WebP.")
    raise NotAnImage("The data does not begin like a JPEG, PNG or WebP file. Send a photo in one of these formats.")


def _refused_kind(data: bytes) -> str | None:
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        return "a HEIC" if brand in _HEIF_BRANDS else _ISO_MEDIA_BRANDS.get(brand, "a video")
    return next((name for signature, name in _REFUSED_SIGNATURES if data.startswith(signature)), None)


def decode(data: bytes, *, max_pixels: int, enough: int | None = None) -> Photo:
    """Decode a JPEG, PNG or WebP file (its first frame) to upright 8-bit RGB.

    `max_pixels` bounds width times height and is checked from the header. `enough`: a JPEG may be decoded at
    reduced size as long as its shorter side keeps at least this many pixels. Transparency is dropped, as
    MiDaS drops it: the colours under it stay. 16 bits a channel are reduced to 8.

    Raises MissingImage, NotAnImage, UnsupportedMediaType, TooManyPixels or BrokenImage.
    """
    format_name = sniff(data)
    if format_name == "JPEG":
        check_jpeg_segments(data)
    elif format_name == "PNG":
        data = essential_png(data)
    try:
        with _open(data, format_name) as image:
            _check_size(image, max_pixels)
            if format_name == "JPEG":
                check_jpeg_scans(data, image.width * image.height)
            size = image.size
            if enough is not None:
                _reduce_while_decoding(image, enough)
            pixels = _webp_rgb(data) if format_name == "WEBP" else _rgb(image)
            return _upright(pixels, size, _orientation(image))
    except Image.DecompressionBombError as error:
        raise _too_many_pixels("far too many pixels", max_pixels) from error
    except _DECODER_ERRORS as error:
        raise BrokenImage(f"The {format_name} file is damaged or cut off. Save it again and send that.") from error


def photo_of_image(image: Image.Image) -> Photo:
    """A Pillow image of any mode as an upright photo; BrokenImage if it cannot be decoded."""
    if 0 in image.size:
        raise BrokenImage("The image has no pixels.")
    try:
        return _upright(_rgb(image), image.size, _orientation(image))
    except _DECODER_ERRORS as error:
        raise BrokenImage("The image is damaged or cut off and cannot be decoded.") from error


def photo_of_array(pixels: NDArray[np.uint8]) -> Photo:
    """An upright uint8 array, RGB (h, w, 3) or grey (h, w), as a photo; NotAnImage for any other array."""
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise NotAnImage(f"An array must be uint8 (h, w, 3) or (h, w), not {pixels.dtype} {pixels.shape}.")
    return Photo(pixels, pixels.shape[1], pixels.shape[0])


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if max(width, height) > MAX_SIDE:
        raise TooManyPixels(f"The image is {width} x {height}; a side has at most {MAX_SIDE} pixels. Scale it.")
    if width * height > max_pixels:
        raise _too_many_pixels(f"{width} x {height} pixels", max_pixels)


def _too_many_pixels(what: str, max_pixels: int) -> TooManyPixels:
    return TooManyPixels(f"The image has {what}; at most {max_pixels / 1e6:g} megapixels are taken. Scale it.")


def _open(data: bytes, format_name: str) -> ImageFile.ImageFile:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about what max_pixels decides here, and about odd EXIF
        return Image.open(io.BytesIO(data), formats=[format_name])


def _reduce_while_decoding(image: ImageFile.ImageFile, enough: int) -> None:
    """Have libjpeg skip detail: its inverse DCT gives 1/2, 1/4 or 1/8 of the size at a fraction of the cost."""
    scale = next((scale for scale in (8, 4, 2) if min(image.size) >= enough * scale), 1)
    if scale > 1:
        image.draft(None, (image.width // scale, image.height // scale))


def _upright(pixels: NDArray[np.uint8], size: tuple[int, int], orientation: int) -> Photo:
    """The photo as a person sees it, from pixels as they are stored; `size` is that of the whole file."""
    if orientation >= 5:
        pixels, size = pixels.transpose(1, 0, 2), size[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return Photo(pixels, *size)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; a damaged EXIF block is no reason to refuse the photo."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return value if value in range(1, 9) else 1


def _webp_rgb(data: bytes) -> NDArray[np.uint8]:
    """The first frame of a WebP. OpenCV decodes the same pixels as Pillow in a third of the memory."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise ValueError("libwebp cannot decode it")
    return np.asarray(pixels, np.uint8)


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
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
    if image.mode == "P":  # through RGBA, because a transparent palette entry keeps its colour there
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        return np.asarray(image)[..., :3]
    if image.mode == "LA":
        image = image.getchannel("L")
    return np.asarray(image.convert("RGB"))
