"""Maps with the edges of their photos."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from depthsvc.imaging.refine import refined


def test_a_refined_map_has_the_photos_edges_and_no_larger_range() -> None:
    pixels = np.random.default_rng(2).integers(0, 40, (700, 500, 3), dtype=np.uint8)
    pixels[300:, :] += 150
    values = cv2.GaussianBlur(
        np.repeat([2.0, 5.0], [30, 40]).astype(np.float32)[:, None] * np.ones((1, 50)), (0, 0), 0.7
    )
    result = refined(pixels, values.astype(np.float32))
    assert result.shape == (700, 500)
    assert result.min() >= values.min().astype(np.float32)
    assert result.max() <= values.max().astype(np.float32)
    soft = cv2.resize(values, (500, 700))
    assert (result[300] - result[299]).mean() > 5 * (soft[300] - soft[299]).mean()
    assert pytest.approx(result, abs=1e-3) == refined(pixels.transpose(1, 0, 2), values.T.astype(np.float32)).T


def test_texture_shows_through_neither_where_depth_is_smooth_nor_beside_an_edge() -> None:
    pixels = np.random.default_rng(3).integers(0, 90, (240, 320, 3), dtype=np.uint8)
    pixels[:, 160:] += 150
    ramp = np.linspace(1, 2, 60, dtype=np.float32)[:, None] + np.repeat([0, 3], 40).astype(np.float32)
    smooth = np.asarray(cv2.resize(ramp, (320, 240)), np.float32)
    difference = np.abs(refined(pixels, ramp) - smooth)
    assert difference[:, :148].max() == difference[:, 172:].max() == 0
    assert np.abs(np.diff(refined(pixels, ramp)[:, :158], axis=0)).max() < 0.05


def test_each_side_of_an_edge_that_the_map_misses_by_a_pixel_gets_its_own_depth() -> None:
    truth = np.zeros((256, 256), np.float32)
    truth[:, 131:] = 1  # the map's pixels are 8 wide
    pixels = np.repeat((truth * 200).astype(np.uint8)[..., None], 3, axis=2)
    values = np.asarray(cv2.resize(truth, (32, 32), interpolation=cv2.INTER_AREA), np.float32)
    assert np.abs(refined(pixels, values) - truth).max() < 0.15
    assert np.abs(cv2.resize(values, (256, 256)) - truth).max() > 0.5


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (33, 65)])
def test_photos_and_maps_of_any_size(size: tuple[int, int]) -> None:
    generator = np.random.default_rng(4)
    pixels = generator.integers(0, 255, (*size, 3), dtype=np.uint8)
    for shape in ((1, 1), (2, 40), (40, 2), (16, 16)):
        values = generator.random(shape, np.float32)
        result = refined(pixels, values)
        assert result.shape == size
        assert result.dtype == np.float32
        assert values.min() - 1e-5 <= result.min() <= result.max() <= values.max() + 1e-5
    flat = np.full((8, 8), 3, np.float32)
    assert np.array_equal(refined(pixels, flat), np.full(size, 3, np.float32))
