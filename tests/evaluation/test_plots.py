"""Plots put numbers where they belong."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest

from depthsvc.evaluation.confidence import Mean
from depthsvc.evaluation.plots import Axis, intervals, scatter


def _mean(value: float, half: float = 0.1) -> Mean:
    return Mean(value, value - half, value + half, 9)


def _circles(svg: str) -> list[tuple[float, float]]:
    root = ElementTree.fromstring(svg)
    return [(float(circle.attrib["cx"]), float(circle.attrib["cy"])) for circle in root.iter("circle")]


def test_smaller_is_further_left_and_in_its_row() -> None:
    (left, first), (right, second) = _circles(intervals([("a", _mean(1)), ("b", _mean(2))], "score"))
    assert left < right
    assert second - first == pytest.approx(30)


def test_costs_are_on_a_logarithmic_axis_and_larger_scores_higher_up() -> None:
    points = [(name, cost, _mean(score)) for name, cost, score in (("a", 10, 1), ("b", 100, 2), ("c", 1000, 3))]
    (x1, y1), (x2, y2), (x3, y3) = _circles(scatter(points, "ms", "score"))
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert y1 > y2 > y3


def test_labels_do_not_cover_each_other() -> None:
    svg = scatter([("a", 10, _mean(1)), ("b", 10, _mean(1)), ("c", 11, _mean(1))], "ms", "score")
    heights = sorted(float(y) for y in re.findall(r'y="([\d.]+)" text-anchor="(?:start|end)">[abc]<', svg))
    assert len(heights) == 3
    assert min(second - first for first, second in itertools.pairwise(heights)) >= 14.9


def test_names_are_text() -> None:
    assert "<script>" not in intervals([("<script>", _mean(1))], "<b>")


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0, 1, 0, 100), [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (Axis(0.31, 0.39, 0, 100), [0.32, 0.34, 0.36, 0.38]),
        (Axis(8, 120, 0, 100, is_logarithmic=True), [10, 20, 50, 100]),
        (Axis(180, 420, 0, 100, is_logarithmic=True), [200, 250, 300, 350, 400]),
    ],
)
def test_ticks_are_round_numbers_within_the_axis(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks() == pytest.approx(ticks)


def test_one_model_with_one_score_can_be_plotted() -> None:
    assert len(_circles(intervals([("a", Mean(0.5, 0.5, 0.5, 1))], "score"))) == 1
    assert len(_circles(scatter([("a", 5.0, Mean(0, 0, 0, 1))], "ms", "score"))) == 1
