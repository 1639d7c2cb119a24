"""Plots as SVG, in the colours of report.css."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from depthsvc.evaluation.confidence import Mean

_WIDTH = 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 16, 44
_ROW = 30
_NAME_WIDTH = 190
_TICKS = 5
_LABEL_GAP = 9
_LABEL_HEIGHT = 15
_LONGEST_NAME = 26


@dataclass(frozen=True)
class Axis:
    """From numbers to pixels."""

    low: float
    high: float
    start: float
    end: float
    is_logarithmic: bool = False

    def at(self, value: float) -> float:
        low, high, value = (math.log(v) if self.is_logarithmic else v for v in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """A few round numbers within it."""
        if self.is_logarithmic and self.high > 8 * self.low:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            numbers = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
            return [number for number in numbers if self.low <= number <= self.high]
        step = _round_step((self.high - self.low) / _TICKS)
        return [step * number for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def _axis(values: Sequence[float], start: float, end: float, *, is_logarithmic: bool = False) -> Axis:
    """An axis on which all values have some room."""
    low, high = min(values), max(values)
    if is_logarithmic:
        return Axis(low / 1.5, high * 1.5, start, end, is_logarithmic)
    room = 0.12 * (high - low) or 0.1 * abs(high) or 1.0
    return Axis(low - room, high + room, start, end)


def intervals(means: Sequence[tuple[str, Mean]], title: str) -> str:
    """A row for each name: its mean with its confidence interval."""
    height = _ROW * len(means) + _BOTTOM
    limits = [limit for _, mean in means for limit in (mean.low, mean.high)]
    axis = _axis(limits, _NAME_WIDTH, _WIDTH - _RIGHT)
    parts = [_vertical(axis, 0, height - _BOTTOM)]
    for number, (name, mean) in enumerate(means):
        y = _ROW * (number + 0.5)
        parts.append(f'<text x="0" y="{y + 4:.1f}">{_short(name)}</text>')
        parts.append(_line(axis.at(mean.low), y, axis.at(mean.high), y, "interval"))
        parts.append(_point(axis.at(mean.value), y, f"{name}: {mean.value:.4g} ({mean.low:.4g} to {mean.high:.4g})"))
    middle = (axis.start + axis.end) / 2
    parts.append(f'<text class="axis" x="{middle:.0f}" y="{height - 6}" text-anchor="middle">{escape(title)}</text>')
    return _svg(height, parts, title)


def scatter(points: Sequence[tuple[str, float, Mean]], across: str, up: str) -> str:
    """A point for each name: a cost, on a logarithmic axis, and a mean with its confidence interval."""
    height = 320
    x_axis = _axis([cost for _, cost, _ in points], _LEFT, _WIDTH - _RIGHT, is_logarithmic=True)
    y_axis = _axis([limit for _, _, mean in points for limit in (mean.low, mean.high)], height - _BOTTOM, _TOP)
    parts = [_vertical(x_axis, _TOP, height - _BOTTOM), _horizontal(y_axis)]
    heights = _apart([y_axis.at(mean.value) for _, _, mean in points])
    for (name, cost, mean), label in zip(points, heights, strict=True):
        x, y = x_axis.at(cost), y_axis.at(mean.value)
        is_right = x > (x_axis.start + x_axis.end) / 2
        anchor, gap = ("end", -_LABEL_GAP) if is_right else ("start", _LABEL_GAP)
        parts.append(_line(x, y_axis.at(mean.low), x, y_axis.at(mean.high), "interval"))
        parts.append(_point(x, y, f"{name}: {cost:.4g} {across}, {up} {mean.value:.4g}"))
        parts.append(f'<text x="{x + gap:.1f}" y="{label - 6:.1f}" text-anchor="{anchor}">{_short(name)}</text>')
    middle = (x_axis.start + x_axis.end) / 2
    parts.append(f'<text class="axis" x="{middle:.0f}" y="{height - 6}" text-anchor="middle">{escape(across)}</text>')
    parts.append(f'<text class="axis" x="0" y="{_TOP - 4}">{escape(up)}</text>')
    return _svg(height, parts, f"{up} against {across}")


def _apart(heights: Sequence[float]) -> list[float]:
    """The heights of labels, moved down as far as they would cover each other."""
    moved = dict.fromkeys(range(len(heights)), 0.0)
    lowest = -math.inf
    for number in sorted(moved, key=heights.__getitem__):
        moved[number] = lowest = max(heights[number], lowest + _LABEL_HEIGHT)
    return list(moved.values())


def _vertical(axis: Axis, top: float, bottom: float) -> str:
    """Lines at the ticks of an axis that runs across, with their numbers below."""
    parts = []
    for tick in axis.ticks():
        x = axis.at(tick)
        parts.append(_line(x, top, x, bottom))
        parts.append(f'<text class="axis" x="{x:.1f}" y="{bottom + 17:.0f}" text-anchor="middle">{tick:g}</text>')
    return "".join(parts)


def _horizontal(axis: Axis) -> str:
    """Lines at the ticks of an axis that runs up, with their numbers to the left."""
    parts = []
    for tick in axis.ticks():
        y = axis.at(tick)
        parts.append(_line(_LEFT, y, _WIDTH - _RIGHT, y))
        parts.append(f'<text class="axis" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    return "".join(parts)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _point(x: float, y: float, text: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{escape(text)}</title></circle>'


def _short(name: str) -> str:
    return escape(name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}")


def _svg(height: int, parts: Sequence[str], title: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
