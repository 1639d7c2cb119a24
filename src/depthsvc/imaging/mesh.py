"""Depth to a surface of triangles, with a pinhole camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from depthsvc.imaging.pointcloud import focal_length

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_STEP = 0.05
"""Neighbours are on either side of a step if their inverse depth differs by this fraction more than beside them."""
_REACH = 3
"""How many pixels beside them: a network spreads a step over a few."""


@dataclass(frozen=True, eq=False)
class Surface:
    """N vertices and M triangles, counter-clockwise as the camera sees them: x to the right, y up, looking along -z."""

    points: Floats
    """(N, 3), in the unit of the depth."""
    places: Floats
    """(N, 2), where the photo shows them: fractions of its width and height from the top left."""
    triangles: NDArray[np.uint32]
    """(M, 3), indices of vertices."""


@dataclass(frozen=True, eq=False)
class TexturedSurface:
    """A surface, and the photo that it shows."""

    surface: Surface
    pixels: NDArray[np.uint8]
    """RGB (h, w, 3)."""


def surface(inverse_depth: Floats, seen: Mask, width: int, height: int, *, fov: float, stride: int = 1) -> Surface:
    """The surface that a photo of `width` x `height` shows, cut where its depth has a step.

    `inverse_depth`, (h, w), is 1 / depth; vertices are every `stride`-th of its pixels each way, where `seen`, (h, w).
    `fov` is the angle in degrees that the photo's longer side spans.
    """
    focal = focal_length(width, height, fov)
    rows, columns = inverse_depth.shape
    inverse, seen = inverse_depth[::stride, ::stride], seen[::stride, ::stride]
    triangles = _triangles(inverse, seen & (inverse > 0))
    numbers = np.zeros(inverse.size, np.uint32)
    numbers[triangles] = 1
    used = np.flatnonzero(numbers)
    numbers[used] = np.arange(len(used), dtype=np.uint32)
    row, column = np.divmod(used, inverse.shape[1])
    u = (column * np.float32(stride) + np.float32(0.5)) / np.float32(columns)
    v = (row * np.float32(stride) + np.float32(0.5)) / np.float32(rows)
    depth = np.reciprocal(inverse.reshape(-1)[used])
    x = (u - np.float32(0.5)) * np.float32(width / focal) * depth
    y = (np.float32(0.5) - v) * np.float32(height / focal) * depth
    points = np.stack([x, y, -depth], axis=1).astype(np.float32, copy=False)
    places = np.stack([u, v], axis=1).astype(np.float32, copy=False)
    return Surface(points, places, numbers[triangles])


def _triangles(inverse_depth: Floats, seen: Mask) -> NDArray[np.uint32]:
    """Indices (M, 3) of a grid's vertices: two triangles a square, without those whose sides run across a step."""
    below = ~_steps(inverse_depth)
    beside = ~_steps(inverse_depth.T).T
    upper = below[:, :-1] & beside[:-1] & seen[:-1, :-1] & seen[1:, :-1] & seen[:-1, 1:]
    lower = below[:, 1:] & beside[1:] & seen[1:, 1:] & seen[1:, :-1] & seen[:-1, 1:]
    numbers = np.arange(inverse_depth.size, dtype=np.uint32).reshape(inverse_depth.shape)
    corners = numbers[:-1, :-1], numbers[1:, :-1], numbers[:-1, 1:], numbers[1:, 1:]
    top_left, bottom_left, top_right, bottom_right = corners
    return np.concatenate(
        [
            np.stack([top_left[upper], bottom_left[upper], top_right[upper]], axis=1),
            np.stack([top_right[lower], bottom_left[lower], bottom_right[lower]], axis=1),
        ]
    )


def _steps(inverse_depth: Floats) -> Mask:
    """Whether there is a step between a row and the next, (h - 1, w).

    A plane has the same differences of inverse depth everywhere, however steep it is, and an edge between two planes
    those of one or the other side. A step differs from both.
    """
    differences = np.diff(inverse_depth, axis=0)
    padded = np.pad(differences, ((_REACH, _REACH), (0, 0)), mode="edge") if len(differences) else differences
    above, below = padded[: len(differences)], padded[2 * _REACH :]
    excess = np.minimum(np.abs(differences - above), np.abs(differences - below))
    return np.asarray(excess > np.float32(_STEP) * np.maximum(inverse_depth[:-1], inverse_depth[1:]), np.bool_)
