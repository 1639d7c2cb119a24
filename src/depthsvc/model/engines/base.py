"""What every engine offers, whichever library computes."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Runs one network that it has loaded. For one thread of the caller at a time."""

    def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (1, 3, h, w), normalised -> float32 of the same batch; its meaning is the model's."""
        ...
