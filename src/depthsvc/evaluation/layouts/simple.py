"""The layout for data of one's own: rgb/NAME.jpg with depth/NAME.png, and perhaps mask/NAME.png.

Depth is a 16-bit PNG, whose number of units in a metre is in scale.txt, 1000 if there is none; or metres, as a .npy,
.pfm or .exr file. Neither 0 nor anything that is not a finite number is a depth. Black parts of a mask are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from depthsvc.evaluation.accuracy import Floats
from depthsvc.evaluation.layouts import files
from depthsvc.evaluation.layouts.base import BrokenPair, Layout, Pair
from depthsvc.evaluation.layouts.tree import files_below
from depthsvc.evaluation.protocol import Truth
from depthsvc.imaging.photo.formats import SUFFIXES

_UNITS_PER_METRE = 1000.0
_READERS: dict[str, Callable[[Path], Floats]] = {
    ".npy": lambda path: np.asarray(files.npy(path), np.float32),
    ".pfm": files.pfm,
    ".exr": files.exr,
}
_SUFFIXES = (".png", *_READERS)


def _recognises(folder: Path) -> bool:
    return (folder / "rgb").is_dir() and (folder / "depth").is_dir()


def _pairs(folder: Path) -> Iterator[Pair]:
    scale = folder / "scale.txt"
    units = _units_per_metre(scale)
    photos, depths, masks = (
        _files(folder / part, suffixes) for part, suffixes in (("rgb", SUFFIXES), ("depth", _SUFFIXES), ("mask", None))
    )
    for name in sorted({*photos, *depths}):
        counts = {"rgb": len(photos[name]), "depth": len(depths[name]), "mask": len(masks[name]) or 1}
        if wrong := [f"There are {count} files {part}/{name}." for part, count in counts.items() if count != 1]:
            yield Pair.broken(name, " ".join(wrong))
        else:
            [photo], [depth], mask = photos[name], depths[name], next(iter(masks[name]), None)
            others = [path for path in (depth, mask, scale) if path]
            yield Pair.of_files(name, photo, partial(_truth, depth, mask, units), *others)


def _files(folder: Path, suffixes: Container[str] | None) -> dict[str, list[Path]]:
    """Files by their names without suffixes, also in folders; `suffixes`: which ones, None: all."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in files_below(folder):
        if suffixes is None or path.suffix.lower() in suffixes:
            found[str(path.relative_to(folder).with_suffix(""))].append(path)
    return found


def _units_per_metre(path: Path) -> float:
    try:
        units = float(path.read_text()) if path.exists() else _UNITS_PER_METRE
    except ValueError:
        units = 0.0
    if not 0 < units < np.inf:
        raise BrokenPair(f"{path} must hold one number, how many units of the depth's PNG files are a metre.")
    return units


def _truth(path: Path, mask: Path | None, units: float) -> Truth:
    reader = _READERS.get(path.suffix.lower())
    depth = files.known(reader(path) if reader else files.grey_png(path) / units)
    if mask:
        if mask.suffix.lower() != ".png":
            raise BrokenPair(f"The mask {mask.name} is not a PNG.")
        kept = files.mask(mask)
        if kept.shape != depth.shape:
            raise BrokenPair(f"The mask of {path.name} has another size.")
        depth[~kept] = np.nan
    return Truth(depth)


LAYOUT = Layout("simple", "folders rgb and depth", "docs/evaluation.md", _recognises, _pairs)
