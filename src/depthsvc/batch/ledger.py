"""What is to be done, what has become of it, and where that is written down."""

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
    """One photo that is to become one file."""

    photo: Location
    output: Location


class Places(Protocol):
    """Where results are."""

    def path(self, source: Source) -> Location:
        """Where a photo's result goes."""

    def exists(self, path: Location) -> bool:
        """Whether a result is there."""

    def write(self, path: Location, data: bytes) -> None:
        """Put a result in its place at once and whole. Raises OSError."""


class Ledger:
    """Decides which photos are to be done, keeps their results and writes the report. For use by several threads."""

    def __init__(self, outputs: Places, report: Report, display: Display, *, overwrite: bool) -> None:
        self.counts: Counter[Status] = Counter()
        self.failures: Counter[str] = Counter()
        """Photos that have failed, by code."""
        self.report_path = report.path
        self._outputs = outputs
        self._report = report
        self._display = display
        self._overwrite = overwrite
        self._owners: dict[Location, str] = {}
        """Which photo a result belongs to."""
        self._counting = threading.Lock()

    def open_tasks(self, sources: Iterable[Source]) -> list[Task]:
        """The photos that have no result yet. Those that have one, or cannot have one, are reported."""
        tasks: dict[Location, Task] = {}
        for source in sources:
            task = Task(source.path, self._outputs.path(source))
            photo = _identity(source.path)
            owner = self._owners.setdefault(task.output, photo)
            if owner != photo:
                self.fail(task, "name_taken", f"{printable(task.output)} is the result of {printable(owner)}.")
            elif source.problem:
                self.fail(task, UNREADABLE, source.problem)
            elif not self._overwrite and self._outputs.exists(task.output):
                self._record(task, Status.SKIPPED)
            else:
                tasks[task.output] = task
        return list(tasks.values())

    def keep(self, task: Task, result: Result) -> None:
        """Write a result to its place. A result that cannot be written is a failure of its photo."""
        try:
            self._outputs.write(task.output, result.body)
        except OSError as error:
            self.fail_to_write(task, error.strerror or str(error))
        else:
            self.done(task, result.model, result.seconds)

    def done(self, task: Task, model: str, seconds: float | None) -> None:
        """Report a result that is in its place."""
        self._record(task, Status.OK, model=model, seconds=None if seconds is None else round(seconds, 4))

    def fail_to_write(self, task: Task, reason: str) -> None:
        """Report a result that cannot be written: a failure of its photo."""
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
    """A link and what it points to are two photos."""
    return photo if isinstance(photo, str) else os.path.abspath(photo)  # noqa: PTH100
