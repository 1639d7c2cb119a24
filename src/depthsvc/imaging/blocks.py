"""Large arrays a few rows at a time, so that intermediate results stay small and in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)

ROWS = 32
_PIXELS = 2**17
"""This many pixels fit the processor's cache even with several floats each."""


def row_blocks(array: NDArray[Number]) -> Iterator[NDArray[Number]]:
    """Views of at most ROWS rows, from top to bottom."""
    return (array[top : top + ROWS] for top in range(0, len(array), ROWS))


def row_ranges(height: int, width: int) -> Iterator[tuple[int, int]]:
    """(first row, last row + 1) of blocks whose pixels need several floats each."""
    rows = max(1, _PIXELS // width)
    return ((top, min(top + rows, height)) for top in range(0, height, rows))
