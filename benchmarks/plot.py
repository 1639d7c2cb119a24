"""Bar charts as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.results import Panel

_WIDTH, _MARGIN, _LABELS, _FIGURES = 760, 20, 150, 70
"""Pixels: width of the picture, its margin, the names on the left and the figures on the right."""
_BAR, _TITLE = 22, 34
"""Height in pixels of a bar with the space below it, and of a title."""
_OWN, _OTHER, _INK = "#d9531e", "#8a8f98", "#1c1e21"


def svg(panels: Sequence[Panel], own: str) -> str:
    """One group of bars per panel; bars whose name begins with `own` are highlighted."""
    drawn, y = [], _MARGIN
    for panel in panels:
        drawn += _panel(panel, own, y)
        y += _TITLE + _BAR * len(panel.values) + _MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}" '
            'font-family="system-ui, sans-serif" font-size="13">',
            f'<rect width="{_WIDTH}" height="{y}" fill="#fff"/>',
            *drawn,
            "</svg>\n",
        ]
    )


def _panel(panel: Panel, own: str, top: int) -> list[str]:
    longest = max(panel.values.values(), default=0) or 1
    room = _WIDTH - 2 * _MARGIN - _LABELS - _FIGURES
    drawn = [f'<text x="{_MARGIN}" y="{top + 16}" font-weight="600" fill="{_INK}">{escape(panel.title)}</text>']
    for index, (name, value) in enumerate(panel.values.items()):
        y, length = top + _TITLE + _BAR * index, max(1.0, room * value / longest)
        colour = _OWN if name.startswith(own) else _OTHER
        left = _MARGIN + _LABELS
        drawn += [
            f'<text x="{left - 8}" y="{y + 11}" text-anchor="end" fill="{_INK}">{escape(name)}</text>',
            f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{_BAR - 8}" fill="{colour}"/>',
            f'<text x="{left + length + 6:.1f}" y="{y + 11}" fill="{_INK}">{_figure(value)}</text>',
        ]
    return drawn


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
