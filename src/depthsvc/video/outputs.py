"""What is made of a video: a video of heatmaps, one of exact values, or a folder with a file for each frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from depthsvc.depth import DepthMap
from depthsvc.formats import Format
from depthsvc.imaging.spec import DepthKind
from depthsvc.video.frames import Steadied
from depthsvc.video.heat import HeatPainter
from depthsvc.video.pictures import Planes
from depthsvc.video.reading import Frame
from depthsvc.video.writing import VideoWriter
from depthsvc.video.y4m import Y4MWriter

_HEADROOM = 4
"""How many times nearer than the nearest point of the first frame a later one may come, in a video of exact values."""
_STEPS_PER_METRE = 1000.0
_MOST = 65_535


class Output(ABC):
    """Where the frames of one video go. A context manager: complete when its block ends without error."""

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Finish it, or leave nothing that is not whole."""

    @abstractmethod
    def add(self, steadied: Steadied[Frame]) -> None:
        """The next frame. Raises VideoError or OSError if it cannot be written."""


class HeatVideo(Output):
    """Heatmaps, alone or to the right of the frames that they belong to."""

    def __init__(
        self, writer: VideoWriter | Y4MWriter, painter: HeatPainter, *, beside: tuple[int, int] | None = None
    ) -> None:
        """`beside`: width and height of the frame beside the heatmap; None: there is none."""
        self._writer, self._painter, self._beside = writer, painter, beside

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, traceback)

    def add(self, steadied: Steadied[Frame]) -> None:
        frame, depth, is_cut = steadied
        planes = self._painter.planes(depth, is_cut=is_cut)
        if self._beside:
            planes = _side_by_side(frame.planes(*self._beside, self._writer.colour), planes)
        self._writer.write_yuv(planes, frame.time, frame.duration)


def _side_by_side(left: Planes, right: Planes) -> Planes:
    luma, blue, red = (np.hstack(pair) for pair in zip(left, right, strict=True))
    return luma, blue, red


def factor_for(first: DepthMap) -> float:
    """By what the values of a video are multiplied to become integers: one factor for all of it.

    Metres become millimetres, up to 65.5 m. Inverse depth has no unit; it gets room for nearer points than those of the
    first frame.
    """
    if first.kind is DepthKind.METRES:
        return _STEPS_PER_METRE
    return _MOST / (_HEADROOM * first.max) if first.max > 0 else 1.0


class ExactVideo(Output):
    """Values as 16-bit grey: multiplied by one factor, rounded, and otherwise without loss."""

    def __init__(self, writer: VideoWriter, factor: float) -> None:
        self._writer, self._factor = writer, np.float32(factor)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, traceback)

    def add(self, steadied: Steadied[Frame]) -> None:
        frame, depth, _ = steadied
        values = depth.enlarged(*self._writer.size).values * self._factor
        self._writer.write(np.rint(values).clip(0, _MOST).astype(np.uint16), frame.time, frame.duration)


class MapStream(Output):
    """Maps through a pipe, as a format without a header: one after the other, all of one size."""

    def __init__(self, stream: BinaryIO, format: Format, size: tuple[int, int]) -> None:
        """`size`: width and height of the maps."""
        self._stream, self._format, self._size = stream, format, size

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self._stream.flush()

    def add(self, steadied: Steadied[Frame]) -> None:
        self._stream.write(steadied.depth.enlarged(*self._size).encoded(self._format.name))


class FrameFolder(Output):
    """A file for each frame, named by its number from 1 on. What is there stays there, and can be continued."""

    def __init__(self, folder: Path, format: Format, size: tuple[int, int], *, done: int = 0) -> None:
        """`size`: width and height of the maps. `done`: how many frames are there already. Raises OSError."""
        self._folder, self._format, self._size, self._done = folder, format, size, done
        folder.mkdir(exist_ok=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Each file is whole from the start."""

    @staticmethod
    def count(folder: Path, format: Format) -> int:
        """How many frames from the first on are there."""
        number = 0
        while _frame_path(folder, number, format).exists():
            number += 1
        return number

    def add(self, steadied: Steadied[Frame]) -> None:
        frame, depth, _ = steadied
        if frame.index < self._done:
            return
        path = _frame_path(self._folder, frame.index, self._format)
        unfinished = path.with_name(f".{path.name}.part")
        try:
            unfinished.write_bytes(depth.enlarged(*self._size).encoded(self._format.name))
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


def _frame_path(folder: Path, index: int, format: Format) -> Path:
    return folder / f"{index + 1:06d}.{format.extension}"
