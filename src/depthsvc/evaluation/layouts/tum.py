"""TUM RGB-D (Sturm et al., IROS 2012): sequences whose rgb.txt and depth.txt list times and files.

A photo belongs to the depth that is nearest in time, at most 20 ms away, each to one at most, as in the benchmark's
associate.py. PNG files of 16 bits: 5000 units a metre.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from depthsvc.evaluation.layouts import files
from depthsvc.evaluation.layouts.base import BrokenPair, Layout, Pair
from depthsvc.evaluation.layouts.tree import within
from depthsvc.evaluation.protocol import Range, Truth

_UNITS_PER_METRE = np.float32(5000)
_MOST_APART_S = 0.02


def _sequences(folder: Path) -> list[Path]:
    return sorted(path.parent for path in [*folder.glob("rgb.txt"), *folder.glob("*/rgb.txt")])


def _recognises(folder: Path) -> bool:
    return any((sequence / "depth.txt").exists() for sequence in _sequences(folder))


def _pairs(folder: Path) -> Iterator[Pair]:
    for sequence in _sequences(folder):
        photos, depths = _listed(sequence / "rgb.txt"), _listed(sequence / "depth.txt")
        prefix = "" if sequence == folder else f"{sequence.name}/"
        matched = dict(_associated(list(photos), list(depths)))
        for time, file in photos.items():
            if time in matched:
                name = f"{prefix}{Path(file).stem}"
                photo, depth = (within(sequence, listed) for listed in (file, depths[matched[time]]))
                if photo and depth:
                    yield Pair.of_files(name, photo, partial(_truth, depth), depth)
                else:
                    yield Pair.broken(name, f"A file of the lists is not in {sequence}.")


def _listed(path: Path) -> dict[float, str]:
    """Files by their times, from lines of both, between which there may be commas."""
    try:
        lines = [line.replace(",", " ").split() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        return {float(line[0]): line[1] for line in lines if line and not line[0].startswith("#")}
    except (OSError, ValueError, IndexError) as error:
        raise BrokenPair(f"{path} is not a list of times and files.") from error


def _associated(first: list[float], second: list[float]) -> Iterator[tuple[float, float]]:
    """Pairs of times, the nearest ones first."""
    times = np.sort(np.array(second))
    near: list[tuple[float, float, float]] = []
    for time in first:
        low, high = np.searchsorted(times, [time - _MOST_APART_S, time + _MOST_APART_S])
        near += [(abs(time - other), time, other) for other in map(float, times[low:high])]
    taken: set[tuple[int, float]] = set()
    for apart, time, other in sorted(near):
        if apart < _MOST_APART_S and not {(0, time), (1, other)} & taken:
            taken |= {(0, time), (1, other)}
            yield time, other


def _truth(path: Path) -> Truth:
    return Truth(files.known(files.grey_png(path) / _UNITS_PER_METRE))


LAYOUT = Layout(
    "tum",
    "TUM RGB-D",
    "https://cvg.cit.tum.de/data/datasets/rgbd-dataset",
    _recognises,
    _pairs,
    Range(farthest_m=10.0),
)
