"""Depth beside its picture: NAME.png or NAME.jpg with NAME.depth.npy in metres, or NAME.inverse_depth.npy.

Rendered scenes are stored so (training/scenes.py), where an inverse depth of 0 is infinitely far.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from depthsvc.evaluation.accuracy import Floats
from depthsvc.evaluation.layouts import files
from depthsvc.evaluation.layouts.base import Layout, Pair
from depthsvc.evaluation.layouts.tree import visible
from depthsvc.evaluation.protocol import Truth

_INVERSE, _DEPTH = ".inverse_depth.npy", ".depth.npy"
_PICTURES = (".png", ".jpg")


def labels_in(folder: Path) -> list[Path]:
    """The files of depth in a folder, by name."""
    return visible([*folder.glob(f"*{_INVERSE}"), *folder.glob(f"*{_DEPTH}")])


def picture_of(label: Path) -> Path:
    """The picture beside a file of depth, which may be missing."""
    name = label.name.split(".")[0]
    pictures = [label.with_name(f"{name}{suffix}") for suffix in _PICTURES]
    return next((path for path in pictures if path.exists()), pictures[0])


def inverse_depth(label: Path) -> Floats:
    """1 / metres, (h, w); 0 is infinitely far, NaN unknown. Raises BrokenPair."""
    values = np.asarray(files.npy(label), np.float32)
    if label.name.endswith(_INVERSE):
        return values
    return np.asarray(np.reciprocal(files.known(values)), np.float32)


def _recognises(folder: Path) -> bool:
    labels = labels_in(folder)
    return bool(labels) and picture_of(labels[0]).exists()


def _pairs(folder: Path) -> Iterator[Pair]:
    for label in labels_in(folder):
        yield Pair.of_files(label.name.split(".")[0], picture_of(label), partial(_truth, label), label)


def _truth(label: Path) -> Truth:
    """What is infinitely far is left out, as everything beyond the range is."""
    with np.errstate(divide="ignore"):
        return Truth(files.known(1 / inverse_depth(label)))


LAYOUT = Layout("beside", "depth beside its picture", "training/scenes.py", _recognises, _pairs)
