"""NYU Depth v2 (Silberman et al., ECCV 2012): the labelled file, or the folders that others make of it.

The file is nyu_depth_v2_labeled.mat; with splits.mat beside it only the 654 pairs for testing count. The truth is what
the sensor measured (rawDepths), as in BTS and those after it, not what was filled in (depths). The folders have
rgb_00001.jpg and sync_depth_00001.png (BTS), or 00001_colors.png and 00001_depth.png (Hu et al., WACV 2019), in
millimetres.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from depthsvc.evaluation.accuracy import Floats
from depthsvc.evaluation.layouts import files
from depthsvc.evaluation.layouts.base import BrokenPair, Layout, Pair
from depthsvc.evaluation.layouts.tree import files_below, visible
from depthsvc.evaluation.protocol import Range, Truth

_FILE = "nyu_depth_v2_labeled.mat"
_FARTHEST_M = 10.0


@dataclass(frozen=True)
class _Names:
    """How photos and their depth are named; `*` is the number of both."""

    own: str
    """Files of no other data set."""
    depth: str
    photos: tuple[str, ...]


_NAMES = (
    _Names(own="sync_depth_*.png", depth="sync_depth_*.png", photos=("rgb_*.jpg", "rgb_*.png")),
    _Names(own="*_colors.png", depth="*_depth.png", photos=("*_colors.png",)),
)


def _recognises(folder: Path) -> bool:
    return _labelled(folder) is not None or _names(folder) is not None


def _labelled(folder: Path) -> Path | None:
    """The labelled file, which may be what was given, or have another name."""
    file = folder if folder.suffix == ".mat" else folder / _FILE
    if file.is_file():
        return file
    return next((path for path in visible(folder.glob("*.mat")) if path.is_file() and _has_pairs(path)), None)


def _has_pairs(file: Path) -> bool:
    try:
        with files.hdf5(file) as data:
            return "images" in data and not {"rawDepths", "depths"}.isdisjoint(data)
    except (BrokenPair, OSError):
        return False


def _names(folder: Path) -> _Names | None:
    return next((names for names in _NAMES if any(path.match(names.own) for path in files_below(folder))), None)


def _pairs(folder: Path) -> Iterator[Pair]:
    if file := _labelled(folder):
        yield from _in_file(file)
    elif names := _names(folder):
        yield from _in_folders(folder, names)


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


def _in_folders(folder: Path, names: _Names) -> Iterator[Pair]:
    for place, number in sorted(set(_numbers(folder, (names.depth, *names.photos)))):
        photos = [place / photo.replace("*", number) for photo in names.photos]
        photo = next((path for path in photos if path.exists()), photos[0])
        name, depth = str(place.relative_to(folder) / number), place / names.depth.replace("*", number)
        yield Pair.of_files(name, photo, partial(_millimetres, depth), depth)


def _numbers(folder: Path, patterns: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """The folder and the number of each file with such a name."""
    for path in files_below(folder):
        for pattern in patterns:
            if path.match(pattern):
                before, after = pattern.split("*")
                yield path.parent, path.name.removeprefix(before).removesuffix(after)


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
