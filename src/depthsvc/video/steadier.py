"""The values of a stream's frames, steadied, whether or not the network has seen them all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from depthsvc.depth import DepthMap
from depthsvc.video.temporal import TemporalFilter

Floats = NDArray[np.float32]


class Steady(NamedTuple):
    """A frame's values, steadied."""

    values: Floats
    is_cut: bool
    """Whether it begins a shot, or the stream."""


class Steadier:
    """One stream's, frame by frame in their order."""

    def __init__(self, strength: float | None) -> None:
        """`strength`: of TemporalFilter; None: values stay as they are. Raises ValueError beyond 0..1."""
        self.filter = None if strength is None else TemporalFilter(strength)

    @property
    def flow(self) -> Floats | None:
        """The motion that the last frame shows, as TemporalFilter has it; None at a cut, and without a strength."""
        return None if self.filter is None else self.filter.flow

    def __call__(self, colours: Floats, values: Floats | None, model: str) -> Steady | None:
        """The next frame's values. None if the network has not seen it and has to: then call again with its values.

        `colours`: RGB (H, W, 3), 0..1. `values`: what the network predicts (h, w); None: it has not seen the frame.
        """
        if self.filter is None:
            return None if values is None else Steady(values, True)
        if values is None:
            moved = self.filter.without_depth(colours)
            return None if moved is None else Steady(moved, False)
        steadied = self.filter(colours, DepthMap.of(values, model).values)
        return Steady(steadied, self.filter.is_cut)
