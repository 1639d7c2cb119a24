"""NYU Depth v2 (Silberman et al., ECCV 2012): the labelled file, or the folders that others make of it.

The file is nyu_depth_v2_labeled.mat; with splits.mat beside it only the 654 pairs for testing count. The truth is what
the sensor measured (rawDepths), as in BTS and those after it, not what was filled in (depths). The folders have
rgb_00001.jpg and sync_depth_00001.png in millimetres.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from depthsvc.evaluation.accuracy import Floats
from depthsvc.evaluation.layouts import files
from depthsvc.evaluation.layouts.base import BrokenPair, Layout, Pair
from depthsvc.evaluation.layouts.tree import files_below
from depthsvc.evaluation.protocol import Range, Truth

_FILE = "nyu_depth_v2_labeled.mat"
_DEPTH, _PHOTOS = "sync_depth_*.png", ("rgb_*.jpg", "rgb_*.png")
_FARTHEST_M = 10.0


def _recognises(folder: Path) -> bool:
    return _labelled(folder) is not None or any(path.match(_DEPTH) for path in files_below(folder))


def _labelled(folder: Path) -> Path | None:
    """The labelled file, which may be what was given."""
    file = folder if folder.suffix == ".mat" else folder / _FILE
    return file if file.is_file() else None


def _pairs(folder: Path) -> Iterator[Pair]:
    file = _labelled(folder)
    return _in_file(file) if file else _in_folders(folder)


def _in_file(file: Path) -> Iterator[Pair]:
    with files.hdf5(file) as data:
        count = len(data["images"])
        truth = "rawDepths" if "rawDepths" in data else "depths"
        if data["images"].ndim != 4 or len(data[truth]) != count:
            raise BrokenPair(f"{file.name} does not have as many depths as images.")
    splits = file.with_name("splits.mat")
    numbers = np.atleast_1d(files.matlab(splits)["testNdxs"]) if splits.exists() else np.arange(1, count + 1)
    for number in map(int, numbers):
        if not 1 <= number <= count:
            yield Pair.broken(f"{number:04}", f"splits.mat names it, but {file.name} has {count} pairs.")
            continue
        yield Pair(f"{number:04}", partial(_photo, file, number - 1), partial(_truth, file, truth, number - 1), (file,))


def _photo(file: Path, index: int) -> bytes:
    with files.hdf5(file) as data:
        rgb = np.asarray(data["images"][index], np.uint8).T
    return bytes(cv2.imencode(".png", rgb[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def _truth(file: Path, name: str, index: int) -> Truth:
    with files.hdf5(file) as data:
        return _measured(np.asarray(data[name][index], np.float32).T)


def _measured(depth: Floats) -> Truth:
    """The sensor gives its limit for what is farther."""
    return Truth(files.known(np.where(depth < _FARTHEST_M, depth, 0)))


def _in_folders(folder: Path) -> Iterator[Pair]:
    found = [path for path in files_below(folder) if any(map(path.match, (_DEPTH, *_PHOTOS)))]
    for place, number in sorted({(path.parent, path.stem.rpartition("_")[2]) for path in found}):
        photos = [place / f"rgb_{number}.{suffix}" for suffix in ("jpg", "png")]
        photo = next((path for path in photos if path.exists()), photos[0])
        name, depth = str(place.relative_to(folder) / number), place / _DEPTH.replace("*", number)
        yield Pair.of_files(name, photo, partial(_millimetres, depth), depth)


def _millimetres(path: Path) -> Truth:
    return _measured((files.grey_png(path) / np.float32(1000)).astype(np.float32))


LAYOUT = Layout(
    "nyu",
    "NYU Depth v2",
    "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html",
    _recognises,
    _pairs,
    Range(farthest_m=_FARTHEST_M),
)
