"""A map on the grid of its photo, with the photo's edges where depth steps, and smooth everywhere else.

Where depth steps, it is on one of two sides: that of the nearest or that of the farthest point around. The photo's
colour tells which: depth is fitted as a linear function of colour (see `guided`), made steep, and kept between both.
Where depth does not step, colour has no say, so that neither texture nor print shows through.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.imaging.guided import linear_functions

Floats = NDArray[np.float32]

_RADIUS = 0.016
"""Half the window in which colours are compared, as a fraction of the longer side."""
_NOISE = 1e-4
"""Regularisation: colour (0..1) whose variance is below this explains nothing."""
_REDUCTION = 2
"""The functions are fitted on a grid that is smaller than the map's by this factor."""
_SAMPLES = 4
"""A colour on that grid is the mean of at most this many rows and columns of the photo: more tell no more."""
_REACH = 3
"""Width in the map's pixels of the neighbourhood that has a nearest and a farthest side."""
_STEEPER = 3.0
"""Gain on soft edges."""
_SMALLEST_STEP = 0.06
"""Steps below this fraction of the map's range are none. Colour decides alone from twice this on."""
_AT_ONCE = 2**14
"""This many points fit the processor's cache with several floats each; OpenCV's limit is twice that."""


class _Sides(NamedTuple):
    """Depth is `base` + (`functions` of colour, between 0 and `step`), on the map's grid."""

    base: Floats
    """(h, w). Where depth steps, its farthest side; elsewhere depth itself."""
    step: Floats
    """(h, w). How far the other side is from it; 0 where depth does not step."""
    functions: Floats
    """(h, w, 4). Slopes by red, green and blue, 0..255, and the value at black."""

    @classmethod
    def fit(cls, pixels: NDArray[np.uint8], values: Floats, span: float) -> _Sides:
        height, width = values.shape
        small = max(1, width // _REDUCTION), max(1, height // _REDUCTION)
        if _SAMPLES * small[0] < len(pixels[0]) and _SAMPLES * small[1] < len(pixels):
            enough = _SAMPLES * small[0], _SAMPLES * small[1]
            pixels = np.asarray(cv2.resize(pixels, enough, interpolation=cv2.INTER_NEAREST), np.uint8)
        colour = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA).astype(np.float32)
        target = np.asarray(cv2.resize(values, small, interpolation=cv2.INTER_AREA), np.float32)
        fitted = linear_functions(colour * np.float32(1 / 255), target, radius=_RADIUS, noise=_NOISE)
        *slopes, value = cv2.split(_enlarged(fitted, width, height))
        around = np.ones((_REACH, _REACH), np.uint8)
        least, most = cv2.erode(values, around), cv2.dilate(values, around)
        step = most - least
        weight = (step * np.float32(1 / (_SMALLEST_STEP * span)) - 1).clip(0, 1)
        gain = np.float32(_STEEPER) * weight
        value = gain * (value - least) - np.float32((_STEEPER - 1) / 2) * weight * step
        functions = cv2.merge([*(slope * gain * np.float32(1 / 255) for slope in slopes), value])
        base = values + weight * (least - values)
        return cls(base, weight * step, np.asarray(functions, np.float32))

    def steps(self, width: int, height: int) -> NDArray[np.intp]:
        """The points of a larger grid at which depth steps, by their place in its rows one after the other, (N,)."""
        cells = (self.step > 0).view(np.uint8) * np.uint8(255)
        near = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.flatnonzero(np.minimum(near, 1, out=near).view(np.bool_))


def refined(pixels: NDArray[np.uint8], values: Floats) -> Floats:
    """A map (h, w) upsampled to (H, W), with the edges of its photo, RGB (H, W, 3). Its range does not grow.

    The map's own edges have to be where the photo's are, to a pixel of it (see `edges`).
    """
    height, width = pixels.shape[:2]
    low, high = np.percentile(values[::2, ::2], (2, 98))  # a quarter of the pixels, for speed
    if not low < high:  # constant, but for a few points
        return _enlarged(values, width, height)
    sides = _Sides.fit(pixels, values, float(high - low))
    result, colours = _enlarged(sides.base, width, height), pixels.reshape(-1, 3)
    points = sides.steps(width, height)
    for start in range(0, len(points), _AT_ONCE):
        some = points[start : start + _AT_ONCE]
        rows, columns = np.divmod(some.astype(np.int32), np.int32(width))
        x, y = _places(columns, len(values[0]) / width), _places(rows, len(values) / height)
        result.ravel()[some] += _other_side(sides, colours.take(some, axis=0), x, y)
    return result


def _places(numbers: NDArray[np.int32], scale: float) -> Floats:
    """Rows or columns on a grid that is coarser by this factor."""
    return (numbers.astype(np.float32) + np.float32(0.5)) * np.float32(scale) - np.float32(0.5)


def _other_side(sides: _Sides, colours: NDArray[np.uint8], x: Floats, y: Floats) -> Floats:
    """How far points (N,) of these colours (N, 3) are from the farthest side of the step on which they are."""
    functions, step = (
        np.asarray(cv2.remap(plane, x[None], y[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0], np.float32)
        for plane in (sides.functions, sides.step)
    )
    side = np.einsum("nc,nc->n", functions[:, :3], colours.astype(np.float32))
    side += functions[:, 3]
    np.clip(side, 0, step, out=side)
    return np.asarray(side, np.float32)


def _enlarged(values: Floats, width: int, height: int) -> Floats:
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
