"""Small arrays upsampled to the grid of a large photo, a few rows at a time."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class LazyUpsampled:
    """An array (h, w, c), bilinearly upsampled to (height, width, c). Only the requested rows are computed."""

    def __init__(self, array: Floats, width: int, height: int) -> None:
        self._array = array
        self._width = width
        self._height = height

    def rows(self, top: int, bottom: int) -> Floats:
        """Rows `top` to `bottom`, exclusive, (bottom - top, width, c)."""
        last = len(self._array) - 1
        centre = (np.arange(top, bottom, dtype=np.float32) + 0.5) * np.float32(len(self._array) / self._height) - 0.5
        centre = centre.clip(0, last)
        above = centre.astype(np.intp)
        wide = self._wide(above[0], min(above[-1] + 1, last))
        part = (centre - above).astype(np.float32)[:, None, None]
        result: Floats = wide[above - above[0]] * (1 - part)
        result += wide[np.minimum(above + 1, last) - above[0]] * part
        return result

    def _wide(self, first: int, last: int) -> Floats:
        """Rows of the small array at full width."""
        rows = self._array[first : last + 1]
        wide = cv2.resize(rows, (self._width, len(rows)), interpolation=cv2.INTER_LINEAR)
        return np.asarray(wide, np.float32).reshape(len(rows), self._width, -1)
