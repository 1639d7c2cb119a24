"""Photos in any form, files, images or arrays, to upright RGB pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from depthsvc.errors import BrokenImage, NotAnImage
from depthsvc.imaging.photo.exif import exif_of
from depthsvc.imaging.photo.formats import format_of
from depthsvc.imaging.photo.orientation import UPRIGHT
from depthsvc.imaging.photo.pillow import DECODER_ERRORS, pixels_of
from depthsvc.imaging.photo.pixels import Bounds, Photo, upright


def decode(data: bytes, bounds: Bounds) -> Photo:
    """Decode the first frame of a photo file, in any of `PHOTO_FORMATS`, to upright 8-bit RGB.

    A JPEG of any size, and any other photo of more than DETAIL_PIXELS, may be decoded at reduced size as `bounds`
    allow. What is transparent is put on a neutral ground; 16 bits per channel are reduced to 8.

    Raises MissingImage, NotAnImage, UnsupportedMediaType, TooManyPixels or BrokenImage.
    """
    format = format_of(data)
    header = format.header(data)
    bounds.check(header.width, header.height)
    try:
        return format.decode(data, header, bounds)
    except Image.DecompressionBombError as error:
        raise bounds.too_many_pixels("far too many pixels") from error
    except DECODER_ERRORS as error:
        raise BrokenImage(f"The {format.name} file is damaged or truncated. Save it again and send that.") from error


def photo_of_image(image: Image.Image) -> Photo:
    """A Pillow image of any mode as an upright photo. Raises BrokenImage if it cannot be decoded."""
    if 0 in image.size:
        raise BrokenImage("The image has no pixels. Use an image of at least 1 x 1.")
    try:
        pixels, opacity = pixels_of(image)
        profile = image.info.get("icc_profile")
        exif = exif_of(image.info)
        return upright(pixels, image.size, _orientation(image), opacity=opacity, profile=profile, exif=exif)
    except DECODER_ERRORS as error:
        raise BrokenImage("The image is damaged or truncated. Save it again and use that.") from error


def _orientation(image: Image.Image) -> int:
    """What Pillow knows: it may not come from a file, or have been changed since."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except Exception:  # of damaged EXIF data, which is no reason to refuse a photo
        return UPRIGHT
    return value if value in range(1, 9) else UPRIGHT


def photo_of_array(pixels: NDArray[np.uint8]) -> Photo:
    """An upright uint8 array, RGB (h, w, 3) or grey (h, w), as a photo. Raises NotAnImage for any other array."""
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise NotAnImage(f"An array must be uint8 (h, w, 3) or (h, w), not {pixels.dtype} {pixels.shape}.")
    return Photo(pixels, pixels.shape[1], pixels.shape[0])
