"""iBims-1 (Koch et al., ECCV Workshops 2018): .mat files, or the folders rgb, depth and masks, with edges of its own.

A .mat file has the structure `data` with rgb, depth, edges, mask_invalid and mask_transp. The folders' depth is a
16-bit PNG whose full scale is 50 m. Both masks are 0 where depth does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from depthsvc.evaluation.boundaries import Mask
from depthsvc.evaluation.layouts import files
from depthsvc.evaluation.layouts.base import BrokenPair, Layout, Pair
from depthsvc.evaluation.layouts.tree import visible
from depthsvc.evaluation.protocol import Range, Truth

_MASKS = ("mask_invalid", "mask_transp")
_FARTHEST_M = 50.0
_UNITS_PER_METRE = np.float32(65535 / _FARTHEST_M)


def _mats(folder: Path) -> list[Path]:
    places = (folder, folder / "gt_depth", folder / "ibims1_core_mat")
    return visible(path for place in places for path in place.glob("*.mat"))


def _raw(folder: Path) -> Path | None:
    places = (folder, folder / "ibims1_core_raw")
    return next((place for place in places if all((place / name).is_dir() for name in ("rgb", "depth", *_MASKS))), None)


def _recognises(folder: Path) -> bool:
    if _raw(folder):
        return True
    mats = _mats(folder)
    return bool(mats) and mats[0].name != "nyu_depth_v2_labeled.mat" and _is_structure(mats[0])


def _is_structure(path: Path) -> bool:
    try:
        return hasattr(files.matlab(path).get("data"), "depth")
    except BrokenPair:
        return False


def _pairs(folder: Path) -> Iterator[Pair]:
    raw = _raw(folder)
    if not raw:
        for path in _mats(folder):
            yield Pair(path.stem, partial(_photo_in, path), partial(_truth_in, path), (path,))
        return
    for photo in visible((raw / "rgb").glob("*.png")):
        others = [raw / part / photo.name for part in ("depth", *_MASKS, "edges")]
        yield Pair.of_files(photo.stem, photo, partial(_truth, raw, photo.name), *others)


def _data(path: Path) -> Any:
    data = files.matlab(path).get("data")
    if not all(hasattr(data, name) for name in ("rgb", "depth", "edges", *_MASKS)):
        raise BrokenPair(f"{path.name} has no structure `data` with rgb, depth, edges and masks.")
    return data


def _photo_in(path: Path) -> bytes:
    rgb = np.asarray(_data(path).rgb, np.uint8)
    return bytes(cv2.imencode(".png", rgb[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def _truth_in(path: Path) -> Truth:
    data = _data(path)
    return _masked(data.depth, [getattr(data, name) for name in _MASKS], np.asarray(data.edges) > 0)


def _truth(folder: Path, name: str) -> Truth:
    depth = files.grey_png(folder / "depth" / name) / _UNITS_PER_METRE
    edges = folder / "edges" / name
    return _masked(
        depth, [files.mask(folder / mask / name) for mask in _MASKS], files.mask(edges) if edges.exists() else None
    )


def _masked(depth: Any, masks: list[Any], edges: Mask | None) -> Truth:
    depth = files.known(depth)
    for mask in masks:
        if np.shape(mask) != depth.shape:
            raise BrokenPair("A mask has another size than the depth.")
        depth[np.asarray(mask) == 0] = np.nan
    return Truth(depth, edges)


LAYOUT = Layout(
    "ibims",
    "iBims-1",
    "https://www.asg.ed.tum.de/lmf/ibims1/",
    _recognises,
    _pairs,
    Range(farthest_m=_FARTHEST_M),
)
