"""ETH3D (Schoeps et al., CVPR 2017): scenes with photos and ground_truth_depth, of the same names.

The depth of SCENE/images/dslr_images/DSC_0001.JPG is SCENE/ground_truth_depth/dslr_images/DSC_0001.JPG: bare float32 of
the photo's size, infinite where it is unknown. Undistorted photos, in a folder beside dslr_images, have no depth.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PIL import Image

from depthsvc.evaluation.layouts import files
from depthsvc.evaluation.layouts.base import BrokenPair, Layout, Pair, read_file
from depthsvc.evaluation.layouts.tree import files_below
from depthsvc.evaluation.protocol import Range, Truth

_FOLDER = "ground_truth_depth"


def _scenes(folder: Path) -> list[Path]:
    return sorted(path.parent for path in [*folder.glob(_FOLDER), *folder.glob(f"*/{_FOLDER}")])


def _recognises(folder: Path) -> bool:
    return bool(_scenes(folder))


def _pairs(folder: Path) -> Iterator[Pair]:
    for scene in _scenes(folder):
        photos, depths = scene / "images", scene / _FOLDER
        measured = {path.relative_to(depths) for path in files_below(depths)}
        folders = {place.parent for place in measured}
        seen = {place for path in files_below(photos) if (place := path.relative_to(photos)).parent in folders}
        for place in sorted(measured | seen):
            photo, depth = photos / place, depths / place
            yield Pair.of_files(f"{scene.name}/{place}", photo, partial(_truth, photo, depth), depth)


def _truth(photo: Path, path: Path) -> Truth:
    try:
        with Image.open(io.BytesIO(read_file(photo))) as opened:
            width, height = opened.size
    except (OSError, ValueError) as error:
        raise BrokenPair(f"{photo.name} is not a photo, or it is damaged.") from error
    return Truth(files.known(files.bare_floats(path, height, width)))


LAYOUT = Layout("eth3d", "ETH3D", "https://www.eth3d.net/datasets", _recognises, _pairs, Range(farthest_m=72.0))
