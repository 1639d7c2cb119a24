"""Depth in the Wild (Chen et al., NIPS 2016): DIW_test.csv says which of two points of each photo is farther.

Two lines a photo: its path, then y and x of A, y and x of B (from 1), `>` if A is farther or `<`, width and height.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from depthsvc.evaluation.layouts.base import BrokenPair, Layout, Pair
from depthsvc.evaluation.layouts.tree import within
from depthsvc.evaluation.protocol import Ordinal

_LISTS = ("DIW_test.csv", "DIW_Annotations/DIW_test.csv")


def _list(folder: Path) -> Path | None:
    return next((path for name in _LISTS if (path := folder / name).is_file()), None)


def _recognises(folder: Path) -> bool:
    return _list(folder) is not None


def _pairs(folder: Path) -> Iterator[Pair]:
    path = _list(folder)
    if not path:
        return
    lines = path.read_text(errors="replace").split("\n")
    lines = [line.strip() for line in lines if line.strip()]
    for file, points in zip(lines[::2], lines[1::2], strict=False):
        name, photo = file.removeprefix("./"), within(folder, file)
        if photo:
            yield Pair.of_files(name, photo, partial(_truth, points), path)
        else:
            yield Pair.broken(name, f"{file} is not in {folder}.")
    if len(lines) % 2:
        yield Pair.broken(lines[-1], "The list ends before its points.")


def _truth(line: str) -> Ordinal:
    try:
        *numbers, relation, width, height = line.split(",")
        size = np.array([float(height), float(width)])
        points = (np.array([float(number) for number in numbers]).reshape(2, 2) - 0.5) / np.where(
            size > 0, size, np.nan
        )
    except ValueError as error:
        raise BrokenPair(f"These are not two points: {line[:80]}") from error
    if not np.isfinite(points).all():
        raise BrokenPair(f"These are not two points of a photo: {line[:80]}")
    if relation not in ("<", ">"):
        raise BrokenPair(f"The relation is neither < nor >: {line[:80]}")
    a_is_farther = relation == ">"
    a, b = points[:1], points[1:]
    return Ordinal(nearer=b if a_is_farther else a, farther=a if a_is_farther else b)


LAYOUT = Layout("diw", "Depth in the Wild", "https://github.com/princeton-vl/relative_depth", _recognises, _pairs)
