"""The floor that a camera looks along: in inverse depth a plane, in metres as in relative values."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

_TOP = 0.5
"""The plane is sought below this fraction of the height."""
_GRID = 36, 24
"""Columns and rows of points that it is fitted to."""
_ROUNDS = 12, 3
"""Fits to all points, in which those above count little, and then to those that are close."""
_ABOVE = 0.03
"""How much a point counts that is nearer than the plane: nothing that is seen is behind the floor."""
_THICKNESS = 0.08
"""Nearness up to which a point may differ from the plane and be of the floor."""
_RISE = 0.6
"""Least rise of the floor's nearness over the whole height; less is a wall, or of no concern."""
_TILT = 0.5
"""Most rise over the whole width, as a fraction of that over the height."""
_HORIZON = 0.2, 0.85
"""Where the floor ends, as fractions of the height. A wall that gets nearer downwards does so from the top on."""
_SUPPORT = 0.4
"""Least fraction of the points below the horizon that are of the floor."""


def floor_of(nearness: Floats) -> Bools:
    """Which points are of the floor, (height, width); none if it is not certain that there is one.

    `nearness`: (height, width), inverse depth from 0 for the farthest to 1 for the nearest point. On a plane inverse
    depth is linear in the place in the picture, whatever its scale and shift.
    """
    height, width = nearness.shape
    top = int(height * _TOP)
    sample = np.asarray(cv2.resize(nearness[top:], _GRID, interpolation=cv2.INTER_AREA), np.float32).ravel()
    places = _places(_GRID[1], _GRID[0], top / height)
    plane = _fitted(places, sample)
    errors = sample - places @ plane
    across, down, _ = plane
    horizon = _horizon(plane)
    below = places[:, 1] > horizon
    if (
        down < _RISE
        or abs(across) > _TILT * down
        or not _HORIZON[0] < horizon < _HORIZON[1]
        or (np.abs(errors[below]) < _THICKNESS).mean() < _SUPPORT
    ):
        return np.zeros(nearness.shape, np.bool_)
    everywhere = _places(height, width, 0.0)
    behind = (everywhere @ plane + np.float32(_THICKNESS)).reshape(height, width) > nearness
    return np.asarray(behind & (everywhere[:, 1] > horizon).reshape(height, width), np.bool_)


def _fitted(places: Floats, values: Floats) -> Floats:
    """The plane that nothing is behind: its rise across, its rise down, and its value at the upper left."""
    weights = np.ones_like(values)
    to_all, to_close = _ROUNDS
    for number in range(to_all + to_close):
        weighted = places * weights[:, None]
        plane = np.linalg.lstsq(weighted.T @ places, weighted.T @ values, rcond=None)[0]
        errors = values - places @ plane
        if number < to_all:
            weights = np.where(errors > 0, np.float32(_ABOVE), np.float32(1))
        else:
            weights = (np.abs(errors) < _THICKNESS).astype(np.float32)
    return np.asarray(plane, np.float32)


def _horizon(plane: Floats) -> float:
    """At which fraction of the height the plane is as far as the farthest point, in the middle of the width."""
    across, down, start = (float(each) for each in plane)
    return -(start + across / 2) / down if down > 0 else 0.0


def _places(rows: int, columns: int, top: float) -> Floats:
    """x, y and 1 of points from `top` down, (rows * columns, 3), as fractions of width and height."""
    x, y = np.meshgrid((np.arange(columns) + 0.5) / columns, top + (np.arange(rows) + 0.5) / rows * (1 - top))
    return np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1).astype(np.float32)
