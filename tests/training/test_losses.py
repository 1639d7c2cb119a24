"""The losses ignore what a label does not determine, and see what it does."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from training.losses import (
    Weights,
    depth_loss,
    edge_error,
    gradient_error,
    normalise,
    relative_error,
    trimmed_error,
)

EXACT = torch.tensor([True, True])
NOWHERE = torch.zeros(2, 32, 48, dtype=torch.bool)


@pytest.fixture
def truth() -> Tensor:
    """(2, 32, 48): a slope with a nearer square on it, 1 / metres."""
    slope = torch.linspace(0.1, 0.3, 32)[:, None].expand(32, 48).clone()
    slope[8:20, 10:30] = 0.8
    return torch.stack([slope, slope.flip(1)])


def _blurred(inverse_depth: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(inverse_depth[:, None], (4, 4, 4, 4), mode="replicate"), 9, 1)[:, 0]


def test_scale_and_shift_cost_nothing(truth: Tensor) -> None:
    target, found = normalise(truth), normalise(3 * truth + 5)
    assert trimmed_error(found, target, EXACT).max() < 1e-4
    assert gradient_error(found, target).max() < 1e-4
    assert edge_error(found, target).max() < 1e-4
    assert relative_error(3 * truth + 5, truth).max() < 1e-3


def test_blur_costs_gradients_and_edges(truth: Tensor) -> None:
    target, found = normalise(truth), normalise(_blurred(truth))
    assert gradient_error(found, target).min() > 0.1
    assert edge_error(found, target).min() > 0.5


def test_a_flat_prediction_lacks_every_edge(truth: Tensor) -> None:
    assert edge_error(torch.zeros_like(truth), normalise(truth)).min() > 0.9


def test_the_largest_errors_are_forgiven_only_where_a_teacher_labelled(truth: Tensor) -> None:
    target = normalise(truth)
    found = target.clone()
    found[:, :6] += 10
    errors = trimmed_error(found, target, torch.tensor([True, False]))
    assert errors[0] > 1
    assert errors[1] < 1e-6


def test_relative_error_is_the_share_of_depth_that_is_missing() -> None:
    depth = torch.tensor([[[2.0, 2, 4, 4]]])
    wrong = torch.tensor([[[2.0, 2, 4, 4]]])
    assert relative_error(1 / wrong, 1 / depth).item() == pytest.approx(0, abs=1e-4)
    inverted = relative_error(torch.ones(1, 1, 4), 1 / depth).item()
    # The best constant is 3/8 = the depth 8/3: 1 - 2 / (8 / 3) on one half, 1 - (8 / 3) / 4 on the other.
    assert inverted == pytest.approx((0.25 + 1 / 3) / 2, abs=1e-3)


def test_the_sky_has_no_relative_error(truth: Tensor) -> None:
    with_sky = truth.clone()
    with_sky[:, :8] = 0
    predicted = with_sky.clone()
    predicted[:, :8] = 0.5
    assert relative_error(predicted, with_sky).max() < 1e-3


def test_an_inverted_prediction_costs_more_than_a_flat_one(truth: Tensor) -> None:
    costs = [
        depth_loss(p, truth, EXACT, NOWHERE, Weights())["total"]
        for p in (truth, torch.full_like(truth, 0.5), 1 - truth)
    ]
    assert costs[0] < costs[1] < costs[2]


def test_negative_predictions_are_pulled_up(truth: Tensor) -> None:
    prediction = (truth - 2).requires_grad_()
    depth_loss(prediction, truth, EXACT, NOWHERE, Weights())["total"].backward()  # type: ignore[no-untyped-call]
    assert prediction.grad is not None
    assert prediction.grad.sum() < 0
