"""The layouts that are known, an entry each."""

from __future__ import annotations

from pathlib import Path

from depthsvc.errors import ConfigurationError
from depthsvc.evaluation.layouts import beside, diode, diw, eth3d, ibims, kitti, middlebury, nyu, simple, sintel, tum
from depthsvc.evaluation.layouts.base import Layout

_KNOWN: tuple[Layout, ...] = (
    tum.LAYOUT,
    ibims.LAYOUT,
    simple.LAYOUT,
    beside.LAYOUT,
    nyu.LAYOUT,
    kitti.LAYOUT,
    eth3d.LAYOUT,
    diode.LAYOUT,
    sintel.LAYOUT,
    middlebury.LAYOUT,
    diw.LAYOUT,
)
LAYOUTS = {layout.name: layout for layout in _KNOWN}
"""By name, in the order in which a folder is compared with them: those that look at few files first."""


def layout_of(folder: Path) -> Layout:
    """The layout of a folder, or of a file. Raises ConfigurationError if it has none that is known."""
    if not folder.exists():
        raise ConfigurationError(f"{folder} does not exist.")
    folder = folder.resolve()
    for layout in LAYOUTS.values():
        if layout.recognises(folder):
            return layout
    raise ConfigurationError(
        f"{folder}: not arranged like any known data set ({', '.join(LAYOUTS)}). docs/evaluation.md shows how they "
        "are; --layout chooses one."
    )
