from __future__ import annotations

import numpy as np
import pytest

from depthsvc.imaging.colormaps import color_table, colored, levels, normalized, painter
from depthsvc.imaging.spec import Colormap


@pytest.mark.parametrize(
    ("colormap", "far", "near"),
    [
        ("inferno", (0, 0, 3), (252, 254, 164)),
        ("magma", (0, 0, 3), (251, 252, 191)),
        ("viridis", (68, 1, 84), (253, 231, 36)),
        ("gray", (0, 0, 0), (255, 255, 255)),
        ("hot", (0, 0, 0), (255, 255, 255)),
        ("jet", (0, 0, 128), (128, 0, 0)),
    ],
)
def test_ends_of_the_tables_are_the_published_colours(
    colormap: str, far: tuple[int, ...], near: tuple[int, ...]
) -> None:
    table = color_table(Colormap(colormap)).astype(int)
    assert table.shape == (256, 3)
    assert np.abs(table[0] - far).max() <= 1
    assert np.abs(table[-1] - near).max() <= 1


@pytest.mark.parametrize("colormap", Colormap)
def test_every_colormap_can_be_turned_round(colormap: Colormap) -> None:
    assert np.array_equal(color_table(colormap, invert=True), color_table(colormap)[::-1])


@pytest.mark.parametrize("width", [1, 2, 3, 640, 641])
@pytest.mark.parametrize("invert", [False, True])
def test_every_level_gets_its_colour(width: int, invert: bool) -> None:
    shape = 67, width
    chosen = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    expected = color_table(Colormap.TURBO, invert=invert)[chosen]
    assert np.array_equal(colored(chosen, Colormap.TURBO, invert=invert), expected)
    rows = np.zeros((67, 1 + 3 * width), np.uint8)  # as a PNG holds them
    painter(Colormap.TURBO, invert=invert).paint(chosen, rows[:, 1:].reshape(67, width, 3))
    assert np.array_equal(rows[:, 1:].reshape(expected.shape), expected)


@pytest.mark.parametrize("colormap", ["inferno", "magma", "plasma", "viridis", "hot", "gray"])
def test_brighter_means_nearer(colormap: str) -> None:
    brightness = color_table(Colormap(colormap)) @ (0.299, 0.587, 0.114)
    assert (np.diff(brightness) > -2).all()
    assert brightness[-1] - brightness[0] > 150


def test_levels_span_the_map() -> None:
    assert levels(np.array([[5.0, 7.0], [9.0, 6.0]], np.float32)).tolist() == [[0, 128], [255, 64]]


@pytest.mark.parametrize("value", [0.0, 3.5, 65504.0])
def test_a_constant_map_is_all_far(value: float) -> None:
    values = np.full((3, 4), value, np.float32)
    assert not levels(values).any()
    assert not normalized(values).any()


def test_rounding_noise_on_a_constant_map_is_not_blown_up() -> None:
    noisy = np.array([[5.0, np.nextafter(np.float32(5), np.float32(6))]], np.float32)
    assert not normalized(noisy).any()
    assert normalized(np.array([[5.0, 5.001]], np.float32)).tolist() == [[0.0, 1.0]]
