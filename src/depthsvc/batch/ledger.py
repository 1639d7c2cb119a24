"""The photos of a batch, their results, and the report of both."""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from depthsvc.batch.estimators import Facts, Result
from depthsvc.batch.ignored import Ignored
from depthsvc.batch.progress import Display, harmless, printable
from depthsvc.batch.report import Report, ReportLine, Status
from depthsvc.batch.sources import Location, Source
from depthsvc.errors import RequestError
from depthsvc.settings import advice

UNWRITABLE = "unwritable"
UNREADABLE = "unreadable"
NAME_TAKEN = "name_taken"


@dataclass(frozen=True)
class Task:
    """One photo and the file for its result."""

    photo: Location
    output: Location
    is_video: bool = False


class Places(Protocol):
    """Where results are stored."""

    def path(self, source: Source) -> Location:
        """Where a photo's result goes."""

    def entry(self, path: Location) -> str:
        """The same for all spellings of one file's path."""

    def existing(self, source: Source) -> Location | None:
        """A photo's result, if there is one. Raises OSError."""

    def write(self, path: Location, data: bytes) -> None:
        """Write a result atomically. Raises OSError."""


class Ledger:
    """Decides which photos to process, keeps their results and writes the report. Thread-safe."""

    def __init__(self, outputs: Places, report: Report, display: Display, ignored: Ignored, *, overwrite: bool) -> None:
        self.ignored = ignored
        self.counts: Counter[Status] = Counter()
        self.failures: Counter[str] = Counter()
        """Number of failed photos by code."""
        self.report_path = report.path
        self._outputs = outputs
        self._report = report
        self._display = display
        self._overwrite = overwrite
        self._owners: dict[str, str] = {}
        """Result file -> the photo that it belongs to."""
        self._photos: set[object] = set()
        """The photos' own files, which --overwrite must not replace."""
        self._counting = threading.Lock()

    def open_tasks(self, sources: Iterable[Source]) -> list[Task]:
        """The photos without a result. Those that have one, or cannot get one, are reported instead."""
        sources = list(sources)
        if self._overwrite:
            self._photos.update(filter(None, (_file(source.path) for source in sources)))
        tasks: dict[Location, Task] = {}
        for source in sources:
            task = Task(source.path, self._outputs.path(source), source.is_video)
            if obstacle := self._obstacle(source, task.output):
                self.fail(task, *obstacle)
                continue
            try:
                existing = None if self._overwrite else self._outputs.existing(source)
            except OSError as error:
                self.fail_to_write(task, why_unwritable(error))
                continue
            if existing is None:
                tasks[task.output] = task
            else:
                self._record(Task(source.path, existing), Status.SKIPPED)
        return list(tasks.values())

    def _obstacle(self, source: Source, output: Location) -> tuple[str, str] | None:
        """Code and reason why a photo cannot have its result."""
        if source.problem:
            return UNREADABLE, source.problem
        photo = _identity(source.path)
        owner = self._owners.setdefault(self._outputs.entry(output), photo)
        if owner != photo:
            reason = f"is already the result of {printable(owner)}. Rename one of the photos."
        elif self._overwrite and _file(output) in self._photos:
            reason = "is itself one of the photos. Choose another OUT."
        else:
            return None
        return NAME_TAKEN, f"{printable(output)} {reason}"

    def keep(self, task: Task, result: Result) -> None:
        """Write a result. If that fails, its photo counts as failed."""
        try:
            self._outputs.write(task.output, result.body)
        except OSError as error:
            self.fail_to_write(task, why_unwritable(error))
        else:
            self.done(task, result.facts)

    def done(self, task: Task, facts: Facts) -> None:
        """Report a result that has been written."""
        seconds = None if facts.seconds is None else round(facts.seconds, 4)
        self._record(task, Status.OK, **{**vars(facts), "seconds": seconds})

    def fail_to_write(self, task: Task, reason: str) -> None:
        """Report a result that cannot be written; its photo counts as failed."""
        self.fail(task, UNWRITABLE, f"{printable(task.output)}: {reason}")

    def refuse(self, task: Task, error: RequestError) -> None:
        """Report a photo that has been refused."""
        self.fail(task, error.code, advice(error))

    def fail(self, task: Task, code: str, reason: str) -> None:
        """Report why a photo has no result."""
        self._record(task, Status.FAILED, code=code, reason=reason)
        self._display.note(f"{printable(task.photo)}: {harmless(reason)}")

    def _record(self, task: Task, status: Status, **details: Any) -> None:
        line = ReportLine(str(task.photo), str(task.output), status, **details)
        self._report.add(line)
        with self._counting:
            self.counts[status] += 1
            if line.code:
                self.failures[line.code] += 1


def why_unwritable(error: OSError) -> str:
    """Why a result cannot be written, for people."""
    if error.errno == errno.ENAMETOOLONG:
        return "The name of the result is too long. Give the photo a shorter name."
    return error.strerror or str(error)


def _identity(photo: Location) -> str:
    """The absolute path: a link and its target count as two photos."""
    return photo if isinstance(photo, str) else os.path.abspath(photo)  # noqa: PTH100


def _file(location: Location) -> object | None:
    """What a path leads to: the same for every link and every spelling; None if nothing is there."""
    if isinstance(location, str):
        return location
    try:
        about = location.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino
