"""A batch, from its photos to its exit status."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from depthsvc.batch.estimators import Estimator, Remote, local_estimator, remote_estimator
from depthsvc.batch.ledger import UNREADABLE, Ledger, Places, Task
from depthsvc.batch.outputs import Outputs
from depthsvc.batch.progress import Display, display, printable
from depthsvc.batch.reading import read
from depthsvc.batch.report import Report, Status
from depthsvc.batch.sources import Source
from depthsvc.batch.watch import WatchedFolder
from depthsvc.errors import RequestError, ServiceUnreachable
from depthsvc.options import Options
from depthsvc.settings import Settings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_POLL_S = 0.5


@dataclass(frozen=True)
class Plan:
    """Everything that is asked of a batch but the photos."""

    output: Path
    extension: str
    options: Options
    settings: Settings
    """Of the local workers; the bound on pixels holds in any case."""
    report: Path | None = None
    """None: report.jsonl in the output folder."""
    overwrite: bool = False
    remote: Remote | None = None


class Interrupted(SystemExit):
    """A signal has asked for the end."""

    def __init__(self, number: int) -> None:
        self.status = 128 + number
        super().__init__(self.status)


def run(plan: Plan, sources: Iterable[Source]) -> int:
    """Do all photos that have no result yet, and give the exit status.

    0: every photo has its result. 1: some have none. 130 and 143: ended by SIGINT or SIGTERM. Raises what keeps it
    from beginning: DepthServiceError or OSError.
    """
    with (
        ended_by_signals(),
        Outputs(plan.output, plan.extension) as outputs,
        prepared(plan, outputs) as (ledger, shown),
    ):
        tasks = ledger.open_tasks(sources)
        if not tasks:
            return finish(ledger, shown, None, 0.0)
        work = _Work(plan, ledger, shown)
        return work.run(lambda: work.all(tasks), most=len(tasks))


def watch(plan: Plan, folder: Path, settle_s: float) -> int:
    """Do the photos of a folder, those that are there and those that come, until a signal ends it.

    A photo is taken once its size and modification time have not changed for `settle_s` seconds. The first signal
    lets photos that have been begun be finished and gives 0 or 1, another gives 130 or 143 at once.
    """
    with (
        ended_by_signals(),
        Outputs(plan.output, plan.extension) as outputs,
        prepared(plan, outputs) as (ledger, shown),
    ):
        watched = WatchedFolder(folder, plan.output, settle_s)
        work = _Work(plan, ledger, shown, watched)
        return work.run(lambda: work.until_stopped(watched), most=plan.settings.workers)


@contextmanager
def prepared(plan: Plan, outputs: Places) -> Iterator[tuple[Ledger, Display]]:
    """What a batch is written down in, and what it is shown by."""
    with closing(Report(plan.report or plan.output / "report.jsonl")) as report:
        shown = display()
        yield Ledger(outputs, report, shown, overwrite=plan.overwrite), shown


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Have SIGINT and SIGTERM raise SystemExit with the exit status that tells of them."""
    before = {number: signal.signal(number, _interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: object) -> None:
    _ignore_signals()  # what is left to do is short
    raise Interrupted(number)


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class _Work:
    """The photos that are being computed, each by one of several threads."""

    def __init__(self, plan: Plan, ledger: Ledger, shown: Display, watched: WatchedFolder | None = None) -> None:
        self._plan = plan
        self._ledger = ledger
        self._display = shown
        self._watched = watched
        self._stop = threading.Event()
        """Nothing more is to be begun."""
        self._abandoned = threading.Event()
        """What has been begun is not to be finished."""
        self._broken = False
        """Whether it ended before its end."""
        self._breaking = threading.Lock()
        self._unreached = 0
        """Photos in a row for which the service could not be reached."""
        self._seconds = 0.0
        self._estimator: Estimator
        self._threads: ThreadPoolExecutor

    def run(self, do: Callable[[], None], *, most: int) -> int:
        """Have workers or a service at hand while something is done that needs at most so many workers."""
        workers = min(self._plan.settings.workers, most)
        self._concurrency = self._plan.remote.concurrency if self._plan.remote else 2 * workers
        interrupted: int | None = None
        try:
            with ThreadPoolExecutor(self._concurrency) as self._threads, self._open(workers) as self._estimator:
                self._timed(do)
        except Interrupted as end:
            if not self._abandoned.is_set():  # nothing had begun
                raise
            interrupted = end.status
        finally:
            self._display.end()
        status = finish(self._ledger, self._display, interrupted, self._seconds)
        return max(status, 1) if self._broken else status

    def _open(self, workers: int) -> AbstractContextManager[Estimator]:
        plan = self._plan
        if plan.remote:
            return remote_estimator(plan.remote, plan.options)
        return local_estimator(plan.settings, plan.options, workers)

    def _timed(self, do: Callable[[], None]) -> None:
        if self._watched:
            for number in _SIGNALS:
                signal.signal(number, self._stop_first)
        began = time.monotonic()
        try:
            do()
            _ignore_signals()
        except Interrupted:
            self._abandoned.set()
            raise
        finally:
            self._seconds = time.monotonic() - began

    def _stop_first(self, *_: object) -> None:
        """What the first signal does to a batch that watches a folder."""
        for number in _SIGNALS:
            signal.signal(number, _interrupt)
        self._stop.set()

    def all(self, tasks: list[Task]) -> None:
        """Do all tasks, as many at a time as keep the estimator busy."""
        self._display.begin(len(tasks))
        waiting = iter(tasks)
        for consuming in [self._threads.submit(self._consume, waiting) for _ in range(self._concurrency)]:
            consuming.result()

    def until_stopped(self, watched: WatchedFolder) -> None:
        """Do what appears in a folder until the batch is to stop."""
        self._display.note("Watching; Ctrl-C ends it.")
        while not self._stop.wait(_POLL_S):
            if tasks := self._ledger.open_tasks(watched.ready()):
                self.all(tasks)

    def _consume(self, waiting: Iterator[Task]) -> None:
        for task in waiting:
            try:
                self._do(task)
            except OSError as error:  # of the report; every other failure is a photo's
                self._break(f"the report cannot be written: {error.strerror or error}.")
            if self._abandoned.is_set():
                return
            self._display.advance()
            if self._stop.is_set():
                return

    def _break(self, reason: str) -> None:
        with self._breaking:
            if not self._broken:
                self._display.note(f"The batch ends: {reason}")
            self._broken = True
        self._stop.set()

    def _do(self, task: Task) -> None:
        try:
            photo = read(Path(task.photo), self._plan.settings.max_pixels)
        except RequestError as error:
            self._ledger.fail(task, error.code, error.detail)
            return
        except OSError as error:
            self._ledger.fail(task, UNREADABLE, error.strerror or str(error))
            return
        if self._watched and not self._watched.unchanged(Path(task.photo)):
            return  # it was not whole after all; the folder will give it again
        try:
            result = self._estimator.estimate(photo)
        except Exception as error:
            if not self._abandoned.is_set():
                self._fail(task, error)
        else:
            self._unreached = 0
            self._ledger.keep(task, result)

    def _fail(self, task: Task, error: Exception) -> None:
        match error:
            case RequestError():
                self._ledger.fail(task, error.code, error.detail)
            case ServiceUnreachable():
                self._ledger.fail(task, "unreachable", str(error))
                self._note_unreachable()
            case RuntimeError():  # a worker's way to say what no one foresaw
                self._ledger.fail(task, RequestError.code, str(error))
            case _:
                raise error

    def _note_unreachable(self) -> None:
        """A photo may be at fault, but not as many in a row as are on their way."""
        self._unreached += 1
        if self._unreached >= self._concurrency:
            self._break("the service has gone.")


def finish(ledger: Ledger, shown: Display, status_if_interrupted: int | None, seconds: float) -> int:
    """Say what has become of the photos, and give the exit status."""
    done, failed, skipped = (ledger.counts[status] for status in (Status.OK, Status.FAILED, Status.SKIPPED))
    rate = f" in {seconds:.1f} s ({done / seconds:.1f} photos/s)" if done else ""
    shown.note(f"{done} done{rate}, {skipped} skipped, {failed} failed{_reasons(ledger) if failed else ''}")
    if status_if_interrupted:
        shown.note("Interrupted. The same command goes on where this one ended.")
        return status_if_interrupted
    return 1 if failed else 0


def _reasons(ledger: Ledger) -> str:
    codes = ", ".join(f"{code} {count}" for code, count in ledger.failures.most_common())
    return f" ({codes}; see {printable(ledger.report_path)})"
