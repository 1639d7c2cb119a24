"""Depth that follows the photo's edges: the fast guided filter (He, Sun and Tang 2013; He and Sun 2015).

In every small window the map is explained as a linear function of the photo's colour. Where the photo has an edge, so
has the result, although the map was smooth there. The functions are found on a small grid and used on any larger one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.imaging.enlarge import Enlarged
from depthsvc.imaging.resize import fitting, resized

Floats = NDArray[np.float32]

_SIDE = 384
"""Longer side of the small grid."""
_RADIUS = 0.02
"""Half a window, as a part of the longer side: about as far as the network's edges are from the photo's."""
_NOISE = 1e-3
"""Variance of colour, which is 0..1, below which it explains nothing."""


@dataclass(frozen=True, eq=False)
class GuidedMap:
    """A map as linear functions of the photo's colour, which change slowly over the photo."""

    _functions: Floats
    """(h, w, 4): three slopes and the value of black."""

    @classmethod
    def fit(cls, pixels: NDArray[np.uint8], values: Floats) -> GuidedMap:
        """Explain `values`, (h, w), by a photo, RGB (H, W, 3)."""
        width, height = fitting(pixels.shape[1], pixels.shape[0], _SIDE)
        colour = _colour(resized(pixels, width, height))
        target = np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        window = 2 * max(1, round(_RADIUS * max(width, height))) + 1
        return cls(_mean(_slopes(colour, target, window), window))

    def enlarged(self, width: int, height: int) -> Enlarged:
        """The functions on a larger grid."""
        return Enlarged(self._functions, width, height)


def evaluated(functions: Floats, pixels: NDArray[np.uint8]) -> Floats:
    """The map (h, w) that functions (h, w, 4) make of a photo's colours (h, w, 3)."""
    result: Floats = np.einsum("hwc,hwc->hw", functions[..., :3], _colour(pixels))
    result += functions[..., 3]
    return result


def _colour(pixels: NDArray[np.uint8]) -> Floats:
    """RGB, 0..1."""
    return pixels.astype(np.float32) * np.float32(1 / 255)


def _mean(array: Floats, window: int) -> Floats:
    return np.asarray(cv2.blur(array, (window, window), borderType=cv2.BORDER_REFLECT), np.float32)


def _slopes(colour: Floats, target: Floats, window: int) -> Floats:
    """Least squares in every window: target = slopes * colour + offset, (h, w, 4)."""
    colour_mean, target_mean = _mean(colour, window), _mean(target, window)
    products = (colour[..., :, None] * colour[..., None, :]).reshape(*target.shape, 9)
    moments = np.stack([_mean(np.ascontiguousarray(products[..., index]), window) for index in range(9)], axis=-1)
    covariance = moments.reshape(*target.shape, 3, 3) - colour_mean[..., :, None] * colour_mean[..., None, :]
    covariance += _NOISE * np.eye(3, dtype=np.float32)
    shared = _mean(colour * target[..., None], window) - colour_mean * target_mean[..., None]
    slopes = np.linalg.solve(covariance, shared[..., None])[..., 0]
    offset = target_mean - np.einsum("hwc,hwc->hw", slopes, colour_mean)
    return np.concatenate([slopes, offset[..., None]], axis=-1).astype(np.float32)
