"""Photos in any form, files, images or arrays, to upright RGB pixels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from depthsvc.errors import BrokenImage, NotAnImage
from depthsvc.imaging.photo.formats import format_of
from depthsvc.imaging.photo.pillow import DECODER_ERRORS, exif_orientation, rgb
from depthsvc.imaging.photo.pixels import Bounds, Photo, upright


def decode(data: bytes, *, max_pixels: int, enough: float = math.inf) -> Photo:
    """Decode the first frame of a photo file, in any of `PHOTO_FORMATS`, to upright 8-bit RGB.

    `max_pixels` limits width times height and is checked from the header. `enough`: a JPEG may be decoded at
    reduced size as long as its shorter side keeps at least this many pixels. Transparency is dropped, as in
    MiDaS: the colours under it stay. 16 bits per channel are reduced to 8.

    Raises MissingImage, NotAnImage, UnsupportedMediaType, TooManyPixels or BrokenImage.
    """
    format = format_of(data)
    bounds = Bounds(max_pixels, enough)
    try:
        return format.decode(format.check(data), bounds)
    except Image.DecompressionBombError as error:
        raise bounds.too_many_pixels("far too many pixels") from error
    except DECODER_ERRORS as error:
        raise BrokenImage(f"The {format.name} file is damaged or truncated. Save it again and send that.") from error


def photo_of_image(image: Image.Image) -> Photo:
    """A Pillow image of any mode as an upright photo. Raises BrokenImage if it cannot be decoded."""
    if 0 in image.size:
        raise BrokenImage("The image has no pixels. Use an image of at least 1 x 1.")
    try:
        return upright(rgb(image), image.size, exif_orientation(image))
    except DECODER_ERRORS as error:
        raise BrokenImage("The image is damaged or truncated. Save it again and use that.") from error


def photo_of_array(pixels: NDArray[np.uint8]) -> Photo:
    """An upright uint8 array, RGB (h, w, 3) or grey (h, w), as a photo. Raises NotAnImage for any other array."""
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise NotAnImage(f"An array must be uint8 (h, w, 3) or (h, w), not {pixels.dtype} {pixels.shape}.")
    return Photo(pixels, pixels.shape[1], pixels.shape[0])
