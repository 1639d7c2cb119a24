"""Large arrays a few rows at a time: what is made of them on the way stays small, and in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)

ROWS = 32


def row_blocks(array: NDArray[Number]) -> Iterator[NDArray[Number]]:
    """Views of at most ROWS rows, from top to bottom."""
    return (array[top : top + ROWS] for top in range(0, len(array), ROWS))
