"""The nearest thing of each sector, on made scenes and sequences whose truth is known."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import depthsvc
from depthsvc.depth import DepthMap
from depthsvc.imaging.spec import DepthKind, Enlargement
from depthsvc.video.floor import floor_of
from depthsvc.video.growth import growth_of
from depthsvc.video.obstacles import ObstacleTracker, Sector, obstacles
from depthsvc.video.temporal import TemporalFilter
from tests.video.test_temporal import texture

Floats = NDArray[np.float32]
HEIGHT, WIDTH = 192, 256
LOW, HIGH = 0.0, 1.2
GROUND, THING = texture(HEIGHT, WIDTH, 3), texture(240, 240, 5)
Frame = tuple[float, Floats, Floats]


def scene(side: float, x: float = WIDTH / 2, inverse: float = 0.6) -> tuple[Floats, Floats]:
    """A picture of a square of this side in front of a wall, and its inverse depth."""
    scale = np.array([[side / 240, 0, x - side / 2], [0, side / 240, 0.62 * HEIGHT - side / 2]], np.float32)
    size = WIDTH, HEIGHT
    thing = cv2.warpAffine(THING, scale, size)
    where = cv2.warpAffine(np.ones((240, 240), np.float32), scale, size)
    colours = GROUND * (1 - where[..., None]) + thing * where[..., None]
    return np.asarray(colours, np.float32), np.where(where > 0.5, np.float32(inverse), np.float32(0.2))


def coming(contact_s: float, rate: float, seconds: float = 0.9) -> Iterator[Frame]:
    """A square that will be here after `contact_s`: it grows by 1 / (T - t), and so does its inverse depth."""
    for number in range(round(seconds * rate)):
        time_s = number / rate
        growth = contact_s / (contact_s - time_s)
        yield time_s, *scene(50 * growth, inverse=0.4 * growth)


def watched(
    frames: Iterator[Frame], *, columns: int = 3, kind: DepthKind = DepthKind.INVERSE_DEPTH, motion: bool = True
) -> list[tuple[float, tuple[Sector, ...]]]:
    """The sectors of each frame, and its time. `motion`: whether maps are steadied, and the flow is known."""
    steady, tracker, seen = TemporalFilter(float(motion)), ObstacleTracker(columns), []
    for time_s, colours, inverse in frames:
        values = steady(colours, np.asarray(1 / inverse if kind is DepthKind.METRES else inverse, np.float32))
        depth = DepthMap.of(values, "made", kind=kind)
        flow = steady.flow if motion else None
        seen.append((time_s, tracker(depth, LOW, HIGH, time_s, is_cut=steady.is_cut, flow=flow)))
    return seen


def contacts(seen: list[tuple[float, tuple[Sector, ...]]], column: int) -> list[tuple[float, float]]:
    return [(time_s, each[column].contact_s) for time_s, each in seen if each[column].contact_s is not None]  # type: ignore[misc]


@pytest.mark.parametrize(("contact_s", "rate"), [(2, 10), (5, 10), (3, 30)])
def test_what_comes_straight_on_has_its_time_to_contact(contact_s: float, rate: float) -> None:
    seen = watched(coming(contact_s, rate))
    found = contacts(seen, 1)
    assert len(found) >= 0.5 * len(seen)
    for time_s, seconds in found:
        assert seconds == pytest.approx(contact_s - time_s, rel=0.2)
    assert contacts(seen, 0) == contacts(seen, 2) == []  # the wall behind it


def test_exposure_and_frames_that_are_missing_change_no_time_to_contact() -> None:
    frames = [frame for number, frame in enumerate(coming(3, 30, 1.2)) if number % 7 not in (2, 3, 5)]
    exposed = (
        (time_s, colours * np.float32((0.6, 1, 0.8)[n % 3]), depth) for n, (time_s, colours, depth) in enumerate(frames)
    )
    found = contacts(watched(exposed), 1)
    assert len(found) >= 10
    assert [seconds for _, seconds in found] == pytest.approx([3 - time_s for time_s, _ in found], rel=0.2)


def sideways() -> Iterator[Frame]:
    for number in range(9):
        yield number / 10, *scene(80, x=80 + 6 * number)


def receding() -> Iterator[Frame]:
    for number in range(9):
        yield number / 10, *scene(120 / (1 + 0.05 * number))


def still() -> Iterator[Frame]:
    for number in range(9):
        yield number / 10, *scene(80)


def noise() -> Iterator[Frame]:
    chance = np.random.default_rng(0)
    for number in range(9):
        grain = chance.normal(0.5, 0.05, (HEIGHT, WIDTH, 3)).astype(np.float32)
        yield number / 10, grain, scene(80)[1]


def plain() -> Iterator[Frame]:
    for time_s, colours, inverse in coming(2, 10):
        yield time_s, np.full_like(colours, 0.5), inverse


@pytest.mark.parametrize("frames", [sideways, receding, still, noise, plain])
def test_what_does_not_come_or_cannot_be_seen_to_has_no_time_to_contact(frames: Callable[[], Iterator[Frame]]) -> None:
    assert [each.contact_s for _, sectors in watched(frames()) for each in sectors if each.contact_s] == []


def test_approach_is_the_change_of_nearness() -> None:
    frames = ((number / 10, *scene(80, inverse=0.3 + 0.024 * number)) for number in range(25))
    seen = watched(frames, motion=False)
    approaches = [sectors[1].approach for _, sectors in seen]
    assert approaches[:3] == [None, None, None]
    assert approaches[-1] == pytest.approx(0.24 / (HIGH - LOW), rel=0.15)  # nearness per second
    assert [sectors[0].approach for _, sectors in seen][-1] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("rate", [10, 30])
def test_metres_and_their_speed(rate: int) -> None:
    frames = ((number / rate, *scene(80, inverse=1 / (3 - number / rate))) for number in range(round(1.5 * rate)))
    (_, first), *_, (time_s, last) = watched(frames, kind=DepthKind.METRES, motion=False)
    assert first[1].metres == pytest.approx(3, rel=0.02)
    assert first[1].approach is None
    assert last[1].metres == pytest.approx(3 - time_s, rel=0.05)
    assert last[1].approach == pytest.approx(1, rel=0.2)
    assert last[0].metres == pytest.approx(5, rel=0.02)


def test_a_cut_and_another_thing_begin_a_new_trend() -> None:
    frames = list(coming(2, 10, 1.0))
    other = [(1 + number / 10, texture(HEIGHT, WIDTH, 9), frames[0][2]) for number in range(2)]
    seen = watched(iter([*frames, *other]))
    assert seen[9][1][1].approach is not None
    assert [(sectors[1].approach, sectors[1].contact_s) for _, sectors in seen[10:]] == [(None, None)] * 2
    tracker, (colours, inverse) = ObstacleTracker(1), scene(80, inverse=0.3)
    for time_s, value in ((0.0, 0.3), (0.4, 0.3), (0.8, 0.3), (0.9, 1.0)):
        depth = DepthMap.of(np.where(inverse > 0.25, np.float32(value), inverse), "made")
        [sector] = tracker(depth, LOW, HIGH, time_s, is_cut=time_s == 0, flow=None)
        assert (sector.approach is None) == (time_s in (0.0, 0.9))
    assert colours.shape == (HEIGHT, WIDTH, 3)


def street(near: float = 0.0) -> Floats:
    """Nearness of a floor up to the horizon, from far to near; and of a box on its left that stands on it."""
    y = (np.arange(HEIGHT, dtype=np.float32) + 0.5) / HEIGHT
    inverse = np.repeat(((y - 0.4) / 0.6).clip(0, 1)[:, None], WIDTH, axis=1)
    if near:
        bottom = int((0.4 + 0.6 * near) * HEIGHT)
        inverse[bottom - 60 : bottom, 10:45] = near
    return np.asarray(inverse, np.float32)


def test_the_floor_is_no_obstacle_but_what_stands_on_it_is() -> None:
    free = [sector.nearness for sector in obstacles(DepthMap.of(street(), "made"))]
    assert max(free) < 0.1
    with_box = [sector.nearness for sector in obstacles(DepthMap.of(street(0.7), "made"))]
    assert with_box[0] == pytest.approx(0.7, abs=0.02)
    assert max(with_box[1:]) < 0.1


def test_a_wall_is_no_floor() -> None:
    facing = np.repeat(np.linspace(0.2, 1, HEIGHT, dtype=np.float32)[:, None], WIDTH, axis=1)
    beside = np.repeat(np.linspace(0, 1, WIDTH, dtype=np.float32)[None], HEIGHT, axis=0)
    for wall in (facing, beside, np.ones_like(facing)):
        assert not floor_of(wall).any()
    assert [sector.nearness for sector in obstacles(DepthMap.of(facing, "made"))] == pytest.approx([0.98] * 5, abs=0.03)
    nearness = [sector.nearness for sector in obstacles(DepthMap.of(beside, "made"))]
    assert nearness == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0], abs=0.02)


def test_a_floor_that_is_all_there_is_counts_where_it_ends() -> None:
    metres = np.where(street() > 0, 1 / np.maximum(street(), 0.05), np.float32(20))
    metres[: HEIGHT // 2] = metres[HEIGHT // 2]
    sectors = obstacles(DepthMap.of(metres, "made", kind=DepthKind.METRES))
    assert all(sector.metres is not None and sector.metres > 4 for sector in sectors)


def test_a_few_wrong_points_are_no_thing() -> None:
    values = np.full((HEIGHT, WIDTH), 1, np.float32)
    values[0, 0] = 0  # the farthest
    values[100:104, 20:24] = values[90, ::9] = 5
    assert [sector.nearness for sector in obstacles(DepthMap.of(values, "made"))] == pytest.approx([0.2] * 5)


def test_distances_that_are_unknown_are_not_said() -> None:
    values = np.zeros((HEIGHT, WIDTH), np.float32)
    values[:, WIDTH // 2 :] = 4
    left, right = obstacles(DepthMap.of(values, "made", kind=DepthKind.METRES), columns=2)
    assert (left.metres, right.metres) == (None, 4)
    assert obstacles(DepthMap.of(values, "made"), columns=2)[1].metres is None


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (40, 900), (2000, 40)])
@pytest.mark.parametrize("kind", DepthKind)
def test_maps_may_have_any_size_and_be_constant(shape: tuple[int, int], kind: DepthKind) -> None:
    sectors = obstacles(DepthMap.of(np.full(shape, 2, np.float32), "made", kind=kind), columns=4)
    assert [(sector.left, sector.right) for sector in sectors] == [*pairwise([0, 0.25, 0.5, 0.75, 1])]
    assert [sector.nearness for sector in sectors] == [0] * 4


def test_motion_in_the_surroundings_of_a_map_is_not_of_the_map() -> None:
    depth = DepthMap.within(
        np.full((96, 144), 0.6, np.float32), (0.25, 0.25), "made", Enlargement.BICUBIC, DepthKind.INVERSE_DEPTH
    )
    assert (depth.height, depth.width) == (64, 96)
    flow = np.full((96, 144, 2), 3, np.float32)
    y, x = np.mgrid[:64, :96]
    flow[16:80, 24:120] = np.stack([-0.05 * (x - 48), -0.05 * (y - 32)], axis=-1)
    tracker = ObstacleTracker(1)
    for number in range(8):
        [sector] = tracker(depth, LOW, HIGH, number / 10, is_cut=number == 0, flow=flow)
    assert sector.contact_s == pytest.approx(0.1 * 0.95 / 0.05, rel=0.1)


def test_columns_beyond_their_range_are_refused() -> None:
    for columns in (0, 33):
        with pytest.raises(ValueError, match=r"columns: \d+ is not between 1 and 32"):
            ObstacleTracker(columns)


def test_a_sector_is_rounded_for_json() -> None:
    sector = Sector(1 / 3, 2 / 3, 0.123456, None, -0.00012, 2.0)
    expected = {"left": 0.333, "right": 0.667, "nearness": 0.123, "metres": None, "approach": -0.0, "contact_s": 2.0}
    assert json.loads(json.dumps(sector.to_dict())) == expected


def test_the_growth_of_a_slanted_or_striped_thing_is_uncertain() -> None:
    y, x = np.mgrid[:60, :60].astype(np.float32)
    where = np.ones((60, 60), np.bool_)
    evenly = growth_of(np.stack([-0.05 * x, -0.05 * y], axis=-1), where, 0.1)
    one_way = growth_of(np.stack([-0.05 * x, 0 * y], axis=-1), where, 0.1)
    assert evenly is not None
    assert one_way is not None
    assert evenly.rate == pytest.approx(0.05 / 0.95 / 0.1, rel=1e-3)
    assert evenly.deviation < 0.1 * evenly.rate
    assert one_way.deviation > 0.8 * one_way.rate


def test_no_video_library_is_needed() -> None:
    script = "import sys; sys.modules['av'] = None; from depthsvc import ObstacleTracker, TemporalFilter, obstacles"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_public_names() -> None:
    assert depthsvc.obstacles is obstacles
    assert (depthsvc.ObstacleTracker, depthsvc.Sector) == (ObstacleTracker, Sector)
