"""Means of images and of sources, and how sure they are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from depthsvc.evaluation.confidence import mean_of_images, mean_of_sources


def test_confidence_agrees_with_scipys_bootstrap() -> None:
    scores = np.random.default_rng(1).gamma(2, 0.1, 300)
    mean = mean_of_images(scores)
    other = stats.bootstrap((scores,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(2))
    assert mean is not None
    assert mean.value == pytest.approx(scores.mean())
    width = other.confidence_interval.high - other.confidence_interval.low
    assert (mean.low, mean.high) == pytest.approx(other.confidence_interval, abs=0.1 * width)


def test_the_same_scores_have_the_same_confidence() -> None:
    scores = np.random.default_rng(3).random(50)
    assert mean_of_images(scores) == mean_of_images(scores.copy())


def test_scores_that_are_not_defined_are_left_out() -> None:
    mean = mean_of_images(np.array([1.0, np.nan, 3.0]))
    assert mean is not None
    assert (mean.value, mean.count) == (2.0, 2)
    assert mean_of_images(np.array([np.nan])) is None


def test_each_source_counts_the_same() -> None:
    mean = mean_of_sources([np.zeros(1000), np.ones(10), np.full(3, np.nan)])
    assert mean is not None
    assert (mean.value, mean.low, mean.high, mean.count) == (0.5, 0.5, 0.5, 1010)


def test_sources_are_resampled_apart() -> None:
    """Otherwise the errors of two sources of the same length would add up as if they were one."""
    scores = np.random.default_rng(4).random(200)
    one, two = mean_of_images(scores), mean_of_sources([scores, scores])
    assert one is not None
    assert two is not None
    assert (two.high - two.low) / (one.high - one.low) == pytest.approx(2**-0.5, abs=0.08)


def test_a_single_image_has_no_confidence() -> None:
    one, several = mean_of_images(np.array([0.5])), mean_of_images(np.array([0.5, 0.7, 0.9]))
    assert one
    assert several
    assert one.half_width(2) == ""
    assert several.half_width(2) == f"\N{PLUS-MINUS SIGN}{(several.high - several.low) / 2:.2f}"
