"""KITTI's depth benchmark (Uhrig et al., 3DV 2017): its selected crops, or whole drives.

depth_selection/val_selection_cropped has image and groundtruth_depth; drives have DRIVE/proj_depth/groundtruth/image_02
with photos in DATE/DRIVE/image_02/data, in the same folder or one beside it. PNG files of 16 bits: 256 units a metre.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from depthsvc.evaluation.layouts import files
from depthsvc.evaluation.layouts.base import Layout, Pair
from depthsvc.evaluation.layouts.tree import folders_in, visible, walk
from depthsvc.evaluation.protocol import Range, Truth

_UNITS_PER_METRE = np.float32(256)
_SELECTION = ("", "val_selection_cropped", "depth_selection/val_selection_cropped")
_TRUE, _SEEN = "_sync_groundtruth_depth_", "_sync_image_"
_ANNOTATED = "proj_depth/groundtruth/image_0[23]"


def _recognises(folder: Path) -> bool:
    return _selection(folder) is not None or next(_cameras(folder), None) is not None


def _cameras(folder: Path) -> Iterator[Path]:
    """The folders with true depth of a camera."""
    return (place for place, _ in walk(folder) if place.match(_ANNOTATED))


def _selection(folder: Path) -> Path | None:
    places = (folder / place for place in _SELECTION)
    return next((place for place in places if (place / "groundtruth_depth").is_dir()), None)


def _pairs(folder: Path) -> Iterator[Pair]:
    selection = _selection(folder)
    return _selected(selection) if selection else _in_drives(folder)


def _selected(folder: Path) -> Iterator[Pair]:
    depths = {path.name.replace(_TRUE, _SEEN) for path in visible((folder / "groundtruth_depth").glob("*.png"))}
    photos = {path.name for path in visible((folder / "image").glob("*.png"))}
    for name in sorted(depths | photos):
        depth = folder / "groundtruth_depth" / name.replace(_SEEN, _TRUE)
        yield Pair.of_files(name.removesuffix(".png"), folder / "image" / name, partial(_truth, depth), depth)


def _in_drives(folder: Path) -> Iterator[Pair]:
    for camera in sorted(_cameras(folder)):
        drive = camera.parents[2]
        raw = f"{drive.name[: len('2011_09_26')]}/{drive.name}/{camera.name}/data"
        places = [drive / camera.name / "data", *(place / raw for place in _roots(folder, drive))]
        photos = next((place for place in places if os.path.isdir(place)), places[0])  # noqa: PTH112  # raises nothing
        for depth in visible(camera.glob("*.png")):
            photo = photos / depth.name
            if not photo.exists() and photo.with_suffix(".jpg").exists():
                photo = photo.with_suffix(".jpg")
            name = f"{drive.name}/{camera.name}/{depth.stem}"
            yield Pair.of_files(name, photo, partial(_truth, depth), depth)


def _roots(folder: Path, drive: Path) -> Iterator[Path]:
    """Folders in which the dates of the raw data may be, and one level below them."""
    for root in (*drive.parents[:3], folder):
        yield root
        yield from folders_in(root)


def _truth(path: Path) -> Truth:
    return Truth(files.known(files.grey_png(path) / _UNITS_PER_METRE))


LAYOUT = Layout(
    "kitti",
    "KITTI depth",
    "https://www.cvlibs.net/datasets/kitti/eval_depth.php",
    _recognises,
    _pairs,
    Range(farthest_m=80.0),
)
