"""The interface of engines."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Runs one loaded network. Not thread-safe."""

    learns_shapes: bool = True
    """Whether its first run of each input shape takes longer than later ones."""

    def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (1, 3, h, w), normalised -> float32 for the same batch, of the model's `OutputKind`."""
        ...

    def specialise(self, shape: tuple[int, ...]) -> None:
        """Prepare for many inputs of this shape, where that makes them faster. Others are accepted as before."""
        return
