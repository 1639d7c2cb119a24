"""Depth of a stream as levels of a colormap, by a range that changes slowly, so that colours do not pump."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.depth import DepthMap

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

    def levels(self, depth: DepthMap, *sizes: tuple[int, int]) -> list[NDArray[np.uint8]]:
        """The map enlarged to each of these sizes, (width, height): 0 at the farthest, 255 at the nearest depth."""
        if depth.bordered:  # which is enlarged with its surroundings
            depth = depth.enlarged(*sizes[0])
        span = self.high - self.low
        levels = (depth.inverse - np.float32(self.low)) * np.float32(255 / span if span > 0 else 0.0)
        return [_enlarged(levels, size) for size in sizes]


def _enlarged(levels: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    shrinks = size[0] < levels.shape[1]
    resized = cv2.resize(levels, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(cv2.convertScaleAbs(np.maximum(resized, 0, out=resized)), np.uint8)
