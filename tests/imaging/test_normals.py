"""Normals are those of the geometry that was rendered, in ControlNet's colours."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.normals import angles, gradient_normals
from depthsvc.imaging.normals import normal_colours, surface_normals
from training.layouts import layout
from training.scenes import surface

WIDTH, HEIGHT, FOV = 64, 48, 70.0


def plane(normal: tuple[float, float, float], distance: float = 2) -> NDArray[np.float32]:
    """Inverse depth (HEIGHT, WIDTH) of a plane across the optical axis at this distance; axes right, up, backwards."""
    focal = WIDTH / 2 / np.tan(np.radians(FOV) / 2)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    across, up = (columns - WIDTH / 2) / focal, (HEIGHT / 2 - rows) / focal
    return np.asarray((normal[2] - normal[0] * across - normal[1] * up) / (normal[2] * distance), np.float32)


@pytest.mark.parametrize("normal", [(0, 0, 1), (0.6, 0, 0.8), (-0.48, 0.6, 0.64), (0, -0.8, 0.6)])
def test_a_plane_has_one_normal_whatever_its_distance(normal: tuple[float, float, float]) -> None:
    for scale in (1, 1e-3, 500):
        found = surface_normals(scale * plane(normal), WIDTH, HEIGHT, fov=FOV)
        assert np.abs(found - normal).max() < 1e-3


def test_the_grid_may_be_smaller_than_the_photo_and_of_another_shape() -> None:
    found = surface_normals(plane((-0.48, 0.6, 0.64)), 3 * WIDTH, 3 * HEIGHT, fov=FOV)
    assert np.abs(found - (-0.48, 0.6, 0.64)).max() < 1e-3
    squeezed = surface_normals(plane((-0.48, 0.6, 0.64))[:, ::2], WIDTH, HEIGHT, fov=FOV)
    assert angles(squeezed, np.array((-0.48, 0.6, 0.64), np.float32)).max() < 1.5  # columns are half a pixel off


def test_a_step_between_two_planes_belongs_to_one_of_them() -> None:
    near, far = (0.6, 0, 0.8), (0, -0.6, 0.8)
    left = np.arange(WIDTH) < WIDTH // 2
    found = surface_normals(np.where(left, plane(near, 1), plane(far, 3)), WIDTH, HEIGHT, fov=FOV)
    assert np.abs(found - np.where(left[:, None], near, far)).max() < 0.01


def test_what_is_unknown_or_constant_faces_the_camera() -> None:
    half = plane((0.6, 0, 0.8))
    half[:, 30:] = 0
    found = surface_normals(half, WIDTH, HEIGHT, fov=FOV)
    assert np.abs(found[:, :30] - (0.6, 0, 0.8)).max() < 0.01
    assert (found[:, 30:] == (0, 0, 1)).all()
    for shape in ((5, 7), (1, 1), (1, 9), (9, 1)):
        for value in (0, 0.5):
            assert (surface_normals(np.full(shape, value, np.float32), 7, 5, fov=60) == (0, 0, 1)).all()


def test_rendered_scenes_have_the_normals_of_their_solids() -> None:
    ours, gradient = [], []
    for seed in (3, 5):
        place = layout(np.random.default_rng(seed))
        inverse_depth, true = surface(place.solids, place.camera, 96, 128)
        fov, seen = float(np.degrees(place.camera.field_of_view)), inverse_depth > 0.02
        ours.append(angles(surface_normals(inverse_depth, 128, 96, fov=fov), true)[seen])
        gradient.append(angles(gradient_normals(np.maximum(inverse_depth, 1e-6), fov), true)[seen])
    assert np.median(np.concatenate(ours)) < 0.5 < np.median(np.concatenate(gradient))
    assert np.mean(np.concatenate(ours)) < 0.6 * np.mean(np.concatenate(gradient))


@pytest.mark.parametrize(
    ("normal", "colour"),
    [
        ((0, 0, 1), (128, 128, 255)),
        ((-1, 0, 0), (255, 128, 128)),  # red is left
        ((0, 1, 0), (128, 255, 128)),
        ((0.6, 0, 0.8), (51, 128, 230)),
    ],
)
def test_colours_are_those_of_controlnet(normal: tuple[float, float, float], colour: tuple[int, ...]) -> None:
    colours = normal_colours(np.full((3, 4, 3), normal, np.float32))
    assert (colours == colour).all()
