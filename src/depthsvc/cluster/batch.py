"""`depthsvc batch --ray`: Ray Data actors process the photos, and read and write them where they are stored.

Photos and results do not pass through the object store or this process: it sends names and receives outcomes.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from depthsvc.batch.estimators import Facts
from depthsvc.batch.ignored import Ignored
from depthsvc.batch.ledger import UNREADABLE, UNWRITABLE, Ledger, Task, why_unwritable
from depthsvc.batch.outputs import Outputs, write_inside
from depthsvc.batch.progress import Display, harmless
from depthsvc.batch.session import Interrupted, Plan, ended_by_signals, finish, open_ledger
from depthsvc.batch.sources import Source
from depthsvc.cluster.recipe import Recipe, ended_after
from depthsvc.cluster.session import connected
from depthsvc.cluster.storage import Storage, StoredResults
from depthsvc.cluster.tries import begun_before, count_attempt, forget, new_prefix
from depthsvc.errors import ConfigurationError, MissingExtra, RequestError
from depthsvc.imaging.photo.files import read
from depthsvc.options import Options
from depthsvc.pipeline.answer import Answer
from depthsvc.pool.launch import prepared_model
from depthsvc.pool.processes import kill_children, start_fork_server
from depthsvc.pool.worker import reply
from depthsvc.settings import advice

try:
    import pyarrow
    import ray.data
    from ray.exceptions import RayError
except ImportError as missing:
    raise MissingExtra("Ray Data is not installed", "ray") from missing

logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # outcomes are in the report

_MOST_AT_A_TIME = 32
"""Maximum number of photos in one piece of work; if the actor dies, they are processed again."""
_SHARE = 1 / 4
"""Size of a piece of work as a fraction of an equal share of the rest, so that all actors finish about together."""
_IN_FLIGHT = 2
"""Pieces of work per actor: one in progress, and the next one queued."""
_AHEAD = 2
"""Photos read ahead, and results still being written, while others are computed."""


@dataclass(frozen=True)
class _Done:
    """The outcome of a photo. No field is None, since a column of Ray Data has one type."""

    number: int
    code: str = ""
    """Empty on success."""
    reason: str = ""
    model: str = ""
    kind: str = ""
    min: float = 0.0
    max: float = 0.0
    seconds: float = 0.0
    is_range_known: bool = True
    """Whether `min` and `max` are: of a video they are not."""

    @property
    def facts(self) -> Facts:
        """Of a success."""
        low, high = (self.min, self.max) if self.is_range_known else (None, None)
        return Facts(self.model, self.kind, low, high, self.seconds)


def _columns(outcomes: list[_Done]) -> dict[str, list[Any]]:
    rows = [asdict(outcome) for outcome in outcomes]
    return {column: [row[column] for row in rows] for column in rows[0]}


@dataclass(frozen=True)
class _Assignment:
    """The work of every actor. Without a storage, files are on the file system that all machines share."""

    recipe: Recipe
    options: Options
    deadline_s: float
    photos: Storage | None
    results: Storage | None
    folder: Path
    """The output folder, if there is no storage for results."""
    prefix: str
    """Prefix of the photos' names in the cluster."""

    def read(self, photo: str) -> bytes:
        """Raises RequestError or OSError."""
        pixels = self.recipe.max_pixels
        return self.photos.read(photo, pixels) if self.photos else read(Path(photo), pixels)

    def write(self, output: str, data: bytes) -> None:
        """Raises OSError."""
        if self.results:
            self.results.write(output, data)
        else:
            write_inside(self.folder, self.folder / output, data)


class Actor:
    """A warm pipeline, with threads that read photos ahead and write results."""

    def __init__(self, work: _Assignment) -> None:
        self._work = work
        self._pipeline = work.recipe.make()
        self._threads = ThreadPoolExecutor(2 * _AHEAD)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Process a piece of work: columns number, photo, output and is_video to the columns of _Done.

        Attempts are counted only if an actor has died on this piece: counting takes two calls to the cluster per photo.
        """
        if batch["is_video"][0]:
            return _columns([self._converted(*(batch[column][0] for column in ("number", "photo", "output")))])
        count_tries = begun_before(f"{self._work.prefix}from-{batch['number'][0]}")
        written: list[Future[_Done]] = []
        for number, photo, output in self._read_ahead(batch):
            answer = self._answer(
                photo, number, count_attempt(f"{self._work.prefix}{number}") if count_tries else nullcontext()
            )
            written.append(self._threads.submit(self._written, number, output, answer))
            if len(written) > _AHEAD:
                written[-_AHEAD - 1].result()
        return _columns([outcome.result() for outcome in written])

    def _converted(self, number: int, video: bytes, output: bytes) -> _Done:
        from depthsvc.batch.videos import video_options
        from depthsvc.cluster.videos import convert_here

        made = convert_here(
            self._pipeline,
            Path(os.fsdecode(video)),
            self._work.folder,
            self._work.folder / os.fsdecode(output),
            video_options(self._work.options),
            count_attempt(f"{self._work.prefix}{number}"),
        )
        if isinstance(made, tuple):
            return _Done(int(number), *made)
        return _Done(int(number), model=made.model, kind=made.kind, seconds=made.seconds or 0.0, is_range_known=False)

    def _read_ahead(self, batch: dict[str, Any]) -> Iterator[tuple[int, Future[bytes], str]]:
        reading: deque[tuple[int, Future[bytes], str]] = deque()
        for number, photo, output in zip(batch["number"], batch["photo"], batch["output"], strict=True):
            data = self._threads.submit(self._work.read, os.fsdecode(photo))
            reading.append((int(number), data, os.fsdecode(output)))
            if len(reading) > _AHEAD:
                yield reading.popleft()
        yield from reading

    def _answer(self, photo: Future[bytes], number: int, attempt: AbstractContextManager[None]) -> Answer | _Done:
        """The result or the failure. The system kills the process if it exceeds the deadline."""
        try:
            data = photo.result()
            with attempt, ended_after(self._work.deadline_s):
                answer = reply(self._pipeline, data, self._work.options)
        except RequestError as error:
            answer = error
        except OSError as error:
            return _Done(number, UNREADABLE, error.strerror or str(error))
        if isinstance(answer, Exception):
            reason = advice(answer) if isinstance(answer, RequestError) else str(answer)
            return _Done(number, getattr(answer, "code", RequestError.code), reason)
        return answer

    def _written(self, number: int, output: str, answer: Answer | _Done) -> _Done:
        if isinstance(answer, _Done):
            return answer
        try:
            self._work.write(output, answer.body)
        except OSError as error:
            return _Done(number, UNWRITABLE, why_unwritable(error))
        seconds = sum(answer.seconds.values())
        return _Done(number, model=answer.model, kind=answer.kind, min=answer.min, max=answer.max, seconds=seconds)


def run_batch_on_ray(
    plan: Plan,
    sources: Iterable[Source],
    ignored: Ignored,
    *,
    photos: Storage | None = None,
    results: Storage | None = None,
) -> int:
    """Process all photos that have no result yet; returns the exit status, as `depthsvc.batch.run.run_batch` does.

    `ignored`: files for the summary to name. `photos`: where the sources are, if not on the file system. `results`:
    where results go instead of the plan's output folder. Raises DepthServiceError or OSError if it cannot start.
    """
    if plan.settings.max_photos_per_worker:
        raise ConfigurationError("--max-photos-per-worker cannot be combined with --ray.")
    with ended_by_signals():
        if results:
            with open_ledger(plan, StoredResults(results, plan.extension), ignored) as (ledger, shown):
                tasks = ledger.open_tasks(sources)
                return _Batch(plan, ledger, shown, photos, results).run(tasks)
        with Outputs(plan.output, plan.extension) as outputs, open_ledger(plan, outputs, ignored) as (ledger, shown):
            outputs.prepare(plan.output)  # where videos are until they are complete
            tasks = _with_folders(outputs, ledger, ledger.open_tasks(sources))
            try:
                return _Batch(plan, ledger, shown, photos, None).run(tasks)
            finally:
                outputs.tidy()


def _with_folders(outputs: Outputs, ledger: Ledger, tasks: list[Task]) -> list[Task]:
    """The tasks whose folder could be created. Actors do not create any: one would remove another's partial files."""
    possible = []
    for task in tasks:
        try:
            outputs.prepare(Path(task.output).parent)
        except OSError as error:
            ledger.fail_to_write(task, why_unwritable(error))
        else:
            possible.append(task)
    return possible


class _Batch:
    """A running batch."""

    def __init__(
        self, plan: Plan, ledger: Ledger, shown: Display, photos: Storage | None, results: Storage | None
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._display = shown
        self._photos = photos
        self._results = results
        self._seconds = 0.0

    def run(self, tasks: list[Task]) -> int:
        interrupted: int | None = None
        broken = False
        try:
            if tasks:
                self._compute(dict(enumerate(tasks)))
        except Interrupted as end:
            interrupted = end.status
        except (RayError, OSError) as error:  # every other failure belongs to a photo
            reason = str(error).strip().rpartition("\n")[2]
            self._display.note(f"Stopping the batch: {harmless(reason)}")
            broken = True
        finally:
            kill_children()
            self._display.end()
        things = "files" if self._plan.videos else "photos"
        status = finish(self._ledger, self._display, interrupted, self._seconds, things=things)
        return max(status, 1) if broken else status

    def _compute(self, tasks: dict[int, Task]) -> None:
        settings = self._plan.settings
        start_fork_server()
        recipe = Recipe.of(settings, prepared_model(settings))
        prefix = new_prefix()
        work = _Assignment(
            recipe,
            self._plan.options,
            settings.deadline_s,
            self._photos,
            self._results,
            Path(os.path.abspath(self._plan.output)),  # noqa: PTH100
            prefix,
        )
        least = min(settings.workers, len(tasks))
        most = max(least, min(settings.ray_max_workers or 0, len(tasks)))
        self._display.begin(len(tasks))
        with connected(settings, most * settings.threads_per_worker):
            began = time.monotonic()
            try:
                for outcome in self._outcomes(tasks, work, least, most):
                    self._record(tasks[outcome.number], outcome)
                    self._display.advance()
            finally:
                self._seconds = time.monotonic() - began
                forget(prefix)

    def _outcomes(self, tasks: dict[int, Task], work: _Assignment, least: int, most: int) -> Iterator[_Done]:
        """The outcomes of the photos, as they finish. Ray restarts an actor that dies and repeats its work."""
        rows = [self._row(number, task) for number, task in tasks.items()]
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        dataset = ray.data.from_arrow(_pieces(rows, most)).map_batches(
            Actor,
            batch_size=None,
            fn_constructor_args=(work,),
            num_cpus=work.recipe.choice.threads,
            compute=ray.data.ActorPoolStrategy(
                min_size=least, max_size=most, initial_size=least, max_tasks_in_flight_per_actor=_IN_FLIGHT
            ),
        )
        for row in dataset.iter_rows():
            yield _Done(**row)

    def _row(self, number: int, task: Task) -> dict[str, Any]:
        photo = self._photos.name(str(task.photo)) if self._photos else os.path.abspath(task.photo)  # noqa: PTH100
        output = (
            self._results.name(str(task.output)) if self._results else Path(task.output).relative_to(self._plan.output)
        )
        return {
            "number": number,
            "photo": os.fsencode(photo),
            "output": os.fsencode(output),
            "is_video": task.is_video,
        }

    def _record(self, task: Task, outcome: _Done) -> None:
        if not outcome.code:
            self._ledger.done(task, outcome.facts)
        elif outcome.code == UNWRITABLE:
            self._ledger.fail_to_write(task, outcome.reason)
        else:
            self._ledger.fail(task, outcome.code, outcome.reason)


def _pieces(rows: list[dict[str, Any]], actors: int) -> list[Any]:
    """The pieces of work, as tables: videos, each alone, then large pieces of photos, and single photos last."""
    tables = [pyarrow.Table.from_pylist([row]) for row in rows if row["is_video"]]
    rows = [row for row in rows if not row["is_video"]]
    while rows:
        count = min(_MOST_AT_A_TIME, math.ceil(len(rows) / actors * _SHARE))
        tables.append(pyarrow.Table.from_pylist(rows[:count]))
        rows = rows[count:]
    return tables
