from __future__ import annotations

import cv2
import numpy as np
import pytest

from depthsvc.imaging.edges import Floats, follow_edges


def blurred(values: Floats, pixels: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), pixels), np.float32)


@pytest.fixture
def square() -> Floats:
    """A near square before a far wall."""
    values = np.full((96, 128), 0.2, np.float32)
    values[30:70, 40:90] = 0.9
    return values


def painted(square: Floats) -> Floats:
    noise = np.random.default_rng(0).normal(0, 0.02, (*square.shape, 3))
    colours = np.where(square[..., None] > 0.5, (0.8, 0.3, 0.2), (0.2, 0.3, 0.5))
    return np.asarray(colours + noise, np.float32)


@pytest.mark.parametrize("shift", [-1, 0, 2])
def test_a_soft_edge_moves_to_the_photos_and_becomes_a_step(square: Floats, shift: int) -> None:
    soft = np.roll(blurred(square, 2), shift, axis=1)
    assert np.abs(np.diff(soft[50, 36:44])).max() < 0.2
    steps = np.diff(follow_edges(painted(square), soft)[50])
    assert steps[39] > 0.5
    assert steps[89] < -0.5


def test_it_never_leaves_the_range_of_the_map(square: Floats) -> None:
    colour = np.random.default_rng(1).random((96, 128, 3), np.float32)
    result = follow_edges(colour, blurred(square, 3))
    assert blurred(square, 3).min() <= result.min()
    assert result.max() <= blurred(square, 3).max()


def test_texture_of_a_slope_stays_out_of_its_depth() -> None:
    slope = np.repeat(np.linspace(0.1, 1, 192, dtype=np.float32)[:, None], 256, axis=1)
    texture = np.random.default_rng(2).random((192, 256, 3), np.float32)
    assert np.abs(follow_edges(texture, slope) - slope).max() < 0.02


@pytest.mark.parametrize("value", [0.0, 3.0, np.nan])
def test_a_map_without_edges_is_left_alone(value: float) -> None:
    flat = np.full((32, 32), value, np.float32)
    np.testing.assert_array_equal(follow_edges(np.random.default_rng(3).random((32, 32, 3), np.float32), flat), flat)
