"""MPI Sintel (Butler et al., ECCV 2012): depth/SCENE/frame_0001.dpt with final/SCENE/frame_0001.png, or clean."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from depthsvc.evaluation.layouts import files
from depthsvc.evaluation.layouts.base import Layout, Pair
from depthsvc.evaluation.layouts.tree import visible
from depthsvc.evaluation.protocol import Range, Truth

_PASSES = ("final", "clean")


def _root(folder: Path) -> Path | None:
    """The folder that has depth, which may be `training` in the one that was given."""
    roots = (folder, folder / "training")
    return next((root for root in roots if next(root.glob("depth/*/*.dpt"), None)), None)


def _recognises(folder: Path) -> bool:
    return _root(folder) is not None


def _pairs(folder: Path) -> Iterator[Pair]:
    root = _root(folder) or folder
    drawn = next((name for name in _PASSES if (root / name).is_dir()), _PASSES[0])
    found = [*root.glob("depth/*/*.dpt"), *root.glob(f"{drawn}/*/*.png")]
    for name in sorted({f"{path.parent.name}/{path.stem}" for path in visible(found)}):
        depth = root / "depth" / f"{name}.dpt"
        yield Pair.of_files(name, root / drawn / f"{name}.png", partial(_truth, depth), depth)


def _truth(path: Path) -> Truth:
    return Truth(files.known(files.dpt(path)))


LAYOUT = Layout(
    "sintel", "MPI Sintel", "http://sintel.is.tue.mpg.de/depth", _recognises, _pairs, Range(farthest_m=72.0)
)
