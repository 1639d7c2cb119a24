from __future__ import annotations

import cv2
import numpy as np
import pytest

from depthsvc.imaging.guided import GuidedMap, evaluate_guided
from depthsvc.imaging.lazy_upsampled import LazyUpsampled


def test_a_soft_edge_of_depth_becomes_as_sharp_as_the_photos() -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[:, 200:] = (200, 60, 30)
    step = (pixels[..., 0] > 0).astype(np.float32)
    small = cv2.resize(step, (100, 75), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), 1.2).astype(np.float32)
    result = evaluate_guided(GuidedMap.fit(pixels, soft).upsampled(400, 300).rows(0, 300), pixels)
    assert (result[:, 201] - result[:, 198]).min() > 0.5
    enlarged = cv2.resize(soft, (400, 300))
    assert (enlarged[:, 201] - enlarged[:, 198]).max() < 0.25


def test_texture_of_one_depth_stays_of_one_depth() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    result = evaluate_guided(
        GuidedMap.fit(pixels, np.full((9, 12), 0.4, np.float32)).upsampled(120, 90).rows(0, 90), pixels
    )
    assert result == pytest.approx(np.full((90, 120), 0.4), abs=1e-4)


@pytest.mark.parametrize("size", [(37, 53), (6, 9), (5, 500)])
def test_rows_are_those_of_the_whole_enlarged_array(size: tuple[int, int]) -> None:
    array = np.random.default_rng(1).random((6, 9, 4), np.float32)
    height, width = size
    expected = cv2.resize(array, (width, height), interpolation=cv2.INTER_LINEAR)
    enlarged = LazyUpsampled(array, width, height)
    for top in range(0, height, 4):
        bottom = min(top + 4, height)
        assert enlarged.rows(top, bottom) == pytest.approx(expected[top:bottom], abs=1e-5)
