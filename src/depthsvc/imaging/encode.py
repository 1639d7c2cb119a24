"""Results to files: PNG heatmaps, raw float16, NPY, 16-bit PNG, and photos as JPEG."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from depthsvc.imaging.colormaps import Colormap, color_table, colored, levels, quantized

# zlib level 2 without row filters: measured the fastest for smooth, 256-colour pictures at a size
# within a tenth of the default's.
_PNG_OPTIONS = (cv2.IMWRITE_PNG_COMPRESSION, 2, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE)
# A photo has more colours: the filter makes it smaller, and faster to compress.
_PHOTO_PNG_OPTIONS = (cv2.IMWRITE_PNG_COMPRESSION, 2, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB)
_PALETTE_PNG_LEVEL = 1
_JPEG_QUALITY = 95
JPEG_MAX_SIDE = 65_500
"""libjpeg writes no longer side."""
LOSSLESS_PIXELS = 2_000_000
"""Larger photos are sent as JPEG."""


def heatmap(
    values: NDArray[np.float32], colormap: Colormap = Colormap.INFERNO, *, invert: bool = False
) -> NDArray[np.uint8]:
    """Inverse depth (h, w) as RGB (h, w, 3), from the map's minimum to its maximum."""
    return colored(levels(values), color_table(colormap, invert=invert))


def heatmap_png(
    levels: NDArray[np.uint8],
    colormap: Colormap = Colormap.INFERNO,
    *,
    invert: bool = False,
    palette: bool = False,
) -> bytes:
    """Colormap levels (h, w) as a truecolour PNG, or as an 8-bit palette PNG with the same colours.

    A palette PNG is about half the work and two thirds of the bytes, but for example Pillow refuses to save it again
    as JPEG without a conversion.
    """
    table = color_table(colormap, invert=invert)
    if palette:
        return _palette_png(levels, table)
    return _png(colored(levels, table[:, ::-1]))  # OpenCV takes BGR


def side_by_side_png(
    pixels: NDArray[np.uint8],
    levels: NDArray[np.uint8],
    colormap: Colormap = Colormap.INFERNO,
    *,
    invert: bool = False,
) -> bytes:
    """A photo, RGB (h, w, 3), and on its right the colours of its levels (h, w), as a truecolour PNG."""
    height, width = levels.shape
    pair = np.empty((height, 2 * width, 3), np.uint8)
    pair[:, :width] = pixels[..., ::-1]  # OpenCV takes BGR
    pair[:, width:] = colored(levels, color_table(colormap, invert=invert)[:, ::-1])
    return _png(pair, _PHOTO_PNG_OPTIONS)


def photo_file(pixels: NDArray[np.uint8]) -> bytes:
    """RGB (h, w, 3) as a file to send: a PNG, or a JPEG where a PNG would be unwieldy."""
    if len(pixels) * len(pixels[0]) > LOSSLESS_PIXELS:
        return jpeg(pixels)
    return _png(np.ascontiguousarray(pixels[..., ::-1]), _PHOTO_PNG_OPTIONS)


def png16(values: NDArray[np.float32]) -> bytes:
    """Inverse depth (h, w) as a 16-bit grey PNG: 0 at the map's minimum, 65535 at its maximum."""
    return _png(quantized(values, np.uint16))


def float16_bytes(values: NDArray[np.float16]) -> bytes:
    """Row-major, little-endian float16 without any header."""
    return values.astype("<f2", copy=False).tobytes()


def npy(values: NDArray[np.float16]) -> bytes:
    """A NumPy .npy file, version 1.0, of little-endian float16."""
    buffer = io.BytesIO()
    np.save(buffer, values.astype("<f2", copy=False), allow_pickle=False)
    return buffer.getvalue()


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """A photo, RGB (h, w, 3), as a JPEG."""
    bgr = np.ascontiguousarray(pixels[..., ::-1])
    encoded, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    if not encoded:
        raise RuntimeError(f"OpenCV cannot encode a JPEG of {bgr.shape}")
    return data.tobytes()


def _png(
    image: NDArray[np.uint8] | NDArray[np.uint16] | cv2.typing.MatLike, options: tuple[int, ...] = _PNG_OPTIONS
) -> bytes:
    encoded, data = cv2.imencode(".png", image, options)
    if not encoded:
        raise RuntimeError(f"OpenCV cannot encode a PNG of {image.shape}")
    return data.tobytes()


def _palette_png(indices: NDArray[np.uint8], table: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(indices, mode=None)
    image.putpalette(table.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=_PALETTE_PNG_LEVEL)
    return buffer.getvalue()
