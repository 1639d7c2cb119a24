"""The videos of a batch: one after the other, each with all networks, in a process that may die of one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType

from depthsvc.batch.estimators import Facts
from depthsvc.batch.ledger import UNREADABLE, UNWRITABLE, Ledger, Task, why_unwritable
from depthsvc.batch.outputs import Outputs
from depthsvc.batch.progress import display, harmless, printable
from depthsvc.batch.session import Interrupted, Outcome, Plan, heed_signals, ignore_signals
from depthsvc.batch.sources import Location
from depthsvc.errors import DepthServiceError, ModelError, RequestError, VideoError, WorkerCrashed
from depthsvc.formats import Result
from depthsvc.options import Options
from depthsvc.pool.channel import Channel
from depthsvc.pool.config import PoolConfig
from depthsvc.pool.launch import pool_config
from depthsvc.pool.processes import kill_children, start_child
from depthsvc.pool.worker import open_pipeline
from depthsvc.settings import advice
from depthsvc.video.conversion import VideoOptions, convert
from depthsvc.video.reading import VideoReader


def convert_videos(plan: Plan, ledger: Ledger, outputs: Outputs, tasks: Sequence[Task]) -> Outcome:
    """Make a video of heatmaps of each. Raises DepthServiceError if the networks cannot be loaded, and OSError."""
    began = time.monotonic()
    interrupted = None
    heed_signals()  # which the end of the photos ignored
    try:
        with VideoWorker(pool_config(plan.settings), plan.settings.max_pixels, video_options(plan.options)) as worker:
            for task in tasks:
                _do(task, worker, ledger, outputs)
            ignore_signals()
    except Interrupted as end:
        interrupted = end.status
    finally:
        kill_children()
        outputs.tidy()
    return Outcome(time.monotonic() - began, interrupted=interrupted)


def video_options(options: Options) -> VideoOptions:
    """The heatmaps of videos: as those of photos, where these are heatmaps."""
    style = {name: value for name, value in vars(options).items() if name in ("colormap", "invert")}
    return VideoOptions(**style, side_by_side=options.result is Result.SIDE_BY_SIDE, overwrite=True)


def _do(task: Task, worker: VideoWorker, ledger: Ledger, outputs: Outputs) -> None:
    temporary = outputs.temporary(Path(task.output).suffix)
    shown = display("frames")
    try:
        try:
            ends = worker.convert(Path(task.photo), temporary, shown.begin, shown.advance)
        finally:
            shown.end()
        outputs.adopt(temporary, Path(task.output))
    except (RequestError, VideoError, OSError) as error:
        code, reason = failure_of(error, task.photo, temporary)
        if code == UNWRITABLE:
            ledger.fail_to_write(task, reason)
        else:
            ledger.fail(task, code, reason)
    else:
        ledger.done(task, ends.facts)
        if ends.damage:
            shown.note(f"{printable(task.output)}: {harmless(ends.damage)}")


def failure_of(error: RequestError | VideoError | OSError, video: Location, temporary: Path) -> tuple[str, str]:
    """The code and the reason of a conversion that failed, from `video` to the file `temporary`."""
    if isinstance(error, RequestError):
        return error.code, _without(video, advice(error))
    if isinstance(error, OSError):
        return UNWRITABLE, why_unwritable(error)
    if str(error).startswith(str(temporary)):
        return UNWRITABLE, _without(temporary, str(error))
    return UNREADABLE, _without(video, str(error))


def _without(path: Location, reason: str) -> str:
    """A reason that begins with a file's path, for a line that has said it."""
    return f"It {reason.removeprefix(f'{path} ')}" if reason.startswith(f"{path} ") else reason


@dataclass(frozen=True)
class _Begins:
    """A video has been opened."""

    frames: int | None
    """How many it is expected to have; None if that is unknown."""


@dataclass(frozen=True)
class Ends:
    """A video has been converted."""

    facts: Facts
    damage: str
    """What is missing of it, in words; or empty."""


class VideoWorker:
    """A process with all networks, started again after it has died. A context manager."""

    def __init__(self, config: PoolConfig, max_pixels: int, options: VideoOptions) -> None:
        self._arguments = config, max_pixels, options
        self._running: tuple[ForkServerProcess, Channel] | None = None

    def __enter__(self) -> VideoWorker:
        """Raises DepthServiceError if the networks cannot be loaded."""
        self._channel()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end()

    def convert(
        self, video: Path, target: Path, begin: Callable[[int | None], None], advance: Callable[[], None]
    ) -> Ends:
        """Write the heatmaps of a video.

        `begin` is called with the expected number of frames, and `advance` after each. Raises VideoError, RequestError
        and OSError for a video, and DepthServiceError if the networks cannot be loaded again.
        """
        channel = self._channel()
        try:
            channel.send((video, target))
            while True:
                message = channel.receive()[0]
                match message:
                    case None:
                        advance()
                    case _Begins():
                        begin(message.frames)
                    case Ends():
                        return message
                    case _:
                        raise message
        except (EOFError, ConnectionError) as error:  # it has died
            self._end()
            raise WorkerCrashed("It ended the process that decoded it. Convert it with another program.") from error

    def _channel(self) -> Channel:
        if self._running is None:
            self._running = start_child(_serve, *self._arguments, name="depthsvc-videos")
            try:
                failure = self._running[1].receive()[0]
            except EOFError as error:
                raise ModelError("The process for videos was killed. Check that there is enough memory.") from error
            if failure:
                raise failure
        return self._running[1]

    def _end(self) -> None:
        if self._running:
            process, channel = self._running
            self._running = None
            process.kill()
            process.join()
            channel.close()


def _serve(channel: Channel, config: PoolConfig, max_pixels: int, options: VideoOptions) -> None:
    """In the process: sends None once the networks are loaded, or an error; then converts what it receives."""
    try:
        pipelines = [open_pipeline(config.worker) for _ in range(config.workers)]
    except Exception as error:
        channel.send(error if isinstance(error, DepthServiceError) else RuntimeError(repr(error)))
        return
    channel.send(None)
    spec = pipelines[0].model.spec
    with suppress(EOFError, OSError):  # the other side has closed it
        while True:
            video, target = channel.receive()[0]
            began = time.monotonic()
            try:
                if video.exists() and not video.is_file():  # a pipe that nobody writes to would stop the batch
                    raise VideoError(f"{video} cannot be read: not a regular file.")
                with VideoReader(video, max_pixels=max_pixels) as reader:
                    channel.send(_Begins(reader.info.frames or None))
                    found = convert(reader, target, lambda: pipelines, options, advance=lambda: channel.send(None))
            except Exception as error:
                channel.send(_sendable(error))
            else:
                facts = Facts(spec.name, spec.output.depth_kind, None, None, time.monotonic() - began)
                channel.send(Ends(facts, found.damage))


def _sendable(error: Exception) -> Exception:
    return error if isinstance(error, (DepthServiceError, OSError)) else VideoError(repr(error))
