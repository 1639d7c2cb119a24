"""Large arrays a few rows at a time, so that intermediate results stay small and in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)

ROWS = 32
_PIXELS = 2**17
"""This many pixels fit the processor's cache even with several floats each."""


def row_blocks(array: NDArray[Number]) -> Iterator[NDArray[Number]]:
    """Views of at most ROWS rows, from top to bottom."""
    return (array[top : top + ROWS] for top in range(0, len(array), ROWS))


def extremes(values: NDArray[np.float32]) -> tuple[float, float]:
    """The smallest and the largest of finite values (h, w), in one pass."""
    low, high, *_ = cv2.minMaxLoc(values)
    return low, high


_WRITES_HALVES = int(cv2.__version__.partition(".")[0]) >= 5


def to_float16(values: NDArray[np.float32], result: NDArray[np.float16]) -> None:
    """Round values (h, w) to float16. OpenCV takes a seventh of NumPy's time, from version 5 on."""
    if _WRITES_HALVES and result.size:
        target: Any = result  # OpenCV's types do not know float16 yet, nor everywhere numbers
        nothing: Any = 0.0
        cv2.add(values, nothing, target, dtype=cv2.CV_16F)
    else:
        result[:] = values


def row_ranges(height: int, width: int) -> Iterator[tuple[int, int]]:
    """(first row, last row + 1) of blocks whose pixels need several floats each."""
    rows = max(1, _PIXELS // width)
    return ((top, min(top + rows, height)) for top in range(0, height, rows))
