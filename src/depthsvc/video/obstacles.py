"""The nearest thing in each part of the way ahead, whether it comes nearer, and when it would be here."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.depth import DepthMap
from depthsvc.imaging.spec import DepthKind
from depthsvc.video.floor import floor_of
from depthsvc.video.growth import Contact, growth_of

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

COLUMNS = 5
"""Sectors from the left to the right."""
MOST_COLUMNS = 32
_TOP = 1 / 3
"""The upper third of the picture is not in the way."""
_LONGEST_SIDE = 256
"""Larger maps are looked at on a smaller grid."""
_ENOUGH = 0.03
"""Fraction of a sector that a thing has to cover: a few wrong points are not one."""
_THICKNESS = 0.12
"""Nearness within which points are of one thing."""
_TREND_S = 0.5
"""Over about so many seconds a trend is averaged."""
_WATCHED_S = 0.3
"""How long a thing has to be seen before its trend is said."""
_JUMP, _JUMP_PER_S = 0.15, 0.5
"""Change of nearness, at once and for each second between two frames, beyond which something else is the nearest."""


@dataclass(frozen=True)
class Sector:
    """The nearest thing in a part of the way ahead: of the lower two thirds of the picture, without the floor."""

    left: float
    """Its left edge, as a fraction of the picture's width."""
    right: float
    """Its right edge."""
    nearness: float
    """From 0 for the farthest to 1 for the nearest inverse depth of the shot. Of what covers at least 3 % of the
    sector; if nothing stands there, of the floor where it is farthest."""
    metres: float | None = None
    """The same as a distance. None with a model of relative depth, and where the distance is unknown."""
    approach: float | None = None
    """How fast it comes nearer: nearness per second, or m/s if `metres` is known; less than 0 if it recedes. None for a
    photo, and until something has been seen for 0.3 seconds."""
    contact_s: float | None = None
    """Seconds until it would be here at its present speed, from how fast it grows in the picture. None if that cannot
    be told, or is longer than 10 seconds."""

    def to_dict(self) -> dict[str, float | None]:
        """For JSON, rounded."""
        return {name: None if value is None else round(value, 3) for name, value in vars(self).items()}


@dataclass(frozen=True)
class _Nearest:
    """The nearest thing of a sector."""

    inverse: float
    """Its inverse depth."""
    where: Bools
    """Its points, on the lower part of the sector; none if it is the floor."""


@dataclass(frozen=True)
class _View:
    """A map, as it is looked at."""

    inverse: Floats
    """Inverse depth of the lower part, (h, w)."""
    nearness: Floats
    """The same, 0..1."""
    standing: Bools
    """Where it is not the floor."""
    kind: DepthKind

    @classmethod
    def of(cls, depth: DepthMap, low: float, high: float) -> _View:
        inverse = _small(depth.inverse)
        span = high - low
        scale = 1 / span if span > 0 else 0.0
        nearness = ((inverse - np.float32(low)) * np.float32(scale)).clip(0, 1)
        top = _top(len(inverse))
        return cls(inverse[top:], nearness[top:], ~floor_of(nearness)[top:], depth.kind)

    def nearest(self, columns: slice) -> _Nearest:
        """The nearest thing in some columns."""
        nearness, standing = self.nearness[:, columns], self.standing[:, columns]
        enough = max(1, round(_ENOUGH * nearness.size))
        inverse, things = self.inverse[:, columns], self.inverse[:, columns][standing]
        if len(things) < enough:
            return _Nearest(float(np.partition(inverse.ravel(), enough - 1)[enough - 1]), np.zeros_like(standing))
        nearest = np.partition(things, -enough)[-enough]
        level = nearness[standing & (inverse >= nearest)].min()
        return _Nearest(float(nearest), standing & (nearness >= level - np.float32(_THICKNESS)))


def obstacles(depth: DepthMap, columns: int = COLUMNS) -> tuple[Sector, ...]:
    """The nearest thing in each sector of one photo, from the left to the right. It has no trend.

    `depth`: of any size, of either kind. Raises ValueError if there are not 1 to 32 columns.
    """
    inverse = depth.inverse
    return ObstacleTracker(columns)(depth, float(inverse.min()), float(inverse.max()), 0.0, is_cut=True, flow=None)


class ObstacleTracker:
    """Follows the nearest thing of each sector through the frames of one stream, which have to come in order.

    tracker = ObstacleTracker()
    sectors = tracker(depth, low, high, time_s, is_cut=steady.is_cut, flow=steady.flow)

    Frames may be missing, and their rate may vary. Not thread-safe.
    """

    def __init__(self, columns: int = COLUMNS) -> None:
        """Raises ValueError if there are not 1 to 32 columns."""
        if not 1 <= columns <= MOST_COLUMNS:
            raise ValueError(f"columns: {columns} is not between 1 and {MOST_COLUMNS}.")
        self._edges = [number / columns for number in range(columns + 1)]
        self._trends = [_Trend() for _ in range(columns)]
        self._time_s: float | None = None

    def __call__(
        self, depth: DepthMap, low: float, high: float, time_s: float, *, is_cut: bool, flow: Floats | None
    ) -> tuple[Sector, ...]:
        """The sectors of the next frame, from the left to the right.

        `depth`: its map, on the network's own grid. `low`, `high`: the farthest and the nearest inverse depth of the
        shot. `time_s`: its presentation time in seconds. `is_cut`: whether it begins a shot. `flow`: that of
        TemporalFilter; None: there is no time to contact.
        """
        seconds = 0.0 if self._time_s is None else time_s - self._time_s
        self._time_s = time_s
        if is_cut or seconds <= 0:
            self._trends = [_Trend() for _ in self._trends]
        view = _View.of(depth, low, high)
        motion = None if flow is None or seconds <= 0 else _beneath(flow, depth, view.standing.shape)
        width = view.standing.shape[1]
        sectors = []
        for left, right, trend in zip(self._edges, self._edges[1:], self._trends, strict=False):
            start = min(int(left * width), width - 1)
            columns = slice(start, max(start + 1, int(right * width)))
            nearest = view.nearest(columns)
            metres = _metres(nearest.inverse, view.kind)
            nearness = (nearest.inverse - low) / (high - low) if high > low else 0.0
            trend.observe(nearest, metres, high - low, seconds, None if motion is None else motion[:, columns])
            sectors.append(Sector(left, right, min(max(nearness, 0.0), 1.0), metres, trend.approach, trend.contact_s))
        return tuple(sectors)


class _Trend:
    """What becomes of the nearest thing in one sector."""

    def __init__(self) -> None:
        self._before: tuple[float, float | None] | None = None
        self._contact = Contact()
        self._begin()

    def _begin(self) -> None:
        """Something else is the nearest now."""
        self._speed = self._watched_s = 0.0
        self._contact.reset()

    def observe(
        self, nearest: _Nearest, metres: float | None, span: float, seconds: float, flow: Floats | None
    ) -> None:
        """Take the next frame into account, so many seconds after the one before.

        `span`: of the shot's inverse depth. `flow`: of the sector.
        """
        before, self._before = self._before, (nearest.inverse, metres)
        if before is None or seconds <= 0 or span <= 0:
            return
        change = (nearest.inverse - before[0]) / span
        if abs(change) > _JUMP + _JUMP_PER_S * seconds or (metres is None) != (before[1] is None):
            self._begin()
            return
        if metres is not None and before[1] is not None:
            change = before[1] - metres
        self._watched_s += seconds
        share = max(1 - math.exp(-seconds / _TREND_S), seconds / self._watched_s)
        self._speed += share * (change / seconds - self._speed)
        self._contact.observe(None if flow is None else growth_of(flow, nearest.where, seconds), seconds)

    @property
    def approach(self) -> float | None:
        return self._speed if self._watched_s >= _WATCHED_S else None

    @property
    def contact_s(self) -> float | None:
        return self._contact.seconds


def _metres(inverse: float, kind: DepthKind) -> float | None:
    return 1 / inverse if kind is DepthKind.METRES and inverse > 0 else None


def _small(inverse: Floats) -> Floats:
    """A map whose longer side has at most `_LONGEST_SIDE` points."""
    height, width = inverse.shape
    factor = _LONGEST_SIDE / max(height, width)
    if factor >= 1:
        return inverse
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(inverse, size, interpolation=cv2.INTER_AREA), np.float32)


def _top(height: int) -> int:
    """The first row of the lower part."""
    return min(int(height * _TOP), height - 1)


def _beneath(flow: Floats, depth: DepthMap, shape: tuple[int, ...]) -> Floats:
    """The motion of the points of a view of this shape, in points of its grid."""
    if depth.bordered:
        rows, columns = (
            round(side * margin / (1 + 2 * margin))
            for side, margin in zip(flow.shape, depth.bordered.margins, strict=False)
        )
        flow = flow[rows : len(flow) - rows, columns : flow.shape[1] - columns]
    height, width = len(_small(depth.values)), shape[1]
    top = _top(height)
    scale = np.array([width / flow.shape[1], height / len(flow)], np.float32)
    return np.asarray(cv2.resize(flow, (width, height), interpolation=cv2.INTER_NEAREST)[top:] * scale, np.float32)
