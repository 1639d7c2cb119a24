"""Names of results, by which a batch finds them again and never takes one for a photo."""

from __future__ import annotations

import os
from pathlib import Path

from depthsvc.formats import FORMATS
from depthsvc.imaging.photo.formats import SUFFIXES

LOCK = ".depthsvc-batch.lock"
"""Keeps other batches out of an output folder."""
EARLIER_LOCK = ".depthsvc.lock"
"""The same in earlier versions, which never removed it: in and below its folder are results with their names."""
REPORT = "report.jsonl"

_MARK = ".depth."
VIDEO_EXTENSION = "mp4"
"""Of heatmaps of a video."""
_EXTENSIONS = (*(format.extension for format in FORMATS), VIDEO_EXTENSION, "mkv", "avi")
_ENDINGS = tuple(f"{_MARK}{extension}" for extension in _EXTENSIONS)
_EARLIER_ENDINGS = tuple(f"{suffix}.{format.extension}" for suffix in SUFFIXES for format in FORMATS)


def result_name(photo: Path, extension: str) -> Path:
    """The result of a.jpg is a.jpg.depth.png: a.jpg and a.png do not collide, and a.jpg's result depends on nothing
    but its name, so a batch can resume whatever else is in its folder."""
    return photo.parent / f"{photo.name}{_MARK}{extension}"


def earlier_result_name(photo: Path, extension: str) -> Path:
    """The same in earlier versions, such as a.jpg.png."""
    return photo.parent / f"{photo.name}.{extension}"


def is_result_name(name: str) -> bool:
    """Whether a file is named like a result."""
    return name.lower().endswith(_ENDINGS)


def is_result(path: Path) -> bool:
    """Whether a file is named like a result, or like one of an earlier version where that has written."""
    if is_result_name(path.name):
        return True
    return path.name.lower().endswith(_EARLIER_ENDINGS) and any(
        (folder / EARLIER_LOCK).is_file() for folder in path.absolute().parents
    )


def is_beside_its_photo(result: Path) -> bool:
    """Whether a result lies in its photo's folder."""
    photo, mark, _ = result.name.rpartition(_MARK)
    return bool(mark) and os.path.lexists(result.with_name(photo))
