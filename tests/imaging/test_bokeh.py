from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from depthsvc.imaging.bokeh import refocus
from training.scenes import Scene, render

INSIDE = np.s_[150:250, 200:300]
"""The foreground of `photo`."""
CENTRE, CORNER = (0.5, 0.5), (0.05, 0.05)


@pytest.fixture(scope="module")
def photo() -> NDArray[np.uint8]:
    """A red, textured square before a blue and green, textured wall, (400, 500, 3)."""
    noise = np.random.default_rng(1).integers(0, 120, (400, 500), dtype=np.uint8)
    pixels = np.stack([np.zeros_like(noise), noise, noise + 100], axis=-1)
    pixels[INSIDE] = np.stack([noise + 130, noise // 4, np.zeros_like(noise)], axis=-1)[INSIDE]
    return pixels


@pytest.fixture(scope="module")
def depth() -> NDArray[np.float32]:
    """Its inverse depth on a grid of a quarter of its size."""
    full = np.full((400, 500), 0.1, np.float32)
    full[INSIDE] = 0.9
    return np.asarray(cv2.resize(full, (125, 100), interpolation=cv2.INTER_AREA))


def detail(pixels: NDArray[np.uint8]) -> float:
    """Standard deviation of neighbours' differences in green."""
    return float(np.diff(pixels[..., 1].astype(float), axis=1).std())


def test_what_is_in_focus_stays_as_it_is(photo: NDArray[np.uint8], depth: NDArray[np.float32]) -> None:
    near = refocus(photo, depth, focus=CENTRE, strength=1)
    assert np.array_equal(near[170:230, 220:280], photo[170:230, 220:280])
    assert np.abs(near[154:246, 204:296].astype(int) - photo[154:246, 204:296]).mean() < 2
    far = refocus(photo, depth, focus=CORNER, strength=1)
    assert np.array_equal(far[:60], photo[:60])


def test_what_is_behind_the_focus_is_blurred_more_with_more_strength(
    photo: NDArray[np.uint8], depth: NDArray[np.float32]
) -> None:
    wall = np.s_[:100]
    details = [detail(refocus(photo, depth, focus=CENTRE, strength=strength)[wall]) for strength in (0, 0.1, 1)]
    assert details[0] == detail(photo[wall])
    assert details[1] < 0.5 * details[0]
    assert details[2] < 0.5 * details[1]
    assert abs(refocus(photo, depth, focus=CENTRE, strength=1)[wall].mean() - photo[wall].mean()) < 8


def test_a_sharp_foreground_has_no_halo(photo: NDArray[np.uint8], depth: NDArray[np.float32]) -> None:
    result = refocus(photo, depth, focus=CENTRE, strength=1)
    around = np.ones(photo.shape[:2], bool)
    around[146:254, 196:304] = False
    around[:120] = around[280:] = False
    around[:, :170] = around[:, 330:] = False
    assert result[around][:, 0].mean() < 0.5
    assert cv2.blur(photo, (31, 31))[around][:, 0].mean() > 10  # what leaks from a plain blur


def test_a_foreground_out_of_focus_spreads_over_what_is_behind_it(
    photo: NDArray[np.uint8], depth: NDArray[np.float32]
) -> None:
    result = refocus(photo, depth, focus=CORNER, strength=1)
    assert result[140:146, 220:280, 0].mean() > 40
    assert detail(result[160:240, 210:290]) < 0.2 * detail(photo[160:240, 210:290])


def test_the_automatic_focus_is_the_nearest_thing_and_not_the_floor() -> None:
    rng = np.random.default_rng(2)
    pixels = np.full((300, 400, 3), 90, np.uint8)
    pixels[80:220, 130:270] = rng.integers(0, 255, (140, 140, 3))
    inverse_depth = np.repeat(np.linspace(0, 1, 300, dtype=np.float32)[:, None], 400, axis=1)
    inverse_depth[80:220, 130:270] = 0.7
    result = refocus(pixels, inverse_depth, focus=None, strength=1)
    assert np.array_equal(result[110:190, 160:240], pixels[110:190, 160:240])
    assert detail(result[285:]) == 0


def test_a_constant_map_leaves_the_photo_sharp(photo: NDArray[np.uint8]) -> None:
    for value in (0.0, 7.0):
        constant = np.full((30, 40), value, np.float32)
        assert np.array_equal(refocus(photo, constant, focus=CENTRE, strength=1), photo)
        assert np.array_equal(refocus(photo, constant, focus=None, strength=1), photo)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 3)])
@pytest.mark.parametrize("focus", [None, (0.0, 1.0)])
def test_every_shape_of_photo_is_taken(size: tuple[int, int], focus: tuple[float, float] | None) -> None:
    pixels = np.random.default_rng(3).integers(0, 255, (*size, 3), dtype=np.uint8)
    inverse_depth = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    assert refocus(pixels, inverse_depth, focus=focus, strength=1).shape == pixels.shape


def test_in_rendered_scenes_the_colour_of_a_sharp_foreground_does_not_reach_its_background() -> None:
    leaks = np.array([_leaks(render(seed)) for seed in (10, 14, 28, 31)])
    refocused, plain = leaks.mean(axis=0)
    assert refocused < 0.15 * plain


def _leaks(scene: Scene) -> tuple[float, float]:
    """How much the background beside a foreground changes with its colours, when refocused and when plainly blurred."""
    nearness = scene.inverse_depth / scene.inverse_depth.max()
    foreground = (nearness > 0.6).astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    reach = cv2.dilate(foreground, kernel, iterations=8) - cv2.dilate(foreground, kernel, iterations=3)
    beside = reach.astype(bool) & (nearness < 0.35)
    y, x = np.argwhere(cv2.erode(foreground, kernel, iterations=5))[0]
    focus = ((x + 0.5) / foreground.shape[1], (y + 0.5) / foreground.shape[0])
    other = np.where(foreground[..., None] == 1, 255 - scene.image, scene.image)

    def leak(blur: Callable[[NDArray[np.uint8]], NDArray[Any]]) -> float:
        return float(np.abs(blur(scene.image).astype(int) - blur(other))[beside].mean())

    return (
        leak(lambda pixels: refocus(pixels, scene.inverse_depth, focus=focus, strength=1)),
        leak(lambda pixels: cv2.blur(pixels, (15, 15))),
    )
