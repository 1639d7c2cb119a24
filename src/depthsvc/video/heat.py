"""Depth of a video as colours that do not pump: by a range that changes slowly, and in YUV without RGB between."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.depth import DepthMap
from depthsvc.imaging.colormaps import color_table
from depthsvc.imaging.spec import Colormap
from depthsvc.video.colour import Colour
from depthsvc.video.pictures import Planes

_ADOPTION = 0.1
"""How much of a frame's own range the range of its shot adopts."""


class SteadyRange:
    """The farthest and the nearest inverse depth of a shot, as they change slowly."""

    def __init__(self) -> None:
        self.low = self.high = 0.0

    def adopt(self, depth: DepthMap, *, is_cut: bool) -> None:
        """Take the next frame into account; after a cut, that alone."""
        inverse = depth.inverse
        low, high = float(inverse.min()), float(inverse.max())
        part = 1.0 if is_cut else _ADOPTION
        self.low += part * (low - self.low)
        self.high += part * (high - self.high)


class HeatPainter:
    """Draws the maps of a video as heatmaps of one size."""

    def __init__(
        self, width: int, height: int, colour: Colour, *, colormap: Colormap = Colormap.INFERNO, invert: bool = False
    ) -> None:
        """`width`, `height`: of the heatmaps in pixels. `colour`: of the file that they are for."""
        self._size = width, height
        self._half = -(-width // 2), -(-height // 2)
        table = color_table(colormap, invert=invert)
        self._table = np.ascontiguousarray(colour.yuv(table).T)
        self._range = SteadyRange()

    def planes(self, depth: DepthMap, *, is_cut: bool) -> Planes:
        """The next frame's Y (height, width), and U and V of half of both, rounded up.

        `depth`: on the network's own grid. Near is at the end of the colormap. `is_cut`: whether a shot begins.
        """
        self._range.adopt(depth, is_cut=is_cut)
        span = self._range.high - self._range.low
        scale = 255 / span if span > 0 else 0.0
        if depth.bordered:  # which is enlarged with its surroundings
            depth = depth.enlarged(*self._size)
        levels = (depth.inverse - np.float32(self._range.low)) * np.float32(scale)
        fine, coarse = self._enlarged(levels, self._size), self._enlarged(levels, self._half)
        luma, blue, red = self._table
        return _looked_up(fine, luma), _looked_up(coarse, blue), _looked_up(coarse, red)

    @staticmethod
    def _enlarged(levels: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
        shrinks = size[0] < levels.shape[1]
        resized = cv2.resize(levels, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        return np.asarray(cv2.convertScaleAbs(np.maximum(resized, 0)), np.uint8)


def _looked_up(levels: NDArray[np.uint8], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.LUT(levels, table), np.uint8)
