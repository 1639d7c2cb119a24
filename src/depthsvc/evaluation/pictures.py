"""Pictures of single photos: the photo, the truth, what a model makes of it, and where it is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.depth import DepthMap
from depthsvc.evaluation.accuracy import Doubles, Floats
from depthsvc.evaluation.boundaries import Mask
from depthsvc.evaluation.protocol import Comparison, Ordinal, Truth
from depthsvc.evaluation.records import Record
from depthsvc.imaging.colormaps import colored
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.pixels import Bounds, at_least
from depthsvc.imaging.spec import Colormap

Picture = NDArray[np.uint8]

_WIDTH = 320
_QUALITY = 85
_MOST_PIXELS = 1_000_000_000
WORST_ERROR = 0.5
"""Relative error that has the last colour of the map of errors."""
_UNKNOWN = 96
"""Grey of pixels that do not count."""
_PERCENTILES = (1, 99)
_NEARER, _FARTHER = (255, 220, 0), (0, 160, 255)


class Pictures:
    """Pictures in a folder, a file a record."""

    def __init__(self, folder: Path) -> None:
        """Creates the folder. Raises OSError."""
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def path(self, record: Record) -> Path:
        """Where the picture of a record is, or will be."""
        key = record.key
        text = "\0".join([key.model, key.source, key.pair, key.version, record.made_by])
        return self._folder / f"{hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:24]}.jpg"

    def draw(self, record: Record, photo: bytes, truth: Truth, comparison: Comparison) -> None:
        """Photo, true depth and predicted depth in one scale of colours, and relative errors. Raises OSError."""
        true = np.where(comparison.counts, truth.depth, np.nan).astype(np.float64)
        errors = np.abs(comparison.depth - true) / true
        low, high = np.nanpercentile(1 / true, _PERCENTILES)
        tiles = [
            _pixels(photo),
            nearness_in_colours(1 / true, low, high),
            nearness_in_colours(1 / comparison.depth, low, high),
            _coloured(np.clip(errors / WORST_ERROR, 0, 1), Colormap.HOT),
        ]
        self._write(record, tiles)

    def draw_ordinal(self, record: Record, photo: bytes, prediction: DepthMap, truth: Ordinal) -> None:
        """The photo with its points, the nearer one yellow, and its depth. Raises OSError."""
        pixels = _tile(_pixels(photo))
        height, width = pixels.shape[:2]
        for points, colour in ((truth.nearer, _NEARER), (truth.farther, _FARTHER)):
            for row, column in points:
                centre = (int(column * width), int(row * height))
                cv2.circle(pixels, centre, 6, colour, 2, cv2.LINE_AA)
        self._write(record, [pixels, prediction.heatmap()])

    def _write(self, record: Record, tiles: Sequence[Picture]) -> None:
        height = _tile(tiles[0]).shape[0]
        strip = np.hstack([_tile(tile, height) for tile in tiles])
        data = cv2.imencode(".jpg", strip[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
        target = self.path(record)
        temporary = target.with_suffix(".part")
        temporary.write_bytes(data.tobytes())
        temporary.replace(target)


def nearness_in_colours(inverse: Floats | Doubles, low: float, high: float) -> Picture:
    """Inverse depth as Inferno's colours between two limits, RGB (h, w, 3); NaN is grey."""
    return _coloured(np.clip((inverse.astype(np.float64) - low) / max(high - low, 1e-12), 0, 1), Colormap.INFERNO)


def _pixels(photo: bytes) -> Picture:
    return decode(photo, Bounds(_MOST_PIXELS, at_least(_WIDTH))).pixels


def _tile(picture: Picture, height: int | None = None) -> Picture:
    height = height or max(1, round(_WIDTH * picture.shape[0] / picture.shape[1]))
    return np.asarray(cv2.resize(picture, (_WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8)


def _coloured(values: Doubles, colormap: Colormap) -> Picture:
    """Values 0..1 as colours; NaN is grey."""
    unknown: Mask = np.isnan(values)
    levels = np.rint(255 * np.where(unknown, 0, values)).astype(np.uint8)
    colours = colored(levels, colormap)
    colours[unknown] = _UNKNOWN
    return colours
