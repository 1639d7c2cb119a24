"""A batch, from its photos to its exit status."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from depthsvc.batch.estimators import Estimator, LocalEstimator, RemoteEstimator
from depthsvc.batch.ledger import UNREADABLE, Ledger, Places, Task
from depthsvc.batch.outputs import Outputs
from depthsvc.batch.progress import Display, display, printable
from depthsvc.batch.reading import read
from depthsvc.batch.report import Report, Status
from depthsvc.batch.sources import Source
from depthsvc.batch.watch import WatchedFolder
from depthsvc.client import AsyncDepthClient
from depthsvc.errors import ConfigurationError, RequestError, ServiceUnreachable, Unauthorized
from depthsvc.launch import worker_config
from depthsvc.options import Options
from depthsvc.pool import WorkerPool
from depthsvc.processes import kill_children
from depthsvc.settings import Settings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_POLL_S = 0.5
_RETRIES = 1000
_MAX_WAIT_S = 300.0
"""A batch has time: what counts is how long a service takes nothing at all."""


@dataclass(frozen=True)
class Remote:
    """A service that computes."""

    url: str
    api_key: str | None
    concurrency: int


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
    before = {number: signal.signal(number, _exit) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number: int, _: object) -> None:
    raise SystemExit(128 + number)


class _Work:
    """The photos that are being computed."""

    def __init__(self, plan: Plan, ledger: Ledger, shown: Display, watched: WatchedFolder | None = None) -> None:
        self._plan = plan
        self._ledger = ledger
        self._display = shown
        self._watched = watched
        self._stop = asyncio.Event()
        self._interrupted_by: int | None = None
        self._broken = False
        """Whether it ended before its end."""
        self._unreached = 0
        """Photos in a row for which the service could not be reached."""
        self._seconds = 0.0
        self._estimator: Estimator

    def run(self, do: Callable[[], Awaitable[None]], *, most: int) -> int:
        """Have workers or a service at hand while something is done that needs at most so many workers."""
        if self._plan.remote:
            self._loop(self._with_service(self._plan.remote, do))
        else:
            settings = self._plan.settings
            with _pool(settings.model_copy(update={"workers": min(settings.workers, most)})) as pool:
                self._estimator = LocalEstimator(pool, self._plan.options, settings.deadline_s)
                self._loop(self._begun(do))
        status = finish(self._ledger, self._display, self._interrupted_by, self._seconds)
        return max(status, 1) if self._broken else status

    def _loop(self, doing: Awaitable[None]) -> None:
        async def main() -> None:
            loop, this = asyncio.get_running_loop(), asyncio.current_task()
            assert this is not None
            for number in _SIGNALS:
                loop.add_signal_handler(number, self._on_signal, number, this)
            await doing

        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            pass
        finally:
            for number in _SIGNALS:  # what is left to do is short
                signal.signal(number, signal.SIG_IGN)
            self._display.end()

    def _on_signal(self, number: int, main: asyncio.Task[None]) -> None:
        if self._watched and not self._stop.is_set():
            self._stop.set()
        else:
            self._interrupted_by = number
            main.cancel()

    async def _with_service(self, remote: Remote, do: Callable[[], Awaitable[None]]) -> None:
        async with AsyncDepthClient(remote.url, api_key=remote.api_key, retries=1) as client:
            await _greeted(client)
        async with AsyncDepthClient(
            remote.url, api_key=remote.api_key, retries=_RETRIES, max_wait_s=_MAX_WAIT_S
        ) as client:
            self._estimator = RemoteEstimator(client, self._plan.options, remote.concurrency)
            await self._begun(do)

    async def _begun(self, do: Callable[[], Awaitable[None]]) -> None:
        began = time.monotonic()
        try:
            await do()
        except OSError as error:  # of the report; every other failure is a photo's
            self._display.note(f"The batch ends: the report cannot be written: {error.strerror or error}.")
            self._broken = True
        finally:
            self._seconds = time.monotonic() - began

    async def all(self, tasks: list[Task]) -> None:
        """Do all tasks, as many at a time as keep the estimator busy."""
        self._display.begin(len(tasks))
        waiting = iter(tasks)
        await asyncio.gather(*(self._consume(waiting) for _ in range(self._estimator.concurrency)))

    async def until_stopped(self, watched: WatchedFolder) -> None:
        """Do what appears in a folder until the batch is to stop."""
        self._display.note("Watching; Ctrl-C ends it.")
        stopped = asyncio.ensure_future(self._stop.wait())
        while not stopped.done():
            ready = await asyncio.to_thread(watched.ready)
            if tasks := self._ledger.open_tasks(ready):
                await self.all(tasks)
            await asyncio.wait({stopped}, timeout=_POLL_S)

    async def _consume(self, waiting: Iterator[Task]) -> None:
        for task in waiting:
            await self._do(task)
            self._display.advance()
            if self._stop.is_set():
                return

    async def _do(self, task: Task) -> None:
        try:
            photo = await asyncio.to_thread(read, Path(task.photo), self._plan.settings.max_pixels)
        except RequestError as error:
            self._ledger.fail(task, error.code, error.detail)
            return
        except OSError as error:
            self._ledger.fail(task, UNREADABLE, error.strerror or str(error))
            return
        if self._watched and not self._watched.unchanged(Path(task.photo)):
            return  # it was not whole after all; the folder will give it again
        await self._estimate(task, photo)

    async def _estimate(self, task: Task, photo: bytes) -> None:
        try:
            result = await self._estimator.estimate(photo)
        except RequestError as error:
            self._ledger.fail(task, error.code, error.detail)
        except ServiceUnreachable as error:
            self._ledger.fail(task, "unreachable", str(error))
            self._note_unreachable()
        except RuntimeError as error:  # a worker's way to say what no one foresaw
            self._ledger.fail(task, RequestError.code, str(error))
        else:
            self._unreached = 0
            await asyncio.to_thread(self._ledger.keep, task, result)

    def _note_unreachable(self) -> None:
        """A photo may be at fault, but not as many in a row as are on their way."""
        self._unreached += 1
        if self._unreached == self._estimator.concurrency:
            self._display.note("The batch ends: the service has gone.")
            self._broken = True
            self._stop.set()


async def _greeted(client: AsyncDepthClient) -> None:
    """A wrong address or key is better known before there are a thousand failures."""
    try:
        await client.models()
    except ServiceUnreachable as error:
        raise ConfigurationError(f"{error} Is a service running there, and its model loaded?") from error
    except Unauthorized as error:
        raise ConfigurationError(
            "The service takes no photos without its key: --api-key or DEPTHSVC_API_KEY."
        ) from error


@contextmanager
def _pool(settings: Settings) -> Iterator[WorkerPool]:
    try:
        with WorkerPool(
            worker_config(settings),
            workers=settings.workers,
            queue_size=settings.workers,
            max_photos_per_worker=settings.max_photos_per_worker,
        ) as pool:
            pool.wait_until_warm()
            yield pool
    finally:
        kill_children()


def finish(ledger: Ledger, shown: Display, interrupted_by: int | None, seconds: float) -> int:
    """Say what has become of the photos, and give the exit status."""
    done, failed, skipped = (ledger.counts[status] for status in (Status.OK, Status.FAILED, Status.SKIPPED))
    rate = f" in {seconds:.1f} s ({done / seconds:.1f} photos/s)" if done else ""
    shown.note(f"{done} done{rate}, {skipped} skipped, {failed} failed{_reasons(ledger) if failed else ''}")
    if interrupted_by:
        shown.note("Interrupted. The same command goes on where this one ended.")
        return 128 + interrupted_by
    return 1 if failed else 0


def _reasons(ledger: Ledger) -> str:
    codes = ", ".join(f"{code} {count}" for code, count in ledger.failures.most_common())
    return f" ({codes}; see {printable(ledger.report_path)})"
