"""Running a batch, from its photos to its exit status."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from depthsvc.batch.estimators import Estimator, local_estimator, remote_estimator
from depthsvc.batch.ignored import Ignored
from depthsvc.batch.ledger import UNREADABLE, Ledger, Task
from depthsvc.batch.outputs import Outputs
from depthsvc.batch.progress import Display
from depthsvc.batch.session import (
    SIGNALS,
    Interrupted,
    Outcome,
    Plan,
    ended_by_signals,
    finish,
    ignore_signals,
    interrupt,
    open_ledger,
)
from depthsvc.batch.sources import Source
from depthsvc.batch.watch import WatchedFolder
from depthsvc.errors import RequestError, ServiceUnreachable
from depthsvc.imaging.photo.files import read

_POLL_S = 0.5


def run_batch(plan: Plan, sources: Iterable[Source], ignored: Ignored) -> int:
    """Process all photos that have no result yet; returns the exit status. `ignored`: files for the summary to name.

    0: every photo has its result. 1: some do not. 130 and 143: stopped by SIGINT or SIGTERM. Raises DepthServiceError
    or OSError if it cannot start.
    """
    with (
        ended_by_signals(),
        Outputs(plan.output, plan.extension) as outputs,
        open_ledger(plan, outputs, ignored) as (ledger, shown),
    ):
        tasks = ledger.open_tasks(sources)
        photos, videos = ([task for task in tasks if task.is_video is kind] for kind in (False, True))
        outcome = Outcome()
        if photos:
            outcome = _compute(plan, ledger, shown, lambda consumers: consumers.all(photos), most=len(photos))
        if videos and outcome.is_whole:
            from depthsvc.batch.videos import convert_videos

            outcome = outcome.then(convert_videos(plan, ledger, outputs, videos))
        return _status(plan, ledger, shown, outcome)


def watch_folder(plan: Plan, folder: Path, ignored: Ignored, settle_s: float) -> int:
    """Process the photos in a folder, present and future, until a signal stops it; returns the exit status.

    A photo is processed once its size and modification time have not changed for `settle_s` seconds. After the first
    signal, photos in progress are finished and the status is 0 or 1; a second one stops at once with 130 or 143.
    """
    with (
        ended_by_signals(),
        Outputs(plan.output, plan.extension) as outputs,
        open_ledger(plan, outputs, ignored) as (ledger, shown),
    ):
        watched = WatchedFolder(folder, plan.output, ignored, settle_s)
        most = plan.settings.workers
        outcome = _compute(plan, ledger, shown, _Consumers.until_stopped, most=most, watched=watched)
        return _status(plan, ledger, shown, outcome)


def _compute(
    plan: Plan,
    ledger: Ledger,
    shown: Display,
    do: Callable[[_Consumers], None],
    *,
    most: int,
    watched: WatchedFolder | None = None,
) -> Outcome:
    """Run `do` with workers, at most `most`, or a service."""
    workers = min(plan.settings.workers, most)
    concurrency = plan.remote.concurrency if plan.remote else 2 * workers
    consumers: _Consumers | None = None
    interrupted: int | None = None
    try:
        with ThreadPoolExecutor(concurrency) as threads, _estimator(plan, workers) as estimator:
            consumers = _Consumers(plan, ledger, shown, estimator, threads, concurrency, watched)
            consumers.run_timed(do)
    except Interrupted as end:
        if not (consumers and consumers.abandoned.is_set()):  # nothing had started
            raise
        interrupted = end.status
    finally:
        shown.end()
    return Outcome(consumers.seconds, interrupted, consumers.broken)


def _status(plan: Plan, ledger: Ledger, shown: Display, outcome: Outcome) -> int:
    """The exit status, once the summary is printed."""
    things = "files" if plan.videos else "photos"
    status = finish(ledger, shown, outcome.interrupted, outcome.seconds, things=things)
    return max(status, 1) if outcome.broken else status


def _estimator(plan: Plan, workers: int) -> AbstractContextManager[Estimator]:
    if plan.remote:
        return remote_estimator(plan.remote, plan.options)
    return local_estimator(plan.settings, plan.options, workers)


class _Consumers:
    """Threads that pass photos to an estimator and the results to the ledger."""

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        shown: Display,
        estimator: Estimator,
        threads: ThreadPoolExecutor,
        concurrency: int,
        watched: WatchedFolder | None,
    ) -> None:
        """`concurrency`: number of `threads` that keep the estimator busy."""
        self._plan = plan
        self._ledger = ledger
        self._display = shown
        self._estimator = estimator
        self._threads = threads
        self._concurrency = concurrency
        self._watched = watched
        self._stop = threading.Event()
        """Set: start nothing more."""
        self.abandoned = threading.Event()
        """Set: do not finish what has been started."""
        self.broken = False
        """Whether the batch stopped early because of a failure."""
        self.seconds = 0.0
        """Duration."""
        self._breaking = threading.Lock()
        self._unreached = 0
        """Consecutive photos for which the service could not be reached."""

    def run_timed(self, do: Callable[[_Consumers], None]) -> None:
        """Call `do` with this object and measure its time."""
        if self._watched:
            for number in SIGNALS:
                signal.signal(number, self._stop_first)
        began = time.monotonic()
        try:
            do(self)
            ignore_signals()
        except Interrupted:
            self.abandoned.set()
            raise
        finally:
            self.seconds = time.monotonic() - began

    def _stop_first(self, *_: object) -> None:
        """Handler of the first signal while watching a folder."""
        for number in SIGNALS:
            signal.signal(number, interrupt)
        self._stop.set()

    def all(self, tasks: list[Task]) -> None:
        """Process all tasks, `concurrency` at a time."""
        self._display.begin(len(tasks))
        waiting = iter(tasks)
        for consuming in [self._threads.submit(self._consume, waiting) for _ in range(self._concurrency)]:
            consuming.result()

    def until_stopped(self) -> None:
        """Process what appears in the watched folder until the batch is told to stop."""
        assert self._watched
        self._display.note("Watching for photos; press Ctrl-C to stop.")
        while not self._stop.wait(_POLL_S):
            if tasks := self._ledger.open_tasks(self._watched.ready()):
                self.all(tasks)

    def _consume(self, waiting: Iterator[Task]) -> None:
        for task in waiting:
            try:
                self._do(task)
            except OSError as error:  # from the report; every other failure belongs to a photo
                self._break(f"the report cannot be written: {error.strerror or error}.")
            if self.abandoned.is_set():
                return
            self._display.advance()
            if self._stop.is_set():
                return

    def _break(self, reason: str) -> None:
        with self._breaking:
            if not self.broken:
                self._display.note(f"Stopping the batch: {reason}")
            self.broken = True
        self._stop.set()

    def _do(self, task: Task) -> None:
        try:
            photo = read(Path(task.photo), self._plan.settings.max_pixels)
        except RequestError as error:
            self._ledger.refuse(task, error)
            return
        except OSError as error:
            self._ledger.fail(task, UNREADABLE, error.strerror or str(error))
            return
        if self._watched and not self._watched.unchanged(Path(task.photo)):
            return  # it was not complete after all; the folder will return it again
        try:
            result = self._estimator.estimate(photo)
        except Exception as error:
            if not self.abandoned.is_set():
                self._fail(task, error)
        else:
            self._unreached = 0
            self._ledger.keep(task, result)

    def _fail(self, task: Task, error: Exception) -> None:
        match error:
            case RequestError():
                self._ledger.refuse(task, error)
            case ServiceUnreachable():
                self._ledger.fail(task, "unreachable", str(error))
                self._note_unreachable()
            case RuntimeError():  # an unexpected failure in a worker
                self._ledger.fail(task, RequestError.code, str(error))
            case _:
                raise error

    def _note_unreachable(self) -> None:
        """One photo may be at fault, but not `concurrency` in a row."""
        self._unreached += 1
        if self._unreached >= self._concurrency:
            self._break("the service cannot be reached.")
