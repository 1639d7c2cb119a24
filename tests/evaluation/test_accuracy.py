"""The scores agree with scikit-learn and SciPy, which know nothing of this project."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics
from sklearn.linear_model import LinearRegression

from depthsvc.evaluation.accuracy import Doubles, depth_errors, rank_correlation, scale_and_shift


def _depths(seed: int) -> tuple[Doubles, Doubles]:
    """Predicted and true metres."""
    draw = np.random.default_rng(seed)
    truth = draw.uniform(0.5, 70, 5000)
    return truth * np.exp(draw.normal(0.1, 0.4, 5000)), truth


@pytest.mark.parametrize("seed", range(3))
def test_depth_errors_agree_with_scikit_learn(seed: int) -> None:
    depth, truth = _depths(seed)
    ratio = np.maximum(depth / truth, truth / depth)
    everywhere = np.ones(len(truth), bool)
    squared_over_truth = metrics.mean_squared_error(truth, depth, sample_weight=1 / truth) * np.mean(1 / truth)
    spread = metrics.explained_variance_score(np.log(truth), np.log(depth))
    expected = {
        "abs_rel": metrics.mean_absolute_percentage_error(truth, depth),
        "sq_rel": squared_over_truth,
        "rmse": metrics.root_mean_squared_error(truth, depth),
        "rmse_log": metrics.root_mean_squared_error(np.log(truth), np.log(depth)),
        "log10": metrics.mean_absolute_error(np.log10(truth), np.log10(depth)),
        "silog": 100 * np.sqrt((1 - spread) * np.log(truth).var()),
        "delta1": metrics.accuracy_score(everywhere, ratio < 1.25),
        "delta2": metrics.accuracy_score(everywhere, ratio < 1.25**2),
        "delta3": metrics.accuracy_score(everywhere, ratio < 1.25**3),
    }
    assert depth_errors(depth, truth) == pytest.approx(expected, rel=1e-6)


def test_rank_correlation_agrees_with_scipy_also_with_ties() -> None:
    depth, truth = _depths(3)
    rounded = np.round(depth)
    assert rank_correlation(rounded, truth) == pytest.approx(stats.spearmanr(rounded, truth).statistic, rel=1e-6)


def test_scale_and_shift_agree_with_scikit_learn() -> None:
    depth, truth = _depths(4)
    fit = LinearRegression().fit(depth[:, None], truth)
    assert scale_and_shift(depth, truth) == pytest.approx((fit.coef_[0], fit.intercept_), rel=1e-6)


def test_a_constant_prediction_is_fitted_to_the_mean() -> None:
    assert scale_and_shift(np.full(4, 7.0), np.array([1.0, 2.0, 3.0, 6.0])) == (0.0, 3.0)
