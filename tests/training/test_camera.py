"""A camera blurs what is out of focus or moves, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from training.camera import Floats, Image, defocus, develop, motion_blur


@pytest.fixture
def stripes() -> Floats:
    """(32, 48, 3): bright and dark columns, 4 pixels wide."""
    row = (np.arange(48) // 4 % 2).astype(np.float32)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (32, 48, 3)))


def test_what_is_in_focus_stays_and_the_rest_is_blurred(stripes: Floats) -> None:
    inverse_depth = np.full((32, 48), 0.1, np.float32)
    inverse_depth[:16] = 1.0
    seen = defocus(stripes, inverse_depth, focus=1.0, aperture=4)
    np.testing.assert_allclose(seen[:16], stripes[:16], atol=1e-6)
    assert np.ptp(seen[16:, 8:40]) < 0.3
    assert seen.mean() == pytest.approx(stripes.mean(), abs=0.02)


def test_blur_between_two_levels_is_between_them(stripes: Floats) -> None:
    seen = [defocus(stripes, np.full((32, 48), sigma, np.float32), 0.0, 1.0).std() for sigma in (1.0, 1.5, 2.0)]
    assert seen[0] > seen[1] > seen[2]


def test_motion_blurs_along_its_direction_only(stripes: Floats) -> None:
    image: Image = (stripes * 255).astype(np.uint8)
    np.testing.assert_array_equal(motion_blur(image, 5, np.pi / 2), image)
    assert motion_blur(image, 5, 0.0).std() < 0.8 * image.std()


def test_exposure_makes_pictures_darker(stripes: Floats) -> None:
    means = [develop(np.random.default_rng(0), stripes, exposure).mean() for exposure in (1.0, 0.3)]
    assert means[1] < 0.8 * means[0]
