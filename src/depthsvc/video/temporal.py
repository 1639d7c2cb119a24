"""Depth that holds still: the maps of a video's frames, steadied along its motion.

A network sees every frame for the first time, so its maps flicker where nothing changes. Here each map is averaged with
those before it, which are moved along the optical flow. Where the picture or the depth says that something else is seen
now, the new map counts alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_LONGEST = 15.0
"""Frames that a point is averaged over at most."""
_REDUCTION = 2
"""Motion is found on a grid that is smaller by this factor."""
_LEAST_SIDE = 16
"""Pixels of that grid's sides at least: OpenCV refuses smaller ones."""
_OTHER_PICTURE = 0.04, 0.12
"""Difference of brightness (0..1) from which the frame before counts less, and from which it does not count."""
_OTHER_DEPTH = 0.5, 2.0
"""The same difference of depth, as a multiple of the map's mean deviation from its median."""
_GAIN = 0.5, 2.0
"""Least and largest change of exposure between two frames."""
_THUMBNAIL = 48, 27
_CUT = 0.6
"""A new shot begins where thumbnails are less alike than this: 1 - correlation."""
_PLAIN, _NOT_PLAIN = 1e-6, 1e-4
"""Variance of brightness (0..1) up to which a picture is of one colour, and from which it certainly is not."""
_NEW = 0.05
"""Fraction of the picture that has to be new for the network to see a frame."""
_LONGEST_GAP = 8
"""Frames until it has to see one in any case."""
_TINY = 1e-6
"""Least deviation of a map, which may be constant."""
_FINE_SIDE = 256
"""Pixels of the longer side of the grid on which motion can be read."""
_TEXTURE = 6.0
"""Least mean slope of brightness (Sobel, 0..255) around a point whose motion can be seen."""
_TEXTURE_SIDE = 7
"""Pixels of the side of that surrounding."""
_ONE_MAP: Any = None
"""OpenCV's second map, where the first has x and y; its types do not know that."""


@dataclass(frozen=True)
class _Picture:
    """What is kept of a frame's picture."""

    whole: Floats
    """Brightness, 0..1, on its own grid."""
    grey: NDArray[np.uint8]
    """On the grid of the motion."""
    thumbnail: Floats
    """Brightness, 0..1."""

    @classmethod
    def of(cls, colours: Floats) -> _Picture:
        height, width, _ = colours.shape
        grey = np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), np.float32)
        small = max(_LEAST_SIDE, height // _REDUCTION), max(_LEAST_SIDE, width // _REDUCTION)
        coarse = _resized(grey, small, cv2.INTER_AREA)
        thumbnail = np.asarray(cv2.resize(coarse, _THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32)
        return cls(grey, _bytes(coarse), thumbnail)

    @cached_property
    def fine(self) -> NDArray[np.uint8]:
        """On its own grid, or with sides of at least `_LEAST_SIDE` and about `_FINE_SIDE` pixels at most."""
        return _bytes(_fine(self.whole))

    def differs_from(self, before: _Picture) -> bool:
        """Whether it is of another shot. Exposure does not count, and pictures of one colour are alike."""
        if self.whole.shape != before.whole.shape:
            return True
        ours, theirs = (thumbnail - thumbnail.mean() for thumbnail in (self.thumbnail, before.thumbnail))
        variances = float((ours**2).mean()), float((theirs**2).mean())
        if min(variances) < _PLAIN:
            return max(variances) > _NOT_PLAIN
        return 1 - float((ours * theirs).mean()) / math.sqrt(variances[0] * variances[1]) > _CUT


@dataclass(frozen=True)
class _Seen:
    """What is kept of a frame."""

    picture: _Picture
    depth: Floats
    """As it was steadied."""
    age: Floats
    """Over how many frames each point was averaged."""


class Novelty:
    """Which frames of one stream the network has to see, by what is new in their pictures since the last one it saw.

    Frames come in order. Not thread-safe.
    """

    def __init__(self) -> None:
        self._motion: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._last: _Picture | None = None
        self._new = np.zeros((1, 1), np.float32)
        """How new each point is, 0..1, carried along the motion."""
        self._unseen = 0
        """Frames since the last one that the network saw."""

    def is_due(self, colours: Floats) -> bool:
        """Whether it has to see the next frame; then that counts as seen. `colours`: as for TemporalFilter."""
        now, before = _Picture.of(colours), self._last
        self._last = now
        self._unseen += 1
        if before is None or now.differs_from(before):
            return self._seen(now)
        flow = np.asarray(self._motion.calc(now.grey, before.grey, None), np.float32)
        carried = _at(self._new, _places(*now.grey.shape) + flow)
        self._new = np.maximum(carried, _other_picture(before.grey, now.grey, flow, now.grey.shape))
        if self._unseen < _LONGEST_GAP and float(self._new.mean()) <= _NEW:
            return False
        return self._seen(now)

    def _seen(self, now: _Picture) -> bool:
        self._new = np.zeros(now.grey.shape, np.float32)
        self._unseen = 0
        return True


class TemporalFilter:
    """Steadies the maps of one stream of frames, which have to come in order. Adds no delay.

        steady = TemporalFilter()
        for colours, depth in frames:
            depth = steady(colours, depth)

    Keeps about as much memory as four maps, whatever the length of the stream. Not thread-safe.
    """

    def __init__(self, strength: float = 1.0) -> None:
        """`strength`: 0 leaves maps as they are, 1 averages over up to 15 frames. Raises ValueError beyond."""
        if not 0 <= strength <= 1:
            raise ValueError(f"strength: {strength} is not between 0 and 1.")
        self._longest = np.float32(1 + strength * (_LONGEST - 1))
        self._motion: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._fine_motion = _fine_motion()
        self._last: _Seen | None = None
        self._before: _Picture | None = None
        self.is_cut = True
        """Whether the last frame was the first of a shot: maps before it have nothing to do with those after it."""

    def __call__(self, colours: Floats, depth: Floats) -> Floats:
        """The depth of the next frame, (h, w), in the unit and the kind in which it came.

        `colours`: its picture, RGB (H, W, 3), 0..1, of any size. `depth`: its map, finite.
        """
        now, before = _Picture.of(colours), self._last
        self.is_cut = before is None or before.depth.shape != depth.shape or now.differs_from(before.picture)
        if before is None or self.is_cut:
            self._last, self._before = _Seen(now, depth, np.ones_like(depth)), None
            return depth
        moved, flow = self._moved(before, now)
        novel = np.maximum(_other_picture(before.picture.grey, now.grey, flow, depth.shape), _other_depth(moved, depth))
        weight = np.asarray(np.maximum(1 / np.minimum(moved.age + 1, self._longest), novel), np.float32)
        steadied = moved.depth + weight * (depth - moved.depth)
        self._last = _Seen(now, steadied, np.asarray(1 / weight, np.float32))
        return steadied

    def without_depth(self, colours: Floats) -> Floats | None:
        """The depth of the next frame by its motion alone; None if it begins a shot, and has to have a map.

        Where something new is seen, it gets the depth of what was beside it.
        """
        now, before = _Picture.of(colours), self._last
        if before is None or now.differs_from(before.picture):
            return None
        self.is_cut = False
        self._last, _ = self._moved(before, now)
        return self._last.depth

    @property
    def flow(self) -> Floats | None:
        """The motion that the last frame shows, (H, W, 2), x and y in pixels; None where a shot begins.

        On the grid of `colours`, scaled to sides of 16 to about 256 pixels, for frames with and without a map: each
        point of the last frame was at its place plus this in the frame before. NaN where the picture does not tell:
        without texture, where something else is seen, and where the frame before ends. Finer than the motion by which
        maps are steadied, and computed each time it is read.
        """
        if self._last is None or self._before is None:
            return None
        now, before = self._last.picture.fine, self._before.fine
        flow = np.asarray(self._fine_motion.calc(now, _with_light_of(now, before), None), np.float32)
        unknown = (_other_picture(before, now, flow, now.shape) >= 1) | ~_textured(now)
        flow[unknown] = np.nan
        return flow

    def _moved(self, before: _Seen, now: _Picture) -> tuple[_Seen, Floats]:
        """The depth of the frame before where its points are now, and the motion that says so."""
        self._before = before.picture
        height, width = before.depth.shape
        rows, columns = now.grey.shape
        flow = np.asarray(self._motion.calc(now.grey, before.picture.grey, None), np.float32)
        places = _resized(flow, (height, width))
        places[..., 0] *= np.float32(width / columns)
        places[..., 1] *= np.float32(height / rows)
        places += _places(height, width)
        return _Seen(now, _at(before.depth, places), _at(before.age, places, cv2.INTER_NEAREST)), flow


def _fine_motion() -> Any:
    """Optical flow down to single pixels, without the variational refinement, which levels the growth of small things:
    a square of 60 pixels that grows by a tenth is found to grow by 2.4 % with the preset, and by 10.0 % like this."""
    motion = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    motion.setFinestScale(0)
    motion.setVariationalRefinementIterations(0)
    return motion


def _fine(grey: Floats) -> Floats:
    """A picture's brightness on the grid on which motion can be read."""
    height, width = grey.shape
    factor = min(1.0, _FINE_SIDE / max(height, width))
    shape = max(_LEAST_SIDE, round(height * factor)), max(_LEAST_SIDE, round(width * factor))
    return grey if shape == grey.shape else _resized(grey, shape, cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)


def _with_light_of(picture: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Another picture of the same things with this one's brightness and contrast."""
    (mean, deviation), (mean_other, deviation_other) = (
        (float(each[0, 0]) for each in cv2.meanStdDev(grey)) for grey in (picture, other)
    )
    gain = min(max(deviation / deviation_other, _GAIN[0]), _GAIN[1]) if deviation_other > 0 else 1.0
    return np.asarray((mean + gain * (other - np.float32(mean_other))).clip(0, 255), np.uint8)


def _textured(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where a picture has enough detail to see motion."""
    slopes = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    return np.asarray(cv2.blur(slopes, (_TEXTURE_SIDE, _TEXTURE_SIDE)) > _TEXTURE, np.bool_)


def _other_picture(before: NDArray[np.uint8], now: NDArray[np.uint8], flow: Floats, shape: tuple[int, ...]) -> Floats:
    """How little of each point's picture was there in the frame before, 0..1, apart from its exposure."""
    height, width = now.shape
    places = _places(height, width) + flow
    inside = cv2.inRange(places, (0.0, 0.0), (width - 1.0, height - 1.0)) > 0
    if not inside.any():
        return np.ones(shape, np.float32)
    picture, moved = _brightness(now), _at(_brightness(before), places)
    error = np.abs(picture - _exposed_like(picture, moved, inside))
    novel = np.where(inside, _ramp(np.asarray(cv2.blur(error, (3, 3)), np.float32), *_OTHER_PICTURE), np.float32(1))
    return _resized(novel, shape)


def _exposed_like(picture: Floats, other: Floats, where: NDArray[np.bool_]) -> Floats:
    """Another picture with this one's exposure, by what is in both."""
    ours, theirs = picture[where], other[where]
    mean, mean_other = float(ours.mean()), float(theirs.mean())
    theirs -= np.float32(mean_other)
    variance = float((theirs**2).mean())
    gain = float((ours * theirs).mean()) / variance if variance > _PLAIN else 1.0
    return np.asarray(mean + min(max(gain, _GAIN[0]), _GAIN[1]) * (other - mean_other), np.float32)


def _other_depth(moved: _Seen, depth: Floats) -> Floats:
    """How little each point's depth is that of the frame before, 0..1."""
    sample = depth[::2, ::2]
    deviation = max(float(np.abs(sample - np.median(sample)).mean()), _TINY)
    return _ramp(np.abs(depth - moved.depth) * np.float32(1 / deviation), *_OTHER_DEPTH)


def _at(values: Floats, places: Floats, interpolation: int = cv2.INTER_LINEAR) -> Floats:
    """The values at these places (h, w, 2): x and y."""
    return np.asarray(cv2.remap(values, places, _ONE_MAP, interpolation, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _resized(values: Floats, shape: tuple[int, ...], interpolation: int = cv2.INTER_LINEAR) -> Floats:
    return np.asarray(cv2.resize(values, (shape[1], shape[0]), interpolation=interpolation), np.float32)


def _bytes(brightness: Floats) -> NDArray[np.uint8]:
    return np.asarray(brightness * np.float32(255), np.uint8)


def _brightness(grey: NDArray[np.uint8]) -> Floats:
    return grey.astype(np.float32) * np.float32(1 / 255)


def _ramp(values: Floats, start: float, end: float) -> Floats:
    """0 up to `start`, 1 from `end` on, and linear between."""
    return np.asarray(((values - np.float32(start)) * np.float32(1 / (end - start))).clip(0, 1), np.float32)


@lru_cache(maxsize=4)
def _places(height: int, width: int) -> Floats:
    """Each point's own place (h, w, 2): x and y."""
    y, x = np.mgrid[:height, :width]
    places = np.stack([x, y], axis=-1).astype(np.float32)
    places.setflags(write=False)
    return places
