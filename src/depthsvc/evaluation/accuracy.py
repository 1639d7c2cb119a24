"""Scores of a depth map against true depth, or against another relative map.

`metric_scores` follow MiDaS (Ranftl et al., TPAMI 2022, section 6): scale and shift of each prediction are fitted by
least squares in inverse depth before depths are compared. `depth_errors` are those of the field: Eigen et al., NIPS
2014, and for SILog KITTI's benchmark (Uhrig et al., 3DV 2017).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

FARTHEST = 80.0
"""Truth beyond this many metres is not scored, and predictions are capped there."""
EDGE_RATIO = 1.25
"""Neighbouring pixels are at an edge if their true depths differ by more than this factor, ..."""
EDGE_SHARE = 0.05
"""... and their inverse depths by this fraction of the 2nd to 98th percentile's span, which ground does not reach."""


def _ranks(values: Floats | Doubles) -> Doubles:
    """Ranks of the values, ties sharing their mean rank; any shape -> (N,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    return np.asarray(mean_ranks[inverse.ravel()], dtype=np.float64)


def rank_correlation(prediction: Floats | Doubles, truth: Floats | Doubles) -> float:
    """Spearman's rank correlation, in [-1, 1], of arrays of one shape; 0 if either is constant."""
    a, b = (ranks - ranks.mean() for ranks in (_ranks(prediction), _ranks(truth)))
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else 0.0


def scale_and_shift(prediction: Floats | Doubles, truth: Floats | Doubles) -> tuple[float, float]:
    """The least-squares affine fit of a prediction to the truth, both (N,): scale 0 if the prediction is constant."""
    x, y = prediction.astype(np.float64), truth.astype(np.float64)
    variance = x.var()
    scale = float(((x - x.mean()) * (y - y.mean())).mean() / variance) if variance > 0 else 0.0
    return scale, float(y.mean() - scale * x.mean())


def align(prediction: Floats, truth: Floats) -> Floats:
    """The least-squares affine fit of the prediction to the truth, where that is known."""
    known = np.isfinite(truth)
    scale, shift = scale_and_shift(prediction[known], truth[known])
    return np.asarray(shift + scale * prediction.astype(np.float64), dtype=np.float32)


def depth_errors(depth: Doubles, truth: Doubles) -> dict[str, float]:
    """The field's errors of depth in metres, both (N,) and positive. The natural logarithm, except for log10.

    abs_rel and sq_rel are relative to the truth, rmse is in metres, silog a hundred times the standard deviation of the
    logarithms' difference. delta1, delta2 and delta3 are fractions of pixels within a factor of 1.25 and its powers.
    """
    difference, log = depth - truth, np.log(depth / truth)
    ratio = np.maximum(depth / truth, truth / depth)
    errors = {
        "abs_rel": np.abs(difference / truth).mean(),
        "sq_rel": (difference**2 / truth).mean(),
        "rmse": np.sqrt((difference**2).mean()),
        "rmse_log": np.sqrt((log**2).mean()),
        "log10": np.abs(log).mean() / np.log(10),
        "silog": 100 * log.std(),
        **{f"delta{power}": (ratio < 1.25**power).mean() for power in (1, 2, 3)},
    }
    return {name: float(error) for name, error in errors.items()}


def edge_steps(prediction: Floats, truth: Floats) -> Floats:
    """Predicted over true steps of inverse depth between neighbouring pixels at true edges, (N,); 1 is as sharp.

    Both arguments are inverse depth, (H, W); the prediction is aligned first. A blurred edge has a step near 0, an edge
    in the wrong direction a negative step.
    """
    aligned, (low, high) = align(prediction, truth), np.nanpercentile(truth, (2, 98))
    steps = []
    for axis in (0, 1):
        first, second = (np.take(truth, range(part, truth.shape[axis] - 1 + part), axis) for part in (0, 1))
        is_far_apart = np.maximum(first, second) > EDGE_RATIO * np.maximum(np.minimum(first, second), 1 / FARTHEST)
        at_edge = is_far_apart & (np.abs(second - first) > EDGE_SHARE * (high - low))
        steps.append((np.diff(aligned, axis=axis) / np.where(at_edge, second - first, 1))[at_edge])
    return np.concatenate(steps)


def metric_scores(prediction: Floats, truth: Floats) -> dict[str, float]:
    """MiDaS's scores of a prediction against true inverse depth, 1 / metres or NaN, both (H, W).

    abs_rel is the mean of |depth - true depth| / true depth; bad_percent is the percentage of pixels where the larger
    of the two depths exceeds 1.25 times the smaller; rank also counts what is beyond FARTHEST. edge is the median of
    edge_steps, NaN if there is no edge.
    """
    known, valid = np.isfinite(truth), truth > 1 / FARTHEST
    true_depth = 1 / truth[valid]
    depth = 1 / np.maximum(align(prediction[valid], truth[valid]), 1 / FARTHEST)
    ratio = np.maximum(depth / true_depth, true_depth / depth)
    steps = edge_steps(prediction, truth)
    return {
        "rank": rank_correlation(prediction[known], truth[known]),
        "abs_rel": float((np.abs(depth - true_depth) / true_depth).mean()),
        "bad_percent": float(100 * (ratio > 1.25).mean()),
        "edge": float(np.median(steps)) if steps.size else float("nan"),
    }


def relative_scores(prediction: Floats, label: Floats) -> dict[str, float]:
    """Scores against a relative label, (H, W): rank correlation and error after alignment.

    affine_error is the root mean square error of the aligned prediction over the label's standard deviation.
    """
    residual = align(prediction, label) - label
    return {
        "rank": rank_correlation(prediction, label),
        "affine_error": float(residual.std() / max(label.std(), 1e-6)),
    }
