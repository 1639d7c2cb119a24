"""Errors of edges are what iBims-1 means by them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from depthsvc.evaluation.boundaries import MOST_PIXELS_AWAY, Mask, boundary_errors, predicted_edges, true_edges


def _lines(*columns: int) -> Mask:
    edges = np.zeros((40, 60), bool)
    edges[:, list(columns)] = True
    return edges


def _independent(predicted: Mask, true: Mask) -> tuple[float, float]:
    """The chamfer distances by SciPy's exact distance transform."""
    to_true, to_predicted = (ndimage.distance_transform_edt(~edges) for edges in (true, predicted))
    accuracy = to_true[predicted & (to_true < 10)].mean()
    both = np.minimum(to_true, 10)[predicted].sum() + np.minimum(to_predicted, 10)[true].sum()
    return float(accuracy), float(both / (predicted.sum() + true.sum()))


def test_distances_agree_with_scipy() -> None:
    draw = np.random.default_rng(0)
    predicted, true = draw.random((80, 90)) < 0.01, draw.random((80, 90)) < 0.02
    errors = boundary_errors(predicted, true)
    assert (errors["edge_accuracy"], errors["edge_completeness"]) == pytest.approx(
        _independent(predicted, true), rel=1e-6
    )


def test_an_edge_that_is_moved_is_wrong_by_as_much() -> None:
    assert boundary_errors(_lines(23), _lines(20)) == {"edge_accuracy": 3.0, "edge_completeness": 3.0}


def test_a_missing_edge_makes_them_incomplete_but_not_inaccurate() -> None:
    assert boundary_errors(_lines(20), _lines(20, 50)) == {
        "edge_accuracy": 0.0,
        "edge_completeness": pytest.approx(MOST_PIXELS_AWAY / 3),
    }


def test_no_close_edge_is_the_worst_and_no_true_edge_is_no_score() -> None:
    assert boundary_errors(_lines(), _lines(20))["edge_accuracy"] == MOST_PIXELS_AWAY
    assert np.isnan(boundary_errors(_lines(20), _lines())["edge_accuracy"])


def test_a_step_in_depth_is_an_edge_and_a_slope_is_not() -> None:
    depth = np.tile(np.linspace(2, 3, 60, dtype=np.float32), (40, 1))
    depth[:, 30:] += 4
    edges = true_edges(depth)
    assert edges is not None
    assert set(np.flatnonzero(edges.any(axis=0))) == {29}
    assert set(np.flatnonzero(predicted_edges(depth.astype(np.float64)).any(axis=0))) <= {29, 30}
    assert predicted_edges(depth.astype(np.float64)).sum(axis=1).min() >= 1


def test_sparse_truth_has_no_edges() -> None:
    depth = np.full((40, 60), np.nan, np.float32)
    depth[::4, ::4] = 5
    assert true_edges(depth) is None


def test_a_constant_map_has_no_edges() -> None:
    assert not predicted_edges(np.ones((8, 9))).any()
