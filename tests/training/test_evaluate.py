"""The scores have their known values in known cases."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from depthsvc.evaluation.accuracy import edge_steps, metric_scores, rank_correlation
from training.data import Floats, read_rgbd
from training.evaluate import constant, lower_is_nearer, score, shown_step


@pytest.fixture
def truth() -> Floats:
    """(40, 60) in 1 / metres: a ground under the sky with a post before it."""
    rows = np.linspace(-0.2, 0.5, 40, dtype=np.float32)
    inverse_depth = np.repeat(np.maximum(rows, 0)[:, None], 60, axis=1)
    inverse_depth[10:30, 20:30] = 0.9
    return inverse_depth


def test_scale_and_shift_are_fitted(truth: Floats) -> None:
    scores = metric_scores(5 * truth + 2, truth)
    assert scores["abs_rel"] == pytest.approx(0, abs=1e-4)
    assert scores["bad_percent"] == 0
    assert scores["rank"] == pytest.approx(1)
    assert scores["edge"] == pytest.approx(1, abs=1e-3)


def test_an_inverted_prediction_has_a_negative_rank_and_no_edges(truth: Floats) -> None:
    assert rank_correlation(-truth, truth) == pytest.approx(-1)
    assert rank_correlation(constant(np.zeros((40, 60, 3), np.uint8)), truth) == 0


def test_what_is_shown_of_a_thing_is_a_fraction_of_its_step(truth: Floats) -> None:
    post = np.zeros(truth.shape, np.bool_)
    post[10:30, 20:30] = True
    without = np.where(post, truth[:, :1], truth).astype(np.float32)
    assert shown_step(3 * truth + 1, truth, post) == pytest.approx(1, abs=1e-3)
    assert shown_step(without, truth, post) == pytest.approx(0, abs=0.1)
    assert 0.2 < shown_step(truth + without, truth, post) < 0.9
    assert np.isnan(shown_step(truth, without, post))
    assert np.isnan(shown_step(truth, truth, np.zeros_like(post)))


def test_scores_of_a_constant_are_those_of_the_mean_inverse_depth() -> None:
    truth = np.repeat(np.array([[0.25, 0.5]], np.float32), 8, axis=1)
    scores = metric_scores(np.ones_like(truth), truth)
    assert scores["abs_rel"] == pytest.approx((abs(8 / 3 - 4) / 4 + abs(8 / 3 - 2) / 2) / 2, abs=1e-4)
    assert scores["bad_percent"] == 100
    assert scores["edge"] == 0


def test_edges_are_as_sharp_as_their_steps(truth: Floats) -> None:
    sharp = np.median(edge_steps(truth, truth))
    blurred = np.median(edge_steps(np.asarray(cv2.blur(truth, (5, 5)), np.float32), truth))
    assert sharp == pytest.approx(1, abs=1e-3)
    assert 0.1 < blurred < 0.35


def test_a_truth_without_edges_has_no_edge_score() -> None:
    slope = np.linspace(0.4, 0.5, 400, dtype=np.float32).reshape(20, 20)
    assert np.isnan(metric_scores(slope, slope)["edge"])


def test_unknown_depth_is_not_scored(truth: Floats) -> None:
    gaps = truth.copy()
    gaps[:, 40:] = np.nan
    wrong_there = truth.copy()
    wrong_there[:, 40:] = 7
    scores = metric_scores(wrong_there, gaps)
    assert scores["abs_rel"] == pytest.approx(0, abs=1e-4)
    assert scores["rank"] == pytest.approx(1)
    assert scores["edge"] == pytest.approx(1, abs=1e-3)


def test_rgbd_folders_may_hold_depth_or_inverse_depth(tmp_path: Path, truth: Floats) -> None:
    picture = np.zeros((*truth.shape, 3), np.uint8)
    solid = np.maximum(truth, 0.05)
    for name in ("near.png", "far.jpg"):
        cv2.imwrite(str(tmp_path / name), picture)
    np.save(tmp_path / "near.inverse_depth.npy", solid)
    np.save(tmp_path / "far.depth.npy", 1 / solid)
    pairs = read_rgbd(tmp_path)
    assert [pair.image.name for pair in pairs] == ["far.jpg", "near.png"]
    for pair in pairs:
        np.testing.assert_allclose(pair.load_inverse_depth(), solid, rtol=1e-6)
    assert score(lower_is_nearer, pairs)["rank"] == pytest.approx(rank_correlation(lower_is_nearer(picture), solid))
