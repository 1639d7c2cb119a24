"""Results to files: PNG heatmaps, raw float16, NPY, 16-bit PNG, TIFF, and photos as JPEG."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from depthsvc.imaging.blocks import ROWS, extremes, row_blocks, to_float16
from depthsvc.imaging.colormaps import Painter, color_table, colored, levels, painter, quantized_blocks
from depthsvc.imaging.exr import exr_file
from depthsvc.imaging.glb import glb_file
from depthsvc.imaging.mesh import TexturedSurface
from depthsvc.imaging.metadata import TaggedPixels, with_metadata
from depthsvc.imaging.png import Filter, PixelFormat, filtered, png
from depthsvc.imaging.pointcloud import PointCloud
from depthsvc.imaging.spec import Colormap, DepthKind

_JPEG_QUALITY = 95
_MOST = 65_535
"""Largest value of a 16-bit PNG."""
JPEG_MAX_SIDE = 65_500
"""Longest side that libjpeg can write, in pixels."""
LOSSLESS_PIXELS = 2_000_000
"""Photos with more pixels are sent as JPEG."""


def heatmap(
    values: NDArray[np.float32], colormap: Colormap = Colormap.INFERNO, *, invert: bool = False
) -> NDArray[np.uint8]:
    """Inverse depth (h, w) as RGB (h, w, 3), from the map's minimum to its maximum."""
    return colored(levels(values), colormap, invert=invert)


def heatmap_png(
    values: NDArray[np.float32],
    *,
    colormap: Colormap = Colormap.INFERNO,
    invert: bool = False,
    palette: bool = False,
) -> bytes:
    """Inverse depth (h, w) as a truecolour PNG, or as an 8-bit palette PNG with the same colours.

    A palette PNG takes less than half the work and about two thirds of the bytes, but Pillow, for example, refuses to
    save it as JPEG without a conversion.
    """
    height, width = values.shape
    blocks = quantized_blocks(values, np.uint8)
    if palette:
        rows, table = filtered(blocks, PixelFormat.PALETTE), color_table(colormap, invert=invert)
        return png(rows, width, height, PixelFormat.PALETTE, palette=table.tobytes())
    return png(_coloured_rows(blocks, painter(colormap, invert=invert), width), width, height, PixelFormat.RGB)


def _coloured_rows(blocks: Iterator[NDArray[np.uint8]], colours: Painter, width: int) -> Iterator[NDArray[np.uint8]]:
    """Rows of a truecolour PNG, without filter, in memory that the next block reuses."""
    rows = np.full((ROWS, 1 + 3 * width), Filter.NONE.value, np.uint8)
    pixels = rows[:, 1:].reshape(ROWS, width, 3)
    for block in blocks:
        colours.paint(block, pixels[: len(block)])
        yield rows[: len(block)]


def photo_file(pixels: NDArray[np.uint8]) -> bytes:
    """RGB (h, w, 3) as a file to send: a PNG, or a JPEG if it has more than LOSSLESS_PIXELS pixels."""
    if len(pixels) * len(pixels[0]) > LOSSLESS_PIXELS:
        return jpeg(pixels)
    return rgb_png(pixels)


def png16(values: NDArray[np.float32], *, about: Mapping[str, str] | None = None) -> bytes:
    """A map (h, w) as a 16-bit grey PNG.

    Inverse depth: 0 at the map's minimum, 65535 at its maximum. Metres, if `about` says that they are: in steps of a
    millimetre, or of as few as the farthest point allows; the text chunk `scale` has the step in metres. Text chunks
    hold `min` and `max` of the values, and what else is said `about` the map.
    """
    height, width = values.shape
    low, high = extremes(values)
    texts = {"min": f"{low:.9g}", "max": f"{high:.9g}", **(about or {})}
    if texts.get("kind") == DepthKind.METRES:
        step = 1e-3 * max(1, math.ceil(np.float32(high) / (1e-3 * _MOST)))
        blocks = _in_steps(values, step)
        texts["scale"] = f"{step:.9g}"
    else:
        blocks = quantized_blocks(values, np.uint16)
    samples = (block.astype(">u2").view(np.uint8) for block in blocks)
    rows = filtered(samples, PixelFormat.GREY16, Filter.SUB)
    return png(rows, width, height, PixelFormat.GREY16, texts=texts)


def _in_steps(values: NDArray[np.float32], step: float) -> Iterator[NDArray[np.uint16]]:
    """Values as whole numbers of steps, a few rows at a time."""
    return (np.rint(block / np.float32(step)).clip(0, _MOST).astype(np.uint16) for block in row_blocks(values))


def exr(values: NDArray[np.float32], *, about: Mapping[str, str] | None = None) -> bytes:
    """A map (h, w) as an OpenEXR file of one float32 channel, with what is said `about` it as attributes.

    The channel is named `Z` if it holds metres, as renderers name it, and otherwise `Y`, as which viewers show grey.
    """
    about = about or {}
    return exr_file(values, "Z" if about.get("kind") == DepthKind.METRES else "Y", about)


def tiff(values: NDArray[np.float32], *, about: Mapping[str, str] | None = None) -> bytes:
    """A map (h, w) as a TIFF of one float32 channel, without compression, so that every reader of floats opens it.

    Its ImageDescription is a JSON object: `min` and `max` of the values, and what is said `about` the map.
    """
    low, high = extremes(values)
    said = {"min": low, "max": high, **(about or {})}
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF", description=json.dumps(said))
    return file.getvalue()


def f16(values: NDArray[np.float32]) -> bytes:
    """Inverse depth (h, w) as row-major, little-endian float16 without a header. Values must be at most 65504."""
    return _float16_after(b"", values)


def npy(values: NDArray[np.float32]) -> bytes:
    """Inverse depth (h, w) as a NumPy .npy file, version 1.0, of little-endian float16."""
    header = io.BytesIO()
    about = {"descr": "<f2", "fortran_order": False, "shape": values.shape}
    np.lib.format.write_array_header_1_0(header, about)
    return _float16_after(header.getvalue(), values)


def _float16_after(header: bytes, values: NDArray[np.float32]) -> bytes:
    """A header and the values as float16, without an extra copy: BytesIO hands over its own memory."""
    if not values.size:
        return header
    buffer = io.BytesIO(header)
    buffer.seek(len(header) + 2 * values.size - 1)
    buffer.write(b"\0")
    with buffer.getbuffer() as memory:
        half = np.frombuffer(memory, "<f2", offset=len(header)).reshape(values.shape)
        to_float16(values, half)
        del half  # it would keep the memory from being handed over
    return buffer.getvalue()


def ply(cloud: PointCloud) -> bytes:
    """A binary little-endian PLY file, 15 bytes per point."""
    return cloud.ply()


def glb(mesh: TexturedSurface, *, about: Mapping[str, str] | None = None) -> bytes:
    """A surface with its photo as a GLB file: 20 bytes per vertex, 12 per triangle, and a JPEG."""
    return glb_file(mesh.surface, jpeg(mesh.pixels), about or {})


def tagged_jpeg(picture: TaggedPixels, *, full_colour: bool = False) -> bytes:
    """A picture with its metadata as a JPEG. `full_colour`: with as much detail in colours as in brightness."""
    return with_metadata(jpeg(picture.pixels, full_colour=full_colour), picture.exif, picture.profile)


def jpeg(pixels: NDArray[np.uint8], *, full_colour: bool = False) -> bytes:
    """RGB (h, w, 3) as a JPEG. `full_colour`: with as much detail in colours as in brightness."""
    bgr = np.ascontiguousarray(pixels[..., ::-1])
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full_colour else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    style = cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling
    encoded, data = cv2.imencode(".jpg", bgr, style)
    if not encoded:
        raise RuntimeError(f"OpenCV cannot encode a JPEG of {bgr.shape}")
    return data.tobytes()


def rgb_png(pixels: NDArray[np.uint8]) -> bytes:
    """RGB (h, w, 3) or RGBA (h, w, 4) as a truecolour PNG."""
    height, width, channels = pixels.shape
    blocks = (block.reshape(len(block), -1) for block in row_blocks(pixels))
    kind = PixelFormat.RGB if channels == PixelFormat.RGB.value[2] else PixelFormat.RGBA
    return png(filtered(blocks, kind, Filter.SUB), width, height, kind)
