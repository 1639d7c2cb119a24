"""The photos of a batch, their results, and the report of both."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from depthsvc.batch.estimators import Result
from depthsvc.batch.progress import Display, harmless, printable
from depthsvc.batch.report import Report, ReportLine, Status
from depthsvc.batch.sources import Location, Source

UNWRITABLE = "unwritable"
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Task:
    """One photo and the file for its result."""

    photo: Location
    output: Location


class Places(Protocol):
    """Where results are stored."""

    def path(self, source: Source) -> Location:
        """Where a photo's result goes."""

    def exists(self, path: Location) -> bool:
        """Whether a result exists."""

    def write(self, path: Location, data: bytes) -> None:
        """Write a result atomically. Raises OSError."""


class Ledger:
    """Decides which photos to process, keeps their results and writes the report. Thread-safe."""

    def __init__(self, outputs: Places, report: Report, display: Display, *, overwrite: bool) -> None:
        self.counts: Counter[Status] = Counter()
        self.failures: Counter[str] = Counter()
        """Number of failed photos by code."""
        self.report_path = report.path
        self._outputs = outputs
        self._report = report
        self._display = display
        self._overwrite = overwrite
        self._owners: dict[Location, str] = {}
        """Result file -> the photo that it belongs to."""
        self._counting = threading.Lock()

    def open_tasks(self, sources: Iterable[Source]) -> list[Task]:
        """The photos without a result. Those that have one, or cannot get one, are reported instead."""
        tasks: dict[Location, Task] = {}
        for source in sources:
            task = Task(source.path, self._outputs.path(source))
            photo = _identity(source.path)
            owner = self._owners.setdefault(task.output, photo)
            if owner != photo:
                self.fail(
                    task,
                    "name_taken",
                    f"{printable(task.output)} is already the result of {printable(owner)}. Rename one of the photos.",
                )
            elif source.problem:
                self.fail(task, UNREADABLE, source.problem)
            elif not self._overwrite and self._outputs.exists(task.output):
                self._record(task, Status.SKIPPED)
            else:
                tasks[task.output] = task
        return list(tasks.values())

    def keep(self, task: Task, result: Result) -> None:
        """Write a result. If that fails, its photo counts as failed."""
        try:
            self._outputs.write(task.output, result.body)
        except OSError as error:
            self.fail_to_write(task, error.strerror or str(error))
        else:
            self.done(task, result.model, result.seconds)

    def done(self, task: Task, model: str, seconds: float | None) -> None:
        """Report a result that has been written."""
        self._record(task, Status.OK, model=model, seconds=None if seconds is None else round(seconds, 4))

    def fail_to_write(self, task: Task, reason: str) -> None:
        """Report a result that cannot be written; its photo counts as failed."""
        self.fail(task, UNWRITABLE, f"{printable(task.output)}: {reason}")

    def fail(self, task: Task, code: str, reason: str) -> None:
        """Report why a photo has no result."""
        self._record(task, Status.FAILED, code=code, reason=reason)
        self._display.note(f"{printable(task.photo)}: {harmless(reason)}")

    def _record(
        self,
        task: Task,
        status: Status,
        *,
        code: str | None = None,
        reason: str | None = None,
        model: str | None = None,
        seconds: float | None = None,
    ) -> None:
        self._report.add(ReportLine(str(task.photo), str(task.output), status, code, reason, model, seconds))
        with self._counting:
            self.counts[status] += 1
            if code:
                self.failures[code] += 1


def _identity(photo: Location) -> str:
    """The absolute path: a link and its target count as two photos."""
    return photo if isinstance(photo, str) else os.path.abspath(photo)  # noqa: PTH100
