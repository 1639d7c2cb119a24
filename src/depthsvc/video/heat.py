"""Depth of a video as colours, in YUV without RGB between."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.depth import DepthMap
from depthsvc.imaging.colormaps import color_table
from depthsvc.imaging.spec import Colormap
from depthsvc.video.colour import Colour
from depthsvc.video.levels import SteadyRange
from depthsvc.video.pictures import Planes


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
        fine, coarse = self._range.levels(depth, self._size, self._half)
        luma, blue, red = self._table
        return _looked_up(fine, luma), _looked_up(coarse, blue), _looked_up(coarse, red)


def _looked_up(levels: NDArray[np.uint8], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.LUT(levels, table), np.uint8)
