"""Losses between predicted and labelled inverse depth, each blind to what a label does not determine.

The scale-and-shift-invariant losses are those of MiDaS (Ranftl et al., TPAMI 2022, sections 5 and 5.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TRIM = 0.2
"""Share of each image's pixels, those with the largest residuals, that the trimmed error ignores."""
TARGET_LIMIT = 6.0
"""Normalised targets are clamped to +- this: a few very near pixels must not outweigh the rest."""
ANCHOR_RANGE = (0.1, 1.1)
"""Where the anchor puts the 2nd and the 98th percentile of an image's inverse depth."""
_SCALES = 4


@dataclass(frozen=True)
class Weights:
    """Weights of the terms beside the trimmed error, whose weight is 1."""

    gradient: float = 0.2
    """Gradient matching where the label is a teacher's, which is soft."""
    gradient_exact: float = 0.7
    """Gradient matching where the label is exact."""
    anchor: float = 0.1
    negative: float = 1.0


def normalise(inverse_depth: Tensor) -> Tensor:
    """Each image minus its median, over its mean absolute deviation from it; (N, H, W) -> (N, H, W)."""
    flat = inverse_depth.flatten(1)
    centred = flat - flat.median(dim=1, keepdim=True).values
    deviation = centred.abs().mean(dim=1, keepdim=True).clamp(min=1e-4)
    return (centred / deviation).view_as(inverse_depth)


def trimmed_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of the smallest 1 - TRIM of each image's absolute residuals; normalised (N, H, W) -> scalar."""
    residuals = (prediction - target).abs().flatten(1)
    kept = int(residuals.shape[1] * (1 - TRIM))
    return residuals.topk(kept, dim=1, largest=False, sorted=False).values.mean()


def gradient_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Each image's mean absolute gradient of the residual, summed over scales; (N, H, W) -> (N,)."""
    residual = prediction - target
    total = residual.new_zeros(len(residual))
    for scale in range(_SCALES):
        coarse = residual[:, :: 2**scale, :: 2**scale]
        total = total + coarse.diff(dim=2).abs().mean(dim=(1, 2)) + coarse.diff(dim=1).abs().mean(dim=(1, 2))
    return total


def anchor_target(inverse_depth: Tensor) -> Tensor:
    """Each image's label with its 2nd and 98th percentile moved to ANCHOR_RANGE; (N, H, W) -> (N, H, W)."""
    flat = inverse_depth.flatten(1)
    low, high = (torch.quantile(flat, q, dim=1, keepdim=True) for q in (0.02, 0.98))
    first, last = ANCHOR_RANGE
    unit = ((flat - low) / (high - low).clamp(min=1e-6)).clamp(-0.05, 1.5)
    return (first + (last - first) * unit).view_as(inverse_depth)


def depth_loss(prediction: Tensor, target: Tensor, exact: Tensor, weights: Weights) -> dict[str, Tensor]:
    """All terms and their weighted sum, "total".

    prediction: float32 (N, H, W), unbounded; target: float32 (N, H, W) inverse depth of unknown scale and
    shift; exact: bool (N,), whether a target is exact. The anchor and the penalty on negative values keep the
    output in a range that the deployed ReLU leaves alone; the other terms would not notice a constant offset.
    """
    wanted = normalise(target).clamp(-TARGET_LIMIT, TARGET_LIMIT)
    found = normalise(prediction)
    gradient_weights = torch.where(exact, weights.gradient_exact, weights.gradient)
    terms = {
        "trimmed": trimmed_error(found, wanted),
        "gradient": (gradient_weights * gradient_error(found, wanted)).mean(),
        "anchor": weights.anchor * F.l1_loss(prediction, anchor_target(target)),
        "negative": weights.negative * F.relu(-prediction).mean(),
    }
    return {"total": torch.stack(list(terms.values())).sum(), **terms}
