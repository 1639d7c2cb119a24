"""The nearest things of a video's frames as JSON lines."""

from __future__ import annotations

import json
import weakref
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from depthsvc.errors import ConfigurationError
from depthsvc.video.frames import Steadied
from depthsvc.video.levels import SteadyRange
from depthsvc.video.obstacles import ObstacleTracker
from depthsvc.video.reading import Frame, VideoInfo
from depthsvc.video.writing import check_place, publish, temporary_beside


class ObstacleLines:
    """A file with a line for each frame, complete or not there at all. A context manager: it is there when its block
    ends without error."""

    def __init__(self, path: Path, start: Fraction, *, overwrite: bool) -> None:
        """`start`: the time that becomes 0. `overwrite`: whether a file may be replaced. Raises OSError."""
        self._path, self._start, self._overwrite = path, start, overwrite
        self._tracker, self._range = ObstacleTracker(), SteadyRange()
        self._temporary = temporary_beside(path)
        weakref.finalize(self, self._temporary.unlink, missing_ok=True)  # if a signal comes before the block begins
        self._file = self._temporary.open("x", buffering=1)  # a full disk is known before the video has its name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self._file.close()
            if kind is None:
                publish(self._temporary, self._path, overwrite=self._overwrite)
        finally:
            self._temporary.unlink(missing_ok=True)

    def add(self, steadied: Steadied[Frame], flow: NDArray[np.float32] | None) -> None:
        """The next frame. `flow`: the motion that it shows, if that is known. Raises OSError."""
        frame, depth, is_cut = steadied
        self._range.adopt(depth, is_cut=is_cut)
        time_s = float(frame.time - self._start)
        sectors = self._tracker(depth, self._range.low, self._range.high, time_s, is_cut=is_cut, flow=flow)
        line = {
            "frame": frame.index + 1,
            "time": round(time_s, 6),
            "kind": depth.kind,
            "unit": depth.kind.unit,
            "cut": is_cut,
            "sectors": [sector.to_dict() for sector in sectors],
        }
        self._file.write(json.dumps(line) + "\n")


def check_lines(path: Path, info: VideoInfo, target: Path | BinaryIO, *, overwrite: bool) -> None:
    """Raises ConfigurationError for a file that is not to be written. `target`: the depth of the video."""
    result = target.resolve() if isinstance(target, Path) else None
    if path.resolve() == result:
        raise ConfigurationError(f"{path} is the output. Choose another file for --obstacles.")
    if not path.absolute().parent.is_dir() and path.parent.resolve() != result:
        raise ConfigurationError(f"{path}: the folder {path.parent} does not exist.")
    check_place(path, info, overwrite=overwrite)
