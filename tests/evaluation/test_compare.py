"""Several models' depth in one picture, in one scale of colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from depthsvc.evaluation.compare import encoded, estimates, picture
from depthsvc.evaluation.pictures import Picture
from depthsvc.imaging.spec import DepthKind
from tests.conftest import opened
from tests.evaluation.making import contender, make_data

_TILE, _GAP, _LABEL = 480, 8, 30


@pytest.fixture
def photos(tmp_path: Path) -> list[bytes]:
    make_data(tmp_path / "data", 2)
    return [path.read_bytes() for path in sorted((tmp_path / "data/rgb").iterdir())]


def _maps(drawn: Picture, count: int) -> list[np.ndarray]:
    """The maps of the first photo."""
    top, bottom = _GAP + _LABEL, _GAP + _LABEL + 360
    lefts = [_GAP + (number + 1) * (_TILE + _GAP) for number in range(count)]
    return [drawn[top:bottom, left : left + _TILE].astype(int) for left in lefts]


def test_there_is_a_row_a_photo_and_a_column_a_model(photos: list[bytes]) -> None:
    models = [(name, list(estimates(photos, contender(name)))) for name in ("first", "second", "third")]
    drawn = picture(photos, models)
    assert drawn.shape == (2 * (360 + _LABEL + _GAP) + _GAP, 4 * (_TILE + _GAP) + _GAP, 3)


def test_the_same_depth_has_the_same_colours_whatever_its_scale_and_unit(photos: list[bytes]) -> None:
    exact = [contender(str(kind), wrong_by=lambda _: 0, kind=kind) for kind in DepthKind]
    first, second = _maps(picture(photos, [(one.name, list(estimates(photos, one))) for one in exact]), 2)
    assert np.abs(first - second).mean() < 2
    assert first.sum(axis=2)[100:200, 100:150].mean() > first.sum(axis=2)[:20].mean()  # the box is nearer


def test_metres_that_differ_have_different_colours(photos: list[bytes]) -> None:
    """They are compared as they are."""
    exact = contender("exact", wrong_by=lambda _: 0, kind=DepthKind.METRES)
    wrong = contender("wrong", wrong_by=lambda _: 0.4, kind=DepthKind.METRES)
    first, second = _maps(picture(photos, [(one.name, list(estimates(photos, one))) for one in (exact, wrong)]), 2)
    assert np.abs(first - second).mean() > 5


def test_a_model_that_takes_the_near_for_the_far_stays_inverted(photos: list[bytes]) -> None:
    exact = list(estimates(photos, contender("exact", wrong_by=lambda _: 0)))
    inverted = [
        replace(one, depth=replace(one.depth, values=one.depth.values.max() - one.depth.values)) for one in exact
    ]
    first, second = _maps(picture(photos, [("exact", exact), ("inverted", inverted)]), 2)
    box, wall = (slice(100, 200), slice(100, 150)), slice(0, 20)
    assert first[box].mean() > first[wall].mean()
    assert second[box].mean() < second[wall].mean()


def test_the_time_is_written_above(photos: list[bytes]) -> None:
    [(_, timed)] = [("a", list(estimates(photos, contender())))]
    assert {estimate.seconds for estimate in timed} == {0.25}
    drawn = picture(photos, [("a", timed)])
    assert (drawn[_GAP : _GAP + _LABEL, 2 * _GAP + _TILE :] < 100).any()


def test_a_long_name_gives_way_to_the_time(photos: list[bytes]) -> None:
    [estimate] = list(estimates(photos[:1], contender()))
    faster = replace(estimate, seconds=0.111)
    slow, fast = (picture(photos[:1], [("name " * 40, [one])]) for one in (estimate, faster))
    assert (slow[: _GAP + _LABEL] != fast[: _GAP + _LABEL]).any()
    assert (slow[_GAP : _GAP + _LABEL, -_GAP - 4 :] == 255).all()


@pytest.mark.parametrize(("suffix", "signature"), [(".png", b"\x89PNG"), (".JPG", b"\xff\xd8")])
def test_the_suffix_decides_the_format(photos: list[bytes], suffix: str, signature: bytes) -> None:
    drawn = picture(photos, [("a", list(estimates(photos, contender())))])
    data = encoded(drawn, suffix)
    assert data.startswith(signature)
    assert opened(data).size == drawn.shape[1::-1]
