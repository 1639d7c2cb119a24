"""Sharpening a soft depth map on a small grid along the photo's edges.

A compact network knows what is near and far much better than where one ends and the other begins. The photo shows
where: a guided filter moves the edges there, and the edges that are still soft are made steeper.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.imaging.guided import apply_linear, linear_functions

Floats = NDArray[np.float32]

_RADIUS = 0.03
"""Half the window of the guided filter, as a fraction of the longer side."""
_NOISE = 3e-4
"""Regularisation of the guided filter: colour (0..1) whose variance is below this explains nothing."""
_REDUCTION = 2
"""The filter's functions are fitted on a grid that is smaller by this factor."""
_FLAT = 0.06
"""Depth that varies within a window by less than this fraction of its range keeps its values, because texture would
show through. From twice this on it is fully replaced."""
_REACH = 5
"""Width in pixels of the neighbourhood to whose extremes a soft edge is pulled."""
_STEEPER = 3.0
"""Gain on soft edges."""
_SMALLEST_STEP = 0.1
"""Steps below this fraction of the range, within the neighbourhood, stay as they are; full gain from twice this."""
_ROUNDS = 2


def follow_edges(colour: Floats, inverse_depth: Floats) -> Floats:
    """Inverse depth (h, w) with the edges of its photo (H, W, 3), 0..1, of any size. Its range does not grow."""
    low, high = np.percentile(inverse_depth[::2, ::2], (2, 98))  # a quarter of the pixels, for speed
    if not low < high:  # constant
        return inverse_depth
    span = float(high - low)
    height, width = inverse_depth.shape
    if colour.shape[:2] != (height, width):
        colour = _resize(colour, (width, height), cv2.INTER_AREA)
    result = _fit_to_photo(colour, inverse_depth, span)
    for _ in range(_ROUNDS):
        result = _steeper(result, span)
    return result


def _fit_to_photo(colour: Floats, values: Floats, span: float) -> Floats:
    height, width = values.shape
    small = (max(1, width // _REDUCTION), max(1, height // _REDUCTION))
    small_colour, small_values = (_resize(array, small, cv2.INTER_AREA) for array in (colour, values))
    functions = linear_functions(small_colour, small_values, radius=_RADIUS, noise=_NOISE)
    functions = _resize(functions, (width, height), cv2.INTER_LINEAR)
    least, most = _extremes(values, 2 * max(1, round(_RADIUS * max(values.shape))) + 1)
    wanted = apply_linear(functions, colour)
    np.clip(wanted, least, most, out=wanted)
    return _blended(values, wanted, _beyond(_FLAT, most - least, span))


def _steeper(values: Floats, span: float) -> Floats:
    """Values pulled to the nearer of their neighbourhood's extremes; the midpoint stays."""
    least, most = _extremes(values, _REACH)
    step = most - least
    steep = np.float32(_STEEPER) * (values - least)
    steep -= np.float32((_STEEPER - 1) / 2) * step
    np.clip(steep, 0, step, out=steep)
    steep += least
    return _blended(values, steep, _beyond(_SMALLEST_STEP, step, span))


def _resize(array: Floats, size: tuple[int, int], interpolation: int) -> Floats:
    return np.asarray(cv2.resize(array, size, interpolation=interpolation), np.float32)


def _extremes(values: Floats, window: int) -> tuple[Floats, Floats]:
    neighbourhood = np.ones((window, window), np.uint8)
    least, most = cv2.erode(values, neighbourhood), cv2.dilate(values, neighbourhood)
    return np.asarray(least, np.float32), np.asarray(most, np.float32)


def _beyond(threshold: float, difference: Floats, span: float) -> Floats:
    """0 up to the threshold, a fraction of the span, rising to 1 at twice the threshold."""
    beyond = difference * np.float32(1 / (threshold * span))
    beyond -= 1
    return np.clip(beyond, 0, 1, out=beyond)


def _blended(values: Floats, others: Floats, weight: Floats) -> Floats:
    """Values, and others where the weight is 1. Overwrites the others."""
    others -= values
    others *= weight
    others += values
    return others
