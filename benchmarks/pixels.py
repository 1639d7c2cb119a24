"""Part "pixels": ways to decode a photo and to encode its depth, in turns."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.machine import versions
from benchmarks.material import LARGE, MIDDLE, Material, photo
from benchmarks.results import Part
from depthsvc import DepthEstimator
from depthsvc.evaluation.speed import times_in_turns
from depthsvc.evaluation.table import Table
from depthsvc.imaging import encode
from depthsvc.imaging.colormaps import color_table, colored, levels
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.pixels import Bounds, at_least
from depthsvc.imaging.resize import upsample
from depthsvc.imaging.spec import Colormap

Ways = Mapping[str, Callable[[], Any]]
"""Calls that return bytes or an array, by description."""

_ENOUGH = 512
"""Pixels that the service keeps of a photo's shorter side, for MiDaS_small."""
_FILTERS = {"none": cv2.IMWRITE_PNG_FILTER_NONE, "sub": cv2.IMWRITE_PNG_FILTER_SUB, "up": cv2.IMWRITE_PNG_FILTER_UP}
_STRATEGIES = {
    "default": cv2.IMWRITE_PNG_STRATEGY_DEFAULT,
    "RLE": cv2.IMWRITE_PNG_STRATEGY_RLE,
    "Huffman only": cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY,
}
_PNG_CHOICES = (
    *((level, "none", "default") for level in (1, 2, 3, 6)),
    *((1, filter_name, "default") for filter_name in ("sub", "up")),
    *((1, "none", strategy) for strategy in ("RLE", "Huffman only")),
    (1, "up", "RLE"),
)


def measure(material: Material) -> Part:
    cv2.setNumThreads(1)
    estimator = DepthEstimator("embedded", worker_threads=1, cache_dir=material.folder / "cache")
    part = Part(
        title="Pixels",
        explanation="One thread; `depthsvc:` marks what the service does. The depth is that of the embedded model, "
        "whose maps are smooth as those of trained networks are; random weights would make rougher ones.",
        versions=versions(),
    )
    for size in (LARGE,) if material.quick else (LARGE, MIDDLE):
        depth = estimator.predict(photo(*size), size="model").values
        name, rounds = f"{size[0]} x {size[1]}", 2 if material.quick else 5
        part.tables.append(_table(f"Decoding a JPEG of {name}", decoders(photo(*size)), rounds))
        part.tables.append(_table(f"Encoding depth of {name}", encoders(depth, size), rounds))
    return part


def _table(title: str, ways: Ways, rounds: int) -> Table:
    times = times_in_turns(list(ways.values()), rounds)
    rows = []
    for (name, make), taken in zip(ways.items(), times, strict=True):
        made = make()
        rows.append(
            [name, f"{1000 * median(taken.seconds):.1f}", f"{len(made) / 1e6:.2f}" if isinstance(made, bytes) else ""]
        )
    return Table(title, ["way", "median ms", "MB"], rows)


def decoders(data: bytes) -> Ways:
    """A JPEG to RGB or BGR."""
    array = np.frombuffer(data, np.uint8)
    return {
        "depthsvc: as much as the network needs": lambda: decode(data, Bounds(10**8, at_least(_ENOUGH))),
        "Pillow, all of it": partial(_pillow, data, 1),
        **{f"Pillow, 1/{scale}": partial(_pillow, data, scale) for scale in (2, 4)},
        "OpenCV, all of it": lambda: cv2.imdecode(array, cv2.IMREAD_COLOR),
        "OpenCV, 1/2": lambda: cv2.imdecode(array, cv2.IMREAD_REDUCED_COLOR_2),
        "OpenCV, 1/4": lambda: cv2.imdecode(array, cv2.IMREAD_REDUCED_COLOR_4),
    }


def _pillow(data: bytes, scale: int) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (image.width // scale, image.height // scale))
        return np.asarray(image)


def encoders(depth: NDArray[np.float32], size: tuple[int, int]) -> Ways:
    """Depth (h, w) on the network's grid to files of `size`, (width, height); other libraries start from levels."""
    values = upsample(depth, *size)
    heat, table = levels(values), color_table(Colormap.INFERNO)
    rgb = colored(heat, Colormap.INFERNO)
    paletted = Image.fromarray(heat, mode=None)
    paletted.putpalette(table.tobytes())
    return {
        "depthsvc: scale up": lambda: upsample(depth, *size),
        "depthsvc: depth to levels": lambda: levels(values),
        "depthsvc: levels to colours": lambda: colored(heat, Colormap.INFERNO),
        "depthsvc: depth to RGB PNG": lambda: encode.heatmap_png(values),
        "depthsvc: depth to palette PNG": lambda: encode.heatmap_png(values, palette=True),
        "depthsvc: depth to 16-bit PNG": lambda: encode.png16(values),
        "depthsvc: float16": lambda: encode.f16(values),
        "OpenCV RGB PNG, its defaults": partial(_opencv_png, rgb, []),
        **{
            f"OpenCV RGB PNG, level {level}, filter {filter_name}, strategy {strategy}": partial(
                _opencv_png, rgb, _png_options(level, filter_name, strategy)
            )
            for level, filter_name, strategy in _PNG_CHOICES
        },
        "Pillow RGB PNG, its defaults": partial(_pillow_png, Image.fromarray(rgb), 6),
        "Pillow RGB PNG, level 1": partial(_pillow_png, Image.fromarray(rgb), 1),
        "Pillow palette PNG, its defaults": partial(_pillow_png, paletted, 6),
        "Pillow palette PNG, level 1": partial(_pillow_png, paletted, 1),
    }


def _png_options(level: int, filter_name: str, strategy: str) -> list[int]:
    return [
        *(cv2.IMWRITE_PNG_COMPRESSION, level),
        *(cv2.IMWRITE_PNG_FILTER, _FILTERS[filter_name]),
        *(cv2.IMWRITE_PNG_STRATEGY, _STRATEGIES[strategy]),
    ]


def _opencv_png(pixels: NDArray[np.uint8], options: list[int]) -> bytes:
    return cv2.imencode(".png", pixels, options)[1].tobytes()


def _pillow_png(image: Image.Image, level: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()
