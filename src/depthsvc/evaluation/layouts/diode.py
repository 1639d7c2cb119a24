"""DIODE (Vasiljevic et al., 2019): NAME.png with NAME_depth.npy in metres and NAME_depth_mask.npy, in any folders."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from depthsvc.evaluation.layouts import files
from depthsvc.evaluation.layouts.base import BrokenPair, Layout, Pair
from depthsvc.evaluation.layouts.tree import files_below
from depthsvc.evaluation.protocol import Range, Truth

_PHOTO, _DEPTH, _MASK = ".png", "_depth.npy", "_depth_mask.npy"


def _recognises(folder: Path) -> bool:
    return any(path.name.endswith(_MASK) for path in files_below(folder))


def _pairs(folder: Path) -> Iterator[Pair]:
    found = {
        str(path).removesuffix(suffix)
        for path in files_below(folder)
        for suffix in (_PHOTO, _DEPTH, _MASK)
        if path.name.endswith(suffix)
    }
    for stem in sorted(found):
        photo, depth, mask = (Path(stem + suffix) for suffix in (_PHOTO, _DEPTH, _MASK))
        yield Pair.of_files(str(Path(stem).relative_to(folder)), photo, partial(_truth, depth, mask), depth, mask)


def _truth(path: Path, mask: Path) -> Truth:
    depth, kept = files.known(files.npy(path)), files.npy(mask) > 0
    if kept.shape != depth.shape:
        raise BrokenPair(f"{mask.name} has another size than {path.name}.")
    return Truth(np.where(kept, depth, np.float32("nan")))


LAYOUT = Layout(
    "diode", "DIODE", "https://diode-dataset.org", _recognises, _pairs, Range(nearest_m=0.6, farthest_m=350.0)
)
