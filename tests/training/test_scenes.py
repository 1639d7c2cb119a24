"""Rendered depth is the depth that geometry says, and pictures show what the depth says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.fine_layouts import FINE
from training.layouts import GENERAL, Camera, Place
from training.scenes import inverse_depth, render
from training.things import Floats, Paint, Random, Solid, ball, box, rod, turn

HEIGHT, WIDTH = 60, 80
FIELD_OF_VIEW = np.radians(60)
FOCAL = WIDTH / 2 / np.tan(FIELD_OF_VIEW / 2)
LOOK = Paint(0, np.ones(3), 1.0)


def _camera(position: tuple[float, float, float] = (0, 0, 0), rotation: Floats | None = None) -> Camera:
    return Camera(np.array(position, float), np.eye(3) if rotation is None else rotation, FIELD_OF_VIEW)


def _middle(solid: Solid, camera: Camera | None = None) -> float:
    """Depth along the optical axis, to about half a pixel."""
    return 1 / float(inverse_depth([solid], camera or _camera(), HEIGHT, WIDTH)[HEIGHT // 2, WIDTH // 2])


def test_ground_is_as_deep_as_the_rows_say() -> None:
    ground = box(LOOK, (0, 0.5, 0), (1e4, 1, 1e4))
    seen = inverse_depth([ground], _camera((0, -1.6, 0)), HEIGHT, WIDTH)
    rows = np.arange(HEIGHT) + 0.5 - HEIGHT / 2
    expected = np.maximum(rows, 0) / (1.6 * FOCAL)
    np.testing.assert_allclose(seen, np.broadcast_to(expected[:, None], seen.shape), atol=1e-4)


@pytest.mark.parametrize(
    ("solid", "depth"),
    [
        (box(LOOK, (0, 0, 5), (2, 2, 2)), 4.0),
        (box(LOOK, (0, 0, 5), (2, 2, 2), turn(np.pi / 4)), 5 - np.sqrt(2)),
        (ball(LOOK, (0, 0, 5), (2, 2, 2)), 4.0),
        (ball(LOOK, (0, 0, 5), (2, 2, 6)), 2.0),
        (rod(LOOK, (0, -1, 5), (0, 1, 5), 2), 4.0),
        (rod(LOOK, (0, 0, 4), (0, 0, 6), 2), 4.0),
    ],
    ids=["box", "turned box", "ball", "ellipsoid", "upright cylinder", "lying cylinder"],
)
def test_front_of_a_solid_is_where_it_is(solid: Solid, depth: float) -> None:
    assert _middle(solid) == pytest.approx(depth, rel=0.01)


def test_ball_has_the_size_that_perspective_gives_it() -> None:
    seen = inverse_depth([ball(LOOK, (0, 0, 5), (2, 2, 2))], _camera(), HEIGHT, WIDTH)
    # The cone that touches the ball has a half angle of asin(1 / 5).
    area = np.pi * (FOCAL * np.tan(np.arcsin(1 / 5))) ** 2
    assert (seen > 0).sum() == pytest.approx(area, rel=0.05)


def test_depth_is_measured_along_the_optical_axis_of_a_turned_camera() -> None:
    wall = box(LOOK, (10, 0, 0), (2, 100, 100))
    seen = inverse_depth([wall], _camera(rotation=turn(np.pi / 2)), HEIGHT, WIDTH)
    np.testing.assert_allclose(seen, 1 / 9, rtol=1e-4)


def test_nearer_solid_hides_the_farther_one_in_any_order() -> None:
    near, far = box(LOOK, (0, 0, 3), (1, 1, 1)), box(LOOK, (0, 0, 9), (9, 9, 1))
    first, second = (inverse_depth(solids, _camera(), HEIGHT, WIDTH) for solids in ([near, far], [far, near]))
    np.testing.assert_array_equal(first, second)
    assert 1 / first[HEIGHT // 2, WIDTH // 2] == pytest.approx(2.5)


def test_what_is_behind_the_camera_or_around_it_is_not_seen() -> None:
    solids = [box(LOOK, (0, 0, -5), (2, 2, 2)), ball(LOOK, (0, 0, 0), (2, 2, 2))]
    assert not inverse_depth(solids, _camera(), HEIGHT, WIDTH).any()


def test_a_seed_gives_one_scene() -> None:
    first, again, other = (render(seed, 48, 64) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.inverse_depth, again.inverse_depth)
    assert not np.array_equal(first.image, other.image)


def test_photos_lend_textures_and_leave_depth_alone(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8))
    plain, textured = render(3, 48, 64), render(3, 48, 64, photos=[path])
    np.testing.assert_array_equal(plain.inverse_depth, textured.inverse_depth)
    assert not np.array_equal(plain.image, textured.image)


@pytest.mark.parametrize("mix", [GENERAL, FINE], ids=["general", "fine"])
def test_shares_of_a_mix_add_up_to_1(mix: dict[Callable[[Random], Place], float]) -> None:
    assert sum(mix.values()) == pytest.approx(1)


@pytest.mark.parametrize("maker", FINE)
def test_each_kind_of_fine_place_shows_near_and_far(maker: Callable[[Random], Place]) -> None:
    spans = []
    for seed in range(4):
        place = maker(np.random.default_rng(seed))
        seen = inverse_depth(place.solids, place.camera, HEIGHT, WIDTH)
        assert np.isfinite(seen).all()
        near, far = np.percentile(seen, (98, 10))
        spans.append(near / max(float(far), 1 / 100))
    assert np.median(spans) > 1.5


@pytest.mark.parametrize("fine", [False, True], ids=["general", "fine"])
@pytest.mark.parametrize("seed", range(12))
def test_scenes_are_worth_training_on(seed: int, fine: bool) -> None:
    scene = render(seed, 96, 128, fine=fine)
    assert scene.image.shape == (96, 128, 3)
    assert np.isfinite(scene.inverse_depth).all()
    assert scene.inverse_depth.min() >= 0
    assert (scene.inverse_depth > 0).mean() > 0.1
    assert np.ptp(scene.inverse_depth) > 0.003
    assert 20 < scene.image.mean() < 250
    assert scene.image.std() > 5
