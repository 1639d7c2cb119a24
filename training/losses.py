"""Losses between predicted and labelled inverse depth, each invariant to what a label does not determine.

The scale-and-shift-invariant losses are MiDaS's (Ranftl et al., TPAMI 2022, sections 5 and 5.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TRIM = 0.2
"""Fraction of an image's pixels, those with the largest residuals, that the error ignores if a teacher labelled it."""
TARGET_LIMIT = 6.0
"""Normalised targets are clamped to +- this, so that a few very near pixels do not outweigh the rest."""
ANCHOR_RANGE = (0.1, 1.1)
"""Targets of the anchor for the 2nd and 98th percentile of an image's inverse depth."""
SMALLEST_STEP = 0.5
"""Two neighbouring pixels whose normalised inverse depths differ by more than this are at an edge."""
FARTHEST = 80.0
"""Metres beyond which the relative error does not count."""
_SCALES = 4
_AROUND = 2
"""Pixels around an inserted thing that count with it: what is behind must not come forward."""


@dataclass(frozen=True)
class Weights:
    """Weights of the terms other than the trimmed error, whose weight is 1."""

    gradient: float = 0.2
    """Gradient matching for a teacher's labels, which are soft."""
    gradient_exact: float = 0.7
    """Gradient matching for exact labels."""
    relative: float = 1.0
    """Relative error for exact labels."""
    edges: float = 0.6
    """Error at edges for exact labels, and for photos that things were set into."""
    inserted: float = 1.0
    """Error on things that were set into photos."""
    anchor: float = 0.1
    negative: float = 1.0


def normalise(inverse_depth: Tensor) -> Tensor:
    """Each image minus its median, over its mean absolute deviation from it; (N, H, W) -> (N, H, W)."""
    flat = inverse_depth.flatten(1)
    centred = flat - flat.median(dim=1, keepdim=True).values
    deviation = centred.abs().mean(dim=1, keepdim=True).clamp(min=1e-4)
    return (centred / deviation).view_as(inverse_depth)


def trimmed_error(prediction: Tensor, target: Tensor, exact: Tensor) -> Tensor:
    """Mean absolute residual of each image, trimmed unless its label is exact; normalised (N, H, W) -> (N,)."""
    residuals = (prediction - target).abs().flatten(1)
    kept = int(residuals.shape[1] * (1 - TRIM))
    smallest = residuals.topk(kept, dim=1, largest=False, sorted=False).values
    return torch.where(exact, residuals.mean(dim=1), smallest.mean(dim=1))


def gradient_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Each image's mean absolute gradient of the residual, summed over scales; (N, H, W) -> (N,)."""
    residual = prediction - target
    total = residual.new_zeros(len(residual))
    for scale in range(_SCALES):
        coarse = residual[:, :: 2**scale, :: 2**scale]
        total = total + coarse.diff(dim=2).abs().mean(dim=(1, 2)) + coarse.diff(dim=1).abs().mean(dim=(1, 2))
    return total


def edge_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of both neighbours' absolute residuals over the step between them, at each image's edges; at most 2.

    Normalised (N, H, W) -> (N,). An evenly blurred edge scores 1. Training on the step alone would not do: bright and
    dark fringes along an edge would satisfy it.
    """
    residual = (prediction - target).abs()
    total, count = residual.new_zeros(len(residual)), residual.new_ones(len(residual))
    for axis, length in ((1, target.shape[1]), (2, target.shape[2])):
        step = target.diff(dim=axis).abs()
        both = residual.narrow(axis, 0, length - 1) + residual.narrow(axis, 1, length - 1)
        at_edge = step > SMALLEST_STEP
        total = total + ((both / step.clamp(min=SMALLEST_STEP)).clamp(max=2) * at_edge).sum(dim=(1, 2))
        count = count + at_edge.sum(dim=(1, 2))
    return total / count


def inserted_error(prediction: Tensor, target: Tensor, inserted: Tensor) -> Tensor:
    """Mean absolute residual on inserted things and just around them, none of it trimmed; normalised (N, H, W) -> (N,).

    inserted is bool (N, H, W); a picture without any scores 0.
    """
    side = 2 * _AROUND + 1
    near = F.max_pool2d(inserted.float().unsqueeze(1), side, stride=1, padding=_AROUND).squeeze(1)
    return ((prediction - target).abs() * near).sum(dim=(1, 2)) / near.sum(dim=(1, 2)).clamp(min=1)


def relative_error(prediction: Tensor, inverse_depth: Tensor) -> Tensor:
    """Mean of 1 - smaller depth / larger depth of each image, within FARTHEST, after an affine fit; (N, H, W) -> (N,).

    inverse_depth is in 1 / metres, exact up to its scale: 0 is infinitely far.
    """
    x, y = prediction.flatten(1), inverse_depth.flatten(1)
    valid = (y > 1 / FARTHEST).float()
    count = valid.sum(dim=1, keepdim=True).clamp(min=1)
    x_mean, y_mean = ((v * valid).sum(dim=1, keepdim=True) / count for v in (x, y))
    covariance = ((x - x_mean) * (y - y_mean) * valid).sum(dim=1, keepdim=True)
    variance = ((x - x_mean).square() * valid).sum(dim=1, keepdim=True)
    fitted = (y_mean + covariance / (variance + 1e-6 * count) * (x - x_mean)).clamp(min=1 / FARTHEST)
    ratio = torch.minimum(fitted, y) / torch.maximum(fitted, y)
    return ((1 - ratio) * valid).sum(dim=1) / count.squeeze(1)


def anchor_target(inverse_depth: Tensor) -> Tensor:
    """Each image's label with its 2nd and 98th percentile moved to ANCHOR_RANGE; (N, H, W) -> (N, H, W)."""
    flat = inverse_depth.flatten(1)
    low, high = (torch.quantile(flat, q, dim=1, keepdim=True) for q in (0.02, 0.98))
    first, last = ANCHOR_RANGE
    unit = ((flat - low) / (high - low).clamp(min=1e-6)).clamp(-0.05, 1.5)
    return (first + (last - first) * unit).view_as(inverse_depth)


def depth_loss(
    prediction: Tensor, target: Tensor, exact: Tensor, inserted: Tensor, weights: Weights
) -> dict[str, Tensor]:
    """All terms and their weighted sum, "total".

    prediction: float32 (N, H, W), unbounded; target: float32 (N, H, W) inverse depth of unknown scale and
    shift; exact: bool (N,), whether a target is exact; inserted: bool (N, H, W), where a teacher's target is exact
    all the same. The anchor and the penalty on negative values keep the output in a range that the deployed ReLU
    does not clip; the other terms ignore a constant offset.
    """
    wanted = normalise(target).clamp(-TARGET_LIMIT, TARGET_LIMIT)
    found = normalise(prediction)
    has_edges = exact | inserted.flatten(1).any(dim=1)
    gradient_weights = torch.where(exact, weights.gradient_exact, weights.gradient)
    terms = {
        "trimmed": trimmed_error(found, wanted, exact).mean(),
        "gradient": (gradient_weights * gradient_error(found, wanted)).mean(),
        "relative": weights.relative * (exact * relative_error(prediction, target)).mean(),
        "edges": weights.edges * (has_edges * edge_error(found, wanted)).mean(),
        "inserted": weights.inserted * inserted_error(found, wanted, inserted).mean(),
        "anchor": weights.anchor * F.l1_loss(prediction, anchor_target(target)),
        "negative": weights.negative * F.relu(-prediction).mean(),
    }
    return {"total": torch.stack(list(terms.values())).sum(), **terms}
