from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from depthsvc.imaging.spec import StereoLayout
from depthsvc.imaging.stereo import right_view, stepped, stereo_picture

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

HEIGHT, WIDTH = 120, 200
SIDE_BY_SIDE, HALF, CROSS_EYED, ANAGLYPH = StereoLayout


def texture(seed: int, width: int, channels: slice = slice(0, 3)) -> Pixels:
    """Smooth colours, (HEIGHT, width, 3), in some of the channels."""
    noise = np.random.default_rng(seed).random((HEIGHT, width, 3), np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    colours = np.zeros_like(smooth)
    low, high = smooth.min(), smooth.max()
    colours[..., channels] = (255 / (high - low) * (smooth - low))[..., channels]
    return np.rint(colours).astype(np.uint8)


BACK, FRONT = texture(0, WIDTH + 20, slice(1, 3)), texture(1, WIDTH, slice(0, 1))
"""A background without red, and a foreground of nothing else."""


def scene(shift: int) -> Pixels:
    """A square in front of a plane, from further right: the square is seen so many pixels further to the left."""
    seen = BACK[:, :WIDTH].copy()
    seen[30:90, 70 - shift : 130 - shift] = FRONT[30:90, 70:130]
    return seen


def shifts(shift: float) -> Floats:
    depth = np.zeros((HEIGHT, WIDTH), np.float32)
    depth[30:90, 70:130] = shift
    return depth


def psnr(one: Pixels, other: Pixels) -> float:
    return float(-10 * np.log10(np.square(one.astype(float) - other).mean() / 255**2))


@pytest.mark.parametrize("shift", [4, 9])
def test_a_view_is_at_least_3_db_closer_to_the_true_one_than_a_plain_shift(shift: int) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    plain = cv2.remap(scene(0), x + shifts(shift), y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    true = scene(shift)
    for warped in (right_view(scene(0), shifts(shift)), right_view(scene(0), stepped(shifts(shift)))):
        assert psnr(warped, true) > psnr(np.asarray(plain, np.uint8), true) + 3


def test_what_is_near_is_in_front_and_the_gap_behind_it_is_background() -> None:
    view = right_view(scene(0), shifts(12))
    assert np.array_equal(view[30:90, 58:118], FRONT[30:90, 70:130]), "the square covers what it reaches"
    gap = view[30:90, 118:130]
    assert gap[..., 0].max() == 0, "nothing red is left in the gap"
    assert np.array_equal(gap, scene(0)[30:90, 130:142][:, ::-1]), "it is the mirror image of what is beside it"
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[30:90, 58:130] = False
    assert np.array_equal(view[outside], scene(0)[outside])


def test_a_gap_between_two_near_things_is_filled_with_what_they_hide() -> None:
    photo, near = np.full((5, 60, 3), (200, 0, 0), np.uint8), np.full((5, 60), 10, np.float32)
    photo[:, 30:34], near[:, 30:34] = (0, 0, 200), 0
    view = right_view(photo, near)
    assert (view[:, 20:24] == (0, 0, 200)).all()
    assert (view[:, :20] == (200, 0, 0)).all()


def test_a_thin_near_thing_leaves_background_on_both_sides() -> None:
    photo, near = np.full((5, 60, 3), (0, 90, 0), np.uint8), np.zeros((5, 60), np.float32)
    photo[:, 30], near[:, 30] = (200, 0, 0), 10
    view = right_view(photo, near)
    assert (view[:, 20] == (200, 0, 0)).all()
    assert (np.delete(view, 20, axis=1) == (0, 90, 0)).all()


def test_the_border_is_filled_with_its_mirror_image() -> None:
    view = right_view(BACK, np.full(BACK.shape[:2], 7, np.float32))
    assert np.array_equal(view[:, :-7], BACK[:, 7:])
    assert np.array_equal(view[:, -7:], BACK[:, -7:][:, ::-1])
    view = right_view(BACK, np.full(BACK.shape[:2], -7, np.float32))
    assert np.array_equal(view[:, :7], BACK[:, :7][:, ::-1])


def test_shifts_count_to_a_fraction_of_a_pixel() -> None:
    slope = np.repeat(np.arange(0, 200, 2, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(4, axis=0)
    for shift in (0.25, 0.5, 1.75):
        view = right_view(slope, np.full(slope.shape[:2], shift, np.float32)).astype(float)
        assert np.abs(view - slope - 2 * shift)[:, 5:-5].max() <= 0.6
    rising = np.tile(np.linspace(0, 5, 100, dtype=np.float32), (4, 1))
    view = right_view(slope, rising).astype(float)[:, 5:90, 0]
    assert np.abs(view - 2 * (np.arange(5, 90) / (1 - 5 / 99)))[:, :].max() <= 0.7, "x - 5 x / 99 is seen at x"


def test_a_soft_step_is_made_steep_and_a_slope_is_not() -> None:
    soft = np.tile(np.interp(np.arange(60), [28, 32], [0, 8]).astype(np.float32), (9, 1))
    assert set(np.unique(stepped(soft))) == {0, 8}
    three = np.tile(np.repeat(np.array([0, 4, 8], np.float32), (20, 3, 20)), (9, 1))
    assert (stepped(three) == 4).sum(axis=1).tolist() == [3] * 9, "something thin between both stays"
    slope = np.tile(np.linspace(0, 12, 60, dtype=np.float32), (9, 1))
    assert np.array_equal(stepped(slope), slope)


def bar(near: tuple[int, int] = (80, 120)) -> tuple[Pixels, Floats]:
    """A photo of a red bar in front of a grey plane, and its nearness."""
    photo, nearness = np.full((40, WIDTH, 3), 100, np.uint8), np.zeros((40, WIDTH), np.float32)
    photo[:, slice(*near)], nearness[:, slice(*near)] = (220, 0, 0), 1
    return photo, nearness


def red_of(view: Pixels) -> tuple[int, int]:
    """First and last column of what is red."""
    columns = np.flatnonzero((view[20, :, 0] > 160) & (view[20, :, 1] < 60))
    return int(columns[0]), int(columns[-1])


def picture(layout: StereoLayout, *, divergence: float = 5, convergence: float = 0) -> Pixels:
    photo, nearness = bar()
    return stereo_picture(photo, nearness, layout=layout, divergence=divergence, convergence=convergence)


def test_the_left_eye_sees_near_things_further_right() -> None:
    pair = picture(SIDE_BY_SIDE)
    assert pair.shape == (40, 2 * WIDTH, 3)
    assert (red_of(pair[:, :WIDTH]), red_of(pair[:, WIDTH:])) == ((85, 124), (75, 114)), "5 % of 200 pixels apart"
    crossed = picture(CROSS_EYED)
    assert np.array_equal(crossed, np.hstack([pair[:, WIDTH:], pair[:, :WIDTH]]))


def test_what_lies_at_the_convergence_is_not_shifted() -> None:
    pair = picture(SIDE_BY_SIDE, convergence=1)
    assert red_of(pair[:, :WIDTH]) == red_of(pair[:, WIDTH:]) == (80, 119)
    photo, nearness = bar()
    photo[:, 20], nearness[:, 20] = (220, 0, 0), 0
    photo, nearness = photo[:, :60], nearness[:, :60] + np.float32(0.3)
    nearness[:, 59] = 1
    pair = stereo_picture(photo, nearness, layout=SIDE_BY_SIDE, divergence=10, convergence=0.3)
    assert red_of(pair[:, :60]) == red_of(pair[:, 60:]) == (20, 20)


@pytest.mark.parametrize("width", [200, 199, 1])
def test_halves_are_equally_wide(width: int) -> None:
    photo, nearness = bar()
    halves = stereo_picture(photo[:, :width], nearness[:, :width], layout=HALF, divergence=5, convergence=0)
    assert halves.shape == (40, 2 * ((width + 1) // 2), 3)
    if width == WIDTH:
        assert (red_of(halves[:, :100]), red_of(halves[:, 100:])) == ((43, 61), (38, 56))


def test_an_anaglyph_has_the_left_view_in_red_and_the_right_one_in_cyan() -> None:
    photo, nearness = bar()
    photo[nearness > 0] = 250  # white
    shown = stereo_picture(photo, nearness, layout=ANAGLYPH, divergence=5, convergence=0)
    red, green, blue = (np.flatnonzero(shown[20, :, channel] > 180) for channel in range(3))
    assert (red[0], red[-1]) == (85, 124)
    assert (green[0], green[-1]) == (blue[0], blue[-1]) == (75, 114)
    assert np.abs(shown[20, 100].astype(int) - 250).max() <= 1, "what both eyes see as grey stays grey"
    assert np.abs(shown[20, 10].astype(int) - 100).max() <= 1


@pytest.mark.parametrize("layout", StereoLayout)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (33, 2), (101, 77), (3, 3000)])
def test_pictures_of_any_size_at_the_extremes(layout: StereoLayout, size: tuple[int, int]) -> None:
    random = np.random.default_rng(5)
    photo = random.integers(0, 256, (*size, 3), np.uint8)
    nearness = random.random(size, np.float32)
    for divergence, convergence in ((10, 0), (10, 1), (10, 0.5), (0, 0.5)):
        shown = stereo_picture(photo, nearness, layout=layout, divergence=divergence, convergence=convergence)
        assert len(shown) == size[0]
    if layout is SIDE_BY_SIDE:
        assert np.array_equal(shown, np.hstack([photo, photo])), "without divergence both eyes see the photo"


def test_a_flat_photo_lies_in_the_plane_of_the_screen() -> None:
    photo, nearness = bar()
    shown = stereo_picture(photo, np.zeros_like(nearness), layout=SIDE_BY_SIDE, divergence=10, convergence=0.5)
    assert np.array_equal(shown, np.hstack([photo, photo]))


def test_rows_do_not_depend_on_how_a_picture_is_divided() -> None:
    random = np.random.default_rng(3)
    photo = random.integers(0, 256, (300, 900, 3), np.uint8)
    coarse = np.repeat(np.repeat(random.random((10, 30), np.float32), 30, axis=0), 30, axis=1)
    nearness = np.asarray(cv2.GaussianBlur(coarse, (0, 0), 1), np.float32)
    whole = stereo_picture(photo, nearness, layout=SIDE_BY_SIDE, divergence=8, convergence=0.5)
    for top in (100, 140, 150):
        part = stereo_picture(photo[top:], nearness[top:], layout=SIDE_BY_SIDE, divergence=8, convergence=0.5)
        assert np.array_equal(part[20:], whole[top + 20 :])
