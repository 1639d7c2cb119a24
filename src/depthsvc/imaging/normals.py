"""Depth to surface normals, with a pinhole camera, and normals to colours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from depthsvc.imaging.pointcloud import focal_length

Floats = NDArray[np.float32]

_STEP = 0.01
"""Neighbouring slopes that differ by more than this fraction of the inverse depth lie on either side of a step."""
_RADIUS, _SPACING = 4, 2
"""A plane is fitted to every second pixel of a square that reaches this far in each direction."""
_SPREAD = 2.5
"""Standard deviation in pixels of their weights by distance."""
_TOLERANCE = 0.05
"""Pixels that are off a surface by this fraction of the inverse depth weigh exp(-1/2) as much as those on it."""
_OUTSIDE = -1e3
"""Inverse depth beyond the border of the map, which is on no surface."""
_FLAT = 1e-3
"""A determinant below this fraction of its trace's square: what is left of the pixels lies on a line."""
_FACING = np.array([0, 0, 1], np.float32)
_LEFT_UP_FRONT = np.array([-1, 1, 1], np.float32)


def surface_normals(inverse_depth: Floats, width: int, height: int, *, fov: float) -> Floats:
    """Unit normals (h, w, 3) of what a photo of `width` x `height` shows: x to the right, y up, z towards the camera.

    `inverse_depth`, (h, w), is 1 / depth in any unit, and 0 where depth is unknown: the normal there is (0, 0, 1).
    `fov` is the angle in degrees that the photo's longer side spans.

    The points of a plane have an inverse depth q that is affine in the pixel (u, v), counted from the middle, and the
    plane's normal is (-f q_u, f q_v, q - u q_u - v q_v), where f is the focal length in pixels.
    """
    rows, columns = inverse_depth.shape
    focal = focal_length(width, height, fov)
    normals = np.empty((rows, columns, 3), np.float32)
    across, down = _fitted_slopes(inverse_depth, _slopes(inverse_depth.T).T, _slopes(inverse_depth))
    u = np.arange(columns, dtype=np.float32) + np.float32(0.5 - columns / 2)
    v = np.arange(rows, dtype=np.float32)[:, None] + np.float32(0.5 - rows / 2)
    normals[..., 2] = inverse_depth - u * across - v * down
    np.multiply(across, np.float32(-focal * columns / width), out=normals[..., 0])
    np.multiply(down, np.float32(focal * rows / height), out=normals[..., 1])
    normals[inverse_depth <= 0] = _FACING
    return _unit(normals)


def _slopes(values: Floats) -> Floats:
    """How much values (n, m) grow from row to row; beside a step the smaller of the differences to both neighbours."""
    if len(values) == 1:
        return np.zeros_like(values)
    differences = np.diff(values, axis=0)
    after = np.concatenate([differences, differences[-1:]])
    before = np.concatenate([differences[:1], differences])
    smaller = np.where(np.abs(after) < np.abs(before), after, before)
    is_step = np.abs(after - before) > np.float32(_STEP) * values
    return np.where(is_step, smaller, (after + before) * np.float32(0.5))


def _fitted_slopes(values: Floats, across: Floats, down: Floats) -> tuple[Floats, Floats]:
    """Slopes (h, w) of the planes that fit values (h, w) best around each pixel, by weighted least squares.

    Pixels weigh the less, the farther they are from the surface that the slopes `across` and `down` predict: the other
    side of a step has no weight. On a plane the slopes stay as they are, and noise is averaged.
    """
    moments, products = np.zeros((6, *values.shape), np.float32), np.zeros((3, *values.shape), np.float32)
    (weight, wx, wy, xx, xy, yy), (wd, xd, yd) = moments, products
    weight += 1  # the pixel itself
    sharpness = np.float32(0.5) / np.square(np.float32(_TOLERANCE) * np.maximum(values, np.float32(1e-9)))
    for (x, y), neighbour in _neighbours(values):
        difference = neighbour - values
        residual = difference - x * across - y * down
        near = np.float32(np.exp(-(x * x + y * y) / (2 * _SPREAD**2)))
        weights = near * np.exp(-residual * residual * sharpness)
        for moment, factor in zip(moments, (1, x, y, x * x, x * y, y * y), strict=True):
            moment += weights * np.float32(factor)
        for product, factor in zip(products, (1, x, y), strict=True):
            product += weights * difference * np.float32(factor)
    xx -= wx * wx / weight
    xy -= wx * wy / weight
    yy -= wy * wy / weight
    xd -= wx * wd / weight
    yd -= wy * wd / weight
    determinant = xx * yy - xy * xy
    fits = determinant > np.float32(_FLAT) * np.square(xx + yy + 1)
    determinant[~fits] = 1
    return (
        np.where(fits, (xd * yy - yd * xy) / determinant, across),
        np.where(fits, (yd * xx - xd * xy) / determinant, down),
    )


def _neighbours(values: Floats) -> Iterator[tuple[tuple[int, int], Floats]]:
    """Pixels around each pixel of a map (h, w): how far they are to the right and below, and their values (h, w)."""
    height, width = values.shape
    padded = np.pad(values, _RADIUS, constant_values=_OUTSIDE)
    offsets = range(-_RADIUS, _RADIUS + 1, _SPACING)
    for x, y in ((x, y) for y in offsets for x in offsets if x or y):
        yield (x, y), padded[_RADIUS + y :, _RADIUS + x :][:height, :width]


def _unit(normals: Floats) -> Floats:
    """Vectors (..., 3) scaled to length 1; one without a direction faces the camera."""
    length = np.sqrt(np.einsum("...i,...i", normals, normals))[..., None]
    directions: Floats = np.broadcast_to(_FACING, normals.shape).copy()
    np.divide(normals, length, out=directions, where=length > 0)
    return directions


def normal_colours(normals: Floats) -> NDArray[np.uint8]:
    """Normals (h, w, 3) as RGB (h, w, 3): red is left, green is up and blue is towards the camera, as in ControlNet.

    A channel is 127.5 (n + 1), rounded.
    """
    return np.asarray(np.rint((normals * _LEFT_UP_FRONT + 1) * np.float32(127.5)), np.uint8)
