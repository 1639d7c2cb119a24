"""Depth of frames in their order: several networks side by side, then what steadies the maps of one stream."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.depth import DepthMap
from depthsvc.imaging.photo.pixels import NONE, Photo
from depthsvc.pipeline.stages import Pipeline, View
from depthsvc.video.steadier import Steadier, Steady
from depthsvc.video.temporal import Novelty

Floats = NDArray[np.float32]
Every = int | Literal["auto"]
"""N if the network sees every N-th frame; auto: those in which there is enough that is new."""

_AHEAD = 2
"""Frames that are read for each network, so that none waits."""
_MANY = 100
"""After this many predictions a network is prepared for the stream's shape alone: by then that pays."""


class Picture(Protocol):
    """One frame of a video."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        """Its upright pixels, RGB (height, width, 3), scaled to this size."""
        ...


@dataclass(frozen=True)
class ArrayFrame:
    """A frame that is an array."""

    pixels: NDArray[np.uint8]
    """RGB (height, width, 3) from 0 to 255."""
    time: float

    @property
    def width(self) -> int:
        return len(self.pixels[0])

    @property
    def height(self) -> int:
        return len(self.pixels)

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        """Its pixels, scaled by averages over areas."""
        if (width, height) == (self.width, self.height):
            return self.pixels
        return np.asarray(cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


F = TypeVar("F", bound=Picture)


class Steadied(NamedTuple, Generic[F]):
    """A frame and its depth."""

    frame: F
    depth: DepthMap
    """On the network's own grid."""
    is_cut: bool
    """Whether it begins a shot, or the video."""


class _Seen(NamedTuple):
    """A frame as the network gets it, and what that predicts unless it was left out."""

    view: View
    values: Floats | None


class FrameEstimator:
    """Depth of a stream of frames. Each pipeline has a thread; frames leave in the order in which they came."""

    def __init__(self, pipelines: Sequence[Pipeline], *, smooth: float | None = 1.0, every: Every = 1) -> None:
        """`pipelines`: of one model, for as many frames at once. `smooth`: the strength of TemporalFilter; None: maps
        stay as the network predicts them. `every`: which frames the network sees; motion tells of the others.

        Raises ValueError for a strength beyond 0..1.
        """
        if every != 1 and smooth is None:
            raise ValueError("every: frames that the network does not see need smooth.")
        self._pipeline = pipelines[0]
        self._threads = len(pipelines)
        self._free: SimpleQueue[Pipeline] = SimpleQueue()
        for pipeline in pipelines:
            self._free.put(pipeline)
        self._predictions: Counter[Pipeline] = Counter()
        self._every = every
        self._novelty = Novelty()
        self._steadier = Steadier(smooth)

    def __call__(self, frames: Iterable[F]) -> Generator[Steadied[F]]:
        """The depth of each frame, a few frames after it was read. Raises what `frames` raises."""
        waiting: deque[tuple[F, Future[_Seen]]] = deque()
        with ThreadPoolExecutor(self._threads, "depthsvc-frames") as threads:
            try:
                for started in self._started(frames, threads):
                    waiting.append(started)
                    if len(waiting) > _AHEAD * self._threads:
                        yield self._next(waiting)
                while waiting:
                    yield self._next(waiting)
            finally:
                threads.shutdown(wait=True, cancel_futures=True)

    @property
    def flow(self) -> Floats | None:
        """The motion that the frame given last shows, as TemporalFilter has it; None at a cut, and without `smooth`."""
        return self._steadier.flow

    def _see(self, frame: F, *, predict: bool) -> _Seen:
        """In a thread: the work of a frame that does not depend on others."""
        with self._borrowed() as pipeline:
            divisor = pipeline.limits.bounds(None, NONE).reduction(frame.width, frame.height)
            pixels = frame.rgb(-(-frame.width // divisor), -(-frame.height // divisor))
            view = pipeline.see(Photo(pixels, frame.width, frame.height))
            self._predictions[pipeline] += predict
            if predict and self._predictions[pipeline] == _MANY:
                pipeline.model.specialise(view.planes.shape)
            return _Seen(view, pipeline.predict(view) if predict else None)

    @contextmanager
    def _borrowed(self) -> Iterator[Pipeline]:
        """A pipeline that nobody else uses meanwhile."""
        pipeline = self._free.get()
        try:
            yield pipeline
        finally:
            self._free.put(pipeline)

    def _started(self, frames: Iterable[F], threads: ThreadPoolExecutor) -> Iterator[tuple[F, Future[_Seen]]]:
        """The frames, each with its work, which has been given to the threads."""
        if isinstance(self._every, int):
            for number, frame in enumerate(frames):
                yield frame, threads.submit(self._see, frame, predict=number % self._every == 0)
            return
        looked_at: deque[tuple[F, Future[_Seen]]] = deque()
        for frame in frames:
            looked_at.append((frame, threads.submit(self._see, frame, predict=False)))
            if len(looked_at) > self._threads:
                yield self._decided(*looked_at.popleft(), threads)
        while looked_at:
            yield self._decided(*looked_at.popleft(), threads)

    def _decided(self, frame: F, looked_at: Future[_Seen], threads: ThreadPoolExecutor) -> tuple[F, Future[_Seen]]:
        """The next frame, after it has been decided whether the network sees it."""
        seen = looked_at.result()
        if not self._novelty.is_due(seen.view.colours):
            return frame, looked_at
        return frame, threads.submit(lambda: _Seen(seen.view, self._predicted(seen)))

    def _next(self, waiting: deque[tuple[F, Future[_Seen]]]) -> Steadied[F]:
        frame, future = waiting.popleft()
        seen = future.result()
        steady = self._steadied(seen)
        return Steadied(frame, self._pipeline.finish(seen.view, steady.values), steady.is_cut)

    def _steadied(self, seen: _Seen) -> Steady:
        """The values of the next frame."""
        colours, model = seen.view.colours, self._pipeline.model.spec.name
        steady = self._steadier(colours, seen.values, model)
        if steady is None:  # it begins a shot
            steady = self._steadier(colours, self._predicted(seen), model)
        assert steady is not None
        return steady

    def _predicted(self, seen: _Seen) -> Floats:
        if seen.values is not None:
            return seen.values
        with self._borrowed() as pipeline:
            return pipeline.predict(seen.view)
