"""Means with their confidence, by the bootstrap (Efron, 1979)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from depthsvc.evaluation.accuracy import Doubles

_RESAMPLES = 2000
_SEED = 20140901
_INTERVAL = (2.5, 97.5)
"""Percentiles: 95 % confidence."""
_AT_A_TIME = 1 << 22
"""Numbers that are drawn together."""


@dataclass(frozen=True)
class Mean:
    """The mean of a score, with the limits between which it is with 95 % confidence."""

    value: float
    low: float
    high: float
    count: int
    """Number of images."""

    @property
    def may_be_zero(self) -> bool:
        """Whether 0 is within the limits, or nobody knows."""
        return self.count == 1 or self.low <= 0 <= self.high

    def half_width(self, digits: int) -> str:
        """Half the width of its confidence interval, as text; empty for a single image, of which nobody knows."""
        return f"\N{PLUS-MINUS SIGN}{(self.high - self.low) / 2:.{digits}f}" if self.count > 1 else ""


def mean_of_images(scores: Doubles) -> Mean | None:
    """The mean of one score over images, (N,), which are resampled; NaN is left out. None if nothing is left."""
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return None
    low, high = np.percentile(_resampled_means(scores), _INTERVAL)
    return Mean(float(scores.mean()), float(low), float(high), len(scores))


def mean_of_sources(sources: Sequence[Doubles]) -> Mean | None:
    """The mean of the sources' means, so that each counts the same; images are resampled within each source."""
    known = [kept for scores in sources if len(kept := scores[np.isfinite(scores)])]
    if not known:
        return None
    resampled = [_resampled_means(scores, number) for number, scores in enumerate(known)]
    low, high = np.percentile(np.mean(resampled, axis=0), _INTERVAL)
    return Mean(float(np.mean([scores.mean() for scores in known])), float(low), float(high), sum(map(len, known)))


def _resampled_means(scores: Doubles, source: int = 0) -> Doubles:
    """Means of the scores of a source drawn with replacement: the same draws for every model's scores of its images."""
    draw, means = np.random.default_rng((_SEED, source, len(scores))), []
    each = max(1, _AT_A_TIME // len(scores))
    for done in range(0, _RESAMPLES, each):
        count = min(each, _RESAMPLES - done)
        means.append(scores[draw.integers(len(scores), size=(count, len(scores)))].mean(axis=1))
    return np.concatenate(means)
