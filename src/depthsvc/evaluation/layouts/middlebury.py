"""Middlebury stereo of 2014 and later (Scharstein et al., GCPR 2014): a folder a scene, with disparity.

Depth is baseline * f / (disparity + doffs) of calib.txt, in millimetres there; an infinite disparity is unknown. With
mask0nocc.png only what both cameras see counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from depthsvc.evaluation.layouts import files
from depthsvc.evaluation.layouts.base import BrokenPair, Layout, Pair, read_file
from depthsvc.evaluation.layouts.tree import files_below
from depthsvc.evaluation.protocol import Truth

_DISPARITIES = ("disp0.pfm", "disp0GT.pfm")
_CALIBRATION, _MASK = "calib.txt", "mask0nocc.png"
_SEEN_BY_BOTH = 255


def _scenes(folder: Path) -> list[Path]:
    """Folders with a calibration or a disparity."""
    return sorted({path.parent for path in files_below(folder) if path.name in (_CALIBRATION, *_DISPARITIES)})


def _recognises(folder: Path) -> bool:
    return any(_disparity(scene).exists() for scene in _scenes(folder))


def _disparity(scene: Path) -> Path:
    """The file of disparities, which may be missing."""
    paths = [scene / name for name in _DISPARITIES]
    return next((path for path in paths if path.exists()), paths[0])


def _pairs(folder: Path) -> Iterator[Pair]:
    for scene in _scenes(folder):
        name = scene.name if scene == folder else str(scene.relative_to(folder))
        others = (_disparity(scene), scene / _CALIBRATION, scene / _MASK)
        yield Pair.of_files(name, scene / "im0.png", partial(_truth, scene), *others)


def _truth(scene: Path) -> Truth:
    disparity = files.pfm(_disparity(scene))
    focal_length, offset, baseline_mm = _calibration(scene / _CALIBRATION)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = files.known(baseline_mm * focal_length / (disparity + offset) / 1000)
    depth[~np.isfinite(disparity)] = np.nan
    if (mask := scene / _MASK).exists():
        seen = files.grey_picture(mask)
        if seen.shape != depth.shape:
            raise BrokenPair(f"{mask.name} and {scene.name}'s disparity differ in size.")
        depth[seen != _SEEN_BY_BOTH] = np.nan
    return Truth(depth)


def _calibration(path: Path) -> tuple[float, float, float]:
    """Focal length in pixels, offset of the disparities in pixels, and baseline in millimetres."""
    text = read_file(path).decode(errors="replace")
    patterns = (r"^cam0\s*=\s*\[\s*([-\d.eE+]+)", r"^doffs\s*=\s*([-\d.eE+]+)", r"^baseline\s*=\s*([-\d.eE+]+)")
    found = [re.search(pattern, text, re.MULTILINE) for pattern in patterns]
    try:
        focal_length, offset, baseline = (float(match[1]) for match in found if match)
    except ValueError as error:
        raise BrokenPair(f"{path} does not say cam0, doffs and baseline.") from error
    return focal_length, offset, baseline


LAYOUT = Layout("middlebury", "Middlebury stereo", "https://vision.middlebury.edu/stereo/data/", _recognises, _pairs)
