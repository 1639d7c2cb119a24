"""How fast a thing grows in the picture, and when it will be here if it goes on like this.

What comes straight on at a constant speed, and is Z away, is seen at a scale of 1 / Z: its scale s grows by
ds/dt / s = 1 / (time to contact), whatever its size, its distance and the focal length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

_EDGE = 4
"""Pixels from its edge, within which the motion of a thing is mixed with that of what is behind it."""
_STEP = 2
"""Every so many columns and rows are looked at."""
_FEWEST = 20
"""Least number of points whose motion is known."""
_NARROWEST = 3.0
"""Least deviation of their places in each direction, in pixels."""
_FITS = 4
_OUTLIER = 2.5
"""A point that is off by more than so many times the median is not of the thing."""
_PRECISION = 0.05
"""Error of the motion of one point, in pixels, at least."""
_BIAS = 0.1
"""Error of a growth, as a fraction of it, that no number of points makes smaller."""
_PATCH = 16
"""Points that share their error: the flow is that of patches."""
_LEAST_SUPPORT = 0.5
"""Least fraction of points that move as one thing."""
_PRIOR = 1.0
"""Variance of the growth of a thing that has not been seen before, 1 / s^2."""
_CHANGE = 0.01
"""How much of that variance comes back in each second: things change their speed."""
_SURPRISE = 3.0
"""Deviations from which a measurement is not of this thing."""
_CERTAINTY = 5.0
"""Least growth, in deviations of its error, that is said: then it is right to about a fifth."""
_LONGEST_S = 10.0
"""Longest time to contact that is said: less growth is not told from none."""
_SILENCE_S = 0.4
"""After so long without a measurement that fits, a thing is not known any more."""
_WATCHED_S = 0.3
"""How long a thing has to be seen at least."""


@dataclass(frozen=True)
class Growth:
    """Of the scale of a thing from one frame to the next."""

    rate: float
    """1 / s; less than 0 for what recedes."""
    deviation: float
    """Of its error, 1 / s."""


def growth_of(flow: Floats, where: Bools, seconds: float) -> Growth | None:
    """How fast a thing grows; None if its motion cannot be told.

    `flow`: of TemporalFilter, (h, w, 2), with NaN. `where`: the points of the thing, (h, w). `seconds`: between the two
    frames.
    """
    rows, columns = np.nonzero(_inside(where)[::_STEP, ::_STEP] & np.isfinite(flow[::_STEP, ::_STEP, 0]))
    x, y = columns * float(_STEP), rows * float(_STEP)
    if len(x) < _FEWEST or min(x.std(), y.std()) < _NARROWEST:
        return None
    places = np.stack([x - x.mean(), y - y.mean(), np.ones(len(x))], axis=1)
    motion = flow[::_STEP, ::_STEP][rows, columns].astype(np.float64)
    kept = np.ones(len(x), np.bool_)
    for _ in range(_FITS):
        used = places[kept]
        matrix = np.linalg.lstsq(used.T @ used, used.T @ motion[kept], rcond=None)[0]
        errors = np.hypot(*(motion - places @ matrix).T)
        error = max(float(np.median(errors[kept])), _PRECISION)
        kept = errors < _OUTLIER * error
        if kept.sum() < max(_FEWEST, _LEAST_SUPPORT * len(x)):
            return None
    (across_x, across_y), (down_x, down_y), _ = matrix.tolist()
    shrinking = (across_x + down_y) / 2  # from this frame to the one before
    if shrinking <= -1:
        return None
    distortion = math.hypot(across_x - down_y, across_y + down_x) / 2  # what only grows has none
    spread = math.sqrt(len(x) / _PATCH) * min(x.std(), y.std())
    rate = -shrinking / (1 + shrinking) / seconds
    return Growth(rate, math.hypot(error / spread, distortion, _BIAS * shrinking) / seconds)


def _inside(where: Bools) -> Bools:
    """A thing without its edge; an edge of the picture is none."""
    side = 2 * _EDGE + 1
    inside = cv2.erode(where.astype(np.uint8), np.ones((side, side), np.uint8), borderValue=1)
    return np.asarray(inside > 0, np.bool_)


class Contact:
    """The time to contact with one thing, from its growth in one frame after the other (a Kalman filter).

    Growth is that of a constant speed, which is g / (1 - g t) after t seconds.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the thing."""
        self._rate, self._variance = 0.0, _PRIOR
        self._watched_s = self._silent_s = 0.0

    def observe(self, growth: Growth | None, seconds: float) -> None:
        """Take the next frame into account, so many seconds after the one before. None: nothing was measured."""
        ahead = 1 - self._rate * seconds
        self._rate = self._rate / ahead if ahead > 0 else 0.0
        self._variance = min(self._variance + _CHANGE * seconds, _PRIOR)
        self._watched_s += seconds
        if growth is not None and self._fits(growth):
            gain = self._variance / (self._variance + growth.deviation**2)
            self._rate += gain * (growth.rate - self._rate)
            self._variance *= 1 - gain
            self._silent_s = 0.0
            return
        self._silent_s += seconds
        if self._silent_s > _SILENCE_S:
            self.reset()

    def _fits(self, growth: Growth) -> bool:
        """Whether a measurement can be of this thing."""
        return abs(growth.rate - self._rate) <= _SURPRISE * math.sqrt(self._variance + growth.deviation**2)

    @property
    def seconds(self) -> float | None:
        """To contact, after the last frame; None if nothing is known to come."""
        least = max(_CERTAINTY * math.sqrt(self._variance), 1 / _LONGEST_S)
        return 1 / self._rate if self._watched_s >= _WATCHED_S and self._rate > least else None
