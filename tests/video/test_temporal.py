"""Maps that hold still, on made sequences whose motion is known."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from depthsvc.video.temporal import Novelty, TemporalFilter

Floats = NDArray[np.float32]
HEIGHT, WIDTH = 96, 160
SHOT = range(12)


def texture(height: int, width: int, seed: int = 0) -> Floats:
    """A picture with detail of all sizes, RGB, 0..1."""
    chance = np.random.default_rng(seed)
    coarse = chance.random((height // 8, width // 8, 3)).astype(np.float32)
    fine = chance.random((height // 3, width // 3, 3)).astype(np.float32)
    layers = [cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC) for layer in (coarse, fine)]
    return np.asarray((0.7 * layers[0] + 0.3 * layers[1]).clip(0, 1), np.float32)


WORLD = texture(HEIGHT, WIDTH + 60)
DEPTH = np.asarray(cv2.GaussianBlur(texture(HEIGHT, WIDTH + 60, 1)[..., 0], (0, 0), 6) * 100, np.float32)


def pan(number: int) -> tuple[Floats, Floats]:
    """A frame of a camera that moves two pixels a frame, and its true depth."""
    window = slice(2 * number, 2 * number + WIDTH)
    return np.ascontiguousarray(WORLD[:, window]), np.ascontiguousarray(DEPTH[:, window])


def noise(number: int) -> Floats:
    """What a network gets wrong in one frame, in patches."""
    patches = np.random.default_rng(100 + number).normal(size=(HEIGHT // 8, WIDTH // 8)).astype(np.float32)
    return np.asarray(cv2.resize(patches, (WIDTH, HEIGHT)) * DEPTH.std() * 0.3, np.float32)


def flicker(maps: list[Floats]) -> float:
    """Mean change of the error from frame to frame."""
    errors = [depth - pan(number)[1] for number, depth in enumerate(maps)]
    return float(np.mean([np.abs(now - before).mean() for before, now in itertools.pairwise(errors)]))


def test_flicker_is_less_than_half_while_the_camera_moves() -> None:
    steady = TemporalFilter()
    bare = [pan(number)[1] + noise(number) for number in SHOT]
    steadied = [steady(pan(number)[0], depth) for number, depth in enumerate(bare)]
    assert flicker(steadied) < 0.4 * flicker(bare)
    assert np.abs(steadied[-1] - pan(SHOT[-1])[1]).mean() < 0.6 * np.abs(noise(SHOT[-1])).mean()
    assert steadied[-1].dtype == np.float32


def test_less_strength_steadies_less_and_none_nothing() -> None:
    bare = [pan(number)[1] + noise(number) for number in SHOT]

    def steadied(strength: float) -> list[Floats]:
        steady = TemporalFilter(strength)
        return [steady(pan(number)[0], depth) for number, depth in enumerate(bare)]

    assert flicker(steadied(1)) < flicker(steadied(0.1)) < flicker(bare)
    for depth, expected in zip(steadied(0), bare, strict=True):
        np.testing.assert_allclose(depth, expected, rtol=1e-4, atol=1e-3)


def test_a_new_shot_owes_nothing_to_the_one_before() -> None:
    steady = TemporalFilter()
    cuts = []
    for number in SHOT:
        steady(*pan(number))
        cuts.append(steady.is_cut)
    other = texture(HEIGHT, WIDTH, 7)
    depth = np.full((HEIGHT, WIDTH), 3, np.float32)
    assert np.array_equal(steady(other, depth), depth)
    assert steady.is_cut
    assert cuts == [True, *[False] * (len(SHOT) - 1)]


def test_brighter_light_is_no_cut_and_changes_no_depth() -> None:
    steady = TemporalFilter()
    colours, depth = pan(0)
    for _ in range(4):
        steady(colours * np.float32(0.5), depth)
    changed = steady(colours * np.float32(0.8), depth + noise(0))
    assert not steady.is_cut
    assert np.abs(changed - depth).mean() < 0.5 * np.abs(noise(0)).mean()


def test_what_is_uncovered_has_its_new_depth_at_once() -> None:
    steady = TemporalFilter()
    colours, depth = pan(0)
    near = np.zeros((HEIGHT, WIDTH), bool)
    near[30:70, 40:90] = True
    patch = texture(HEIGHT, WIDTH, 9)
    for _ in range(6):
        steady(np.where(near[..., None], patch, colours), np.where(near, np.float32(300), depth))
    result = steady(colours, depth)
    inside = near & (cv2.erode(near.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)
    assert np.abs(result - depth)[inside].mean() < 5


def test_frames_without_a_map_follow_the_motion() -> None:
    steady = TemporalFilter()
    steady(*pan(0))
    colours, truth = pan(1)
    moved = steady.without_depth(colours)
    assert moved is not None
    inner = slice(8, -8)
    still = np.abs(pan(0)[1] - truth)[inner, inner].mean()
    assert np.abs(moved - truth)[inner, inner].mean() < 0.3 * still
    assert steady.without_depth(texture(HEIGHT, WIDTH, 7)) is None
    assert TemporalFilter().without_depth(colours) is None


def test_the_motion_can_be_read_in_pixels_of_the_picture() -> None:
    steady = TemporalFilter()
    assert steady.flow is None
    steady(*pan(0))
    assert steady.flow is None
    steady(*pan(1))
    for following in (2, 3):
        flow = steady.flow
        assert flow is not None
        assert flow.shape == (HEIGHT, WIDTH, 2)
        inner = flow[12:-12, 12:-12]
        assert np.isfinite(inner[..., 0]).mean() > 0.9
        assert np.nanmedian(inner, axis=(0, 1)) == pytest.approx([2, 0], abs=0.05)  # two pixels a frame
        assert np.isnan(flow[:, -1, 0]).all()  # what has just come in
        steady.without_depth(pan(following)[0])
    steady(texture(HEIGHT, WIDTH, 7), pan(0)[1])
    assert steady.flow is None


def test_a_plain_picture_shows_no_motion() -> None:
    steady = TemporalFilter()
    for _ in range(2):
        steady(np.full((HEIGHT, WIDTH, 3), 0.5, np.float32), pan(0)[1])
    assert steady.flow is not None
    assert np.isnan(steady.flow).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (31, 64)])
def test_pictures_and_maps_may_change_their_sizes(shape: tuple[int, int]) -> None:
    steady = TemporalFilter()
    steady(*pan(0))
    depth = np.zeros(shape, np.float32)
    for _ in range(2):
        assert steady(np.zeros((*shape, 3), np.float32), depth).shape == shape
    assert np.isfinite(steady(*pan(0))).all()
    assert steady.is_cut


def test_a_picture_that_is_a_little_larger_begins_a_shot() -> None:
    steady, novelty = TemporalFilter(), Novelty()
    for height, width in ((256, 192), (258, 194)):  # the same on the grid on which motion is read
        colours = texture(height, width)
        steady(colours, colours[..., 0])
        assert steady.is_cut
        assert novelty.is_due(colours)


def test_plain_pictures_are_alike_and_differ_from_others() -> None:
    steady = TemporalFilter()
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    grounds = [np.full((HEIGHT, WIDTH, 3), brightness, np.float32) for brightness in (0, 0, 1)]
    cuts = []
    for colours in (*grounds, pan(0)[0]):
        steady(colours, depth)
        cuts.append(steady.is_cut)
    assert cuts == [True, False, False, True]


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_beyond_its_range_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match=r"strength: .* is not between 0 and 1"):
        TemporalFilter(strength)


def due(pictures: list[Floats]) -> list[int]:
    """Numbers of the pictures that have to be seen."""
    novelty = Novelty()
    return [number for number, picture in enumerate(pictures) if novelty.is_due(picture)]


def test_a_picture_that_holds_still_is_seen_now_and_then() -> None:
    still, other = pan(0)[0], texture(HEIGHT, WIDTH, 7)
    assert due([still] * 20) == [0, 8, 16]
    assert due([still] * 3 + [other] * 3 + [still] * 2) == [0, 3, 6]


def test_the_more_is_new_in_a_picture_the_sooner_it_is_seen() -> None:
    slow = due([pan(number)[0] for number in range(24)])
    fast = due([pan(3 * number)[0] for number in range(9)])
    assert 24 / 4 <= len(slow) <= 24 / 2
    assert len(fast) / 9 > 1.2 * len(slow) / 24


def test_what_appears_is_new_even_if_it_is_not_moving_any_more() -> None:
    picture = pan(0)[0]
    small, large = picture.copy(), picture.copy()
    small[20:35, 40:55] = 1 - small[20:35, 40:55]
    large[20:70, 40:90] = 1 - large[20:70, 40:90]
    assert due([picture, small, small, small]) == [0]
    assert due([picture, large, large, large]) == [0, 1]
