"""What a client may ask of a photo. The service checks the values; None is no value: leave an option out."""

from __future__ import annotations

from typing import Literal, TypedDict


class _DepthQuery(TypedDict, total=False):
    input_size: int
    """Size in pixels at which the network sees the photo, a multiple of 32; by default the model's own."""
    size: Literal["source", "model"]
    """"source" (default): the photo's upright width and height. "model": the network's own, smaller grid."""
    refine: bool
    """Draw the edges of depth to those of the whole photo, which costs time."""


class HeatmapQuery(_DepthQuery, total=False):
    """Options of a heatmap."""

    colormap: str
    """inferno (default), magma, plasma, viridis, hot, turbo, jet or gray."""
    invert: bool
    """Turn the colours round: near is dark."""
    palette: bool
    """An 8-bit palette PNG (default), which is smaller and faster; False: truecolour."""
    side_by_side: bool
    """The photo on the left of its heatmap, truecolour, each with at most 4096 pixels a side."""


class DepthQuery(_DepthQuery, total=False):
    """Options of depth values."""

    normalize: bool
    """Scale the values so that the farthest point is 0 and the nearest 1."""


class PointCloudQuery(TypedDict, total=False):
    """Options of a point cloud."""

    fov: float
    """Degrees that the photo's longer side spans; 60 by default."""
    stride: int
    """Take every so many-th pixel of a row and of a column; 1 by default."""
    max_points: int
    """Most points in the answer; 1,000,000 by default."""
    input_size: int
    """As for depth."""


class BokehQuery(TypedDict, total=False):
    """Options of a refocused photo."""

    focus: str
    """"auto" (default), or "x,y" from 0,0 at the left top to 1,1 at the right bottom."""
    strength: float
    """How strongly what is out of focus is blurred, 0 to 1; 0.5 by default."""
    input_size: int
    """As for depth."""
