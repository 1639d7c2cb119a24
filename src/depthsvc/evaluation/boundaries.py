"""Depth boundary errors: how far predicted edges of depth are from true ones.

The measures are those of iBims-1 (Koch et al., ECCV Workshops 2018). Where a data set has no edges of its own, those
of its depth count: steps by more than a factor of 1.25 between neighbouring pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.evaluation.accuracy import EDGE_RATIO, Doubles, Floats

Mask = NDArray[np.bool_]

MOST_PIXELS_AWAY = 10.0
"""An edge that is farther from the others than this counts as this far."""
_SIGMA = float(np.sqrt(2))
_THRESHOLDS = (0.15, 0.3)
"""Of Canny's hysteresis: lengths of Sobel's gradient of depth that is scaled to 0..1."""
_SCALE = 4096
"""OpenCV's Canny takes gradients as int16; Sobel's are at most 4."""
_LEAST_KNOWN = 0.5
"""Between the points of sparser truth there are no neighbours to tell an edge from."""


def true_edges(truth: Floats) -> Mask | None:
    """Where the depth, (h, w) in metres or NaN, has steps; None if too little of it is known to tell."""
    if np.isfinite(truth).mean() < _LEAST_KNOWN:
        return None
    edges, log = np.zeros(truth.shape, np.bool_), np.log(truth)
    edges[:-1] |= np.abs(np.diff(log, axis=0)) > np.log(EDGE_RATIO)
    edges[:, :-1] |= np.abs(np.diff(log, axis=1)) > np.log(EDGE_RATIO)
    return edges


def predicted_edges(depth: Doubles) -> Mask:
    """Canny's edges of a depth map (h, w) that is scaled to 0..1."""
    low, high = float(depth.min()), float(depth.max())
    if high <= low:
        return np.zeros(depth.shape, np.bool_)
    smooth = cv2.GaussianBlur((depth - low) / (high - low), (0, 0), _SIGMA)
    gradients = [np.rint(_SCALE * cv2.Sobel(smooth, cv2.CV_64F, *axis)).astype(np.int16) for axis in ((1, 0), (0, 1))]
    lowest, highest = (_SCALE * threshold for threshold in _THRESHOLDS)
    return np.asarray(cv2.Canny(gradients[0], gradients[1], lowest, highest, L2gradient=True) > 0)


def boundary_errors(predicted: Mask, true: Mask) -> dict[str, float]:
    """Errors in pixels of edges, both (h, w), 0 ... 10, smaller is better; NaN if there is no true edge.

    edge_accuracy: how far predicted edges are from the nearest true one, for those closer than ten pixels.
    edge_completeness: how far edges of either kind are from the nearest of the other.
    """
    if not true.any():
        return {"edge_accuracy": float("nan"), "edge_completeness": float("nan")}
    to_true, to_predicted = _distances(true), _distances(predicted)
    close = predicted & (to_true < MOST_PIXELS_AWAY)
    if not close.any():
        return {"edge_accuracy": MOST_PIXELS_AWAY, "edge_completeness": MOST_PIXELS_AWAY}
    ways = np.concatenate([to_true[predicted], to_predicted[true]])
    return {
        "edge_accuracy": float(to_true[close].mean()),
        "edge_completeness": float(np.minimum(ways, MOST_PIXELS_AWAY).mean()),
    }


def _distances(edges: Mask) -> Doubles:
    """Distance of each pixel from the nearest edge, (h, w), exact as far as MOST_PIXELS_AWAY.

    It is the root of a whole number, which OpenCV rounds differently from one call to another.
    """
    nowhere = np.where(edges, 0, 255).astype(np.uint8)
    rounded = cv2.distanceTransform(nowhere, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float64)
    return np.asarray(np.sqrt(np.rint(rounded**2)))
