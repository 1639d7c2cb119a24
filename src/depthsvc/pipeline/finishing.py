"""What a network predicts, as the map that its model promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from depthsvc.depth import DepthMap
from depthsvc.imaging.edges import follow_edges
from depthsvc.imaging.resize import reflected_margin
from depthsvc.model.spec import ModelSpec

Floats = NDArray[np.float32]


def finished(spec: ModelSpec, values: Floats, colours: Callable[[], Floats], size: tuple[int, int]) -> DepthMap:
    """The map of values (h, w): with the photo's edges if they are part of the model, and without its surroundings.

    `colours`: gives the picture that the network got, RGB (h, w, 3), 0..1. `size`: width and height of the photo.
    """
    if spec.follows_edges:
        values = follow_edges(colours(), DepthMap.of(values, spec.name).values)
    kind = spec.output.depth_kind
    if not spec.input.padded:
        depth = DepthMap.of(values, spec.name, spec.enlargement, kind)
        return replace(depth, follows_edges=spec.follows_edges)
    width, height = size
    margins = reflected_margin(height) / height, reflected_margin(width) / width
    return DepthMap.within(values, margins, spec.name, spec.enlargement, kind)
