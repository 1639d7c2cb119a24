"""Depth that follows the photo's edges: the fast guided filter (He, Sun and Tang 2013; He and Sun 2015).

In every small window the map is fitted as a linear function of the photo's colour. Where the photo has an edge, so does
the result, even if the map was smooth there. The functions are fitted on a small grid and used on any larger one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.imaging.lazy_upsampled import LazyUpsampled
from depthsvc.imaging.resize import fitting, resized

Floats = NDArray[np.float32]

_SIDE = 384
"""Longer side of the small grid."""
_RADIUS = 0.02
"""Half the window, as a fraction of the longer side: about as far as the network's edges are from the photo's."""
_NOISE = 1e-3
"""Regularisation: colour whose variance is below this explains nothing."""


@dataclass(frozen=True, eq=False)
class GuidedMap:
    """A map as linear functions of the photo's colour that vary slowly over the photo."""

    _functions: Floats
    """(h, w, 4): three slopes and the value at black."""

    @classmethod
    def fit(cls, pixels: NDArray[np.uint8], values: Floats) -> GuidedMap:
        """Fit `values` (h, w) to a photo, RGB (H, W, 3)."""
        width, height = fitting(pixels.shape[1], pixels.shape[0], _SIDE)
        colour = _colour(resized(pixels, width, height))
        target = np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        return cls(linear_functions(colour, target, radius=_RADIUS, noise=_NOISE))

    def upsampled(self, width: int, height: int) -> LazyUpsampled:
        """The functions on a larger grid."""
        return LazyUpsampled(self._functions, width, height)


def evaluate_guided(functions: Floats, pixels: NDArray[np.uint8]) -> Floats:
    """The map (h, w) from functions (h, w, 4) and a photo's RGB colours (h, w, 3)."""
    return apply_linear(functions, _colour(pixels))


def _colour(pixels: NDArray[np.uint8]) -> Floats:
    """RGB, 0..1."""
    return pixels.astype(np.float32) * np.float32(1 / 255)


def apply_linear(functions: Floats, colour: Floats) -> Floats:
    """The map (h, w) from functions (h, w, 4) and colours (h, w, 3), 0..1."""
    *slopes, result = cv2.split(functions)
    for slope, plane in zip(slopes, cv2.split(colour), strict=True):
        result += slope * plane
    return np.asarray(result, np.float32)


def linear_functions(colour: Floats, target: Floats, *, radius: float, noise: float) -> Floats:
    """Functions (h, w, 4) that fit a map (h, w) to colours (h, w, 3), 0..1, around each point: three slopes and the
    value at black.

    `radius`: half the window, as a fraction of the longer side. `noise`: variance of colour below which it explains
    nothing.
    """
    window = 2 * max(1, round(radius * max(target.shape))) + 1
    return _mean(_least_squares(colour, target, window, noise), window)


def _mean(array: Floats, window: int) -> Floats:
    return np.asarray(cv2.blur(array, (window, window), borderType=cv2.BORDER_REFLECT), np.float32)


def _least_squares(colour: Floats, target: Floats, window: int, noise: float) -> Floats:
    """Fit target = slopes * colour + offset in every window, (h, w, 4). The 3 x 3 systems are solved by cofactors."""
    r, g, b = (np.ascontiguousarray(colour[..., channel]) for channel in range(3))
    mean_r, mean_g, mean_b, mean_t = (_mean(plane, window) for plane in (r, g, b, target))
    rr = _mean(r * r, window) - mean_r * mean_r + noise
    gg = _mean(g * g, window) - mean_g * mean_g + noise
    bb = _mean(b * b, window) - mean_b * mean_b + noise
    rg = _mean(r * g, window) - mean_r * mean_g
    rb = _mean(r * b, window) - mean_r * mean_b
    gb = _mean(g * b, window) - mean_g * mean_b
    rt = _mean(r * target, window) - mean_r * mean_t
    gt = _mean(g * target, window) - mean_g * mean_t
    bt = _mean(b * target, window) - mean_b * mean_t
    of_r, of_g, of_b = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    scale = 1 / (rr * of_r + rg * of_g + rb * of_b)
    slope_r = (of_r * rt + of_g * gt + of_b * bt) * scale
    slope_g = (of_g * rt + (rr * bb - rb * rb) * gt + (rb * rg - rr * gb) * bt) * scale
    slope_b = (of_b * rt + (rb * rg - rr * gb) * gt + (rr * gg - rg * rg) * bt) * scale
    offset = mean_t - slope_r * mean_r - slope_g * mean_g - slope_b * mean_b
    return np.stack([slope_r, slope_g, slope_b, offset], axis=-1).astype(np.float32, copy=False)
