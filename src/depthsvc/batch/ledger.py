"""What is to be done, what has become of it, and where that is written down."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from depthsvc.batch.estimators import Result
from depthsvc.batch.outputs import Outputs
from depthsvc.batch.progress import Display, harmless, printable
from depthsvc.batch.report import Outcome, Report, Status
from depthsvc.batch.sources import Source


@dataclass(frozen=True)
class Task:
    """One photo that is to become one file."""

    photo: Path
    output: Path


class Ledger:
    """Decides which photos are to be done, keeps their results and writes the report. For use by several threads."""

    def __init__(self, outputs: Outputs, report: Report, display: Display, *, overwrite: bool) -> None:
        self.counts: Counter[Status] = Counter()
        self.failures: Counter[str] = Counter()
        """Photos that have failed, by code."""
        self.report_path = report.path
        self._outputs = outputs
        self._report = report
        self._display = display
        self._overwrite = overwrite
        self._owners: dict[Path, str] = {}
        """Which photo a result belongs to."""
        self._counting = threading.Lock()

    def open_tasks(self, sources: Iterable[Source]) -> list[Task]:
        """The photos that have no result yet. Those that have one, or cannot have one, are reported."""
        tasks: dict[Path, Task] = {}
        for source in sources:
            task = Task(source.path, self._outputs.path(source))
            photo = os.path.abspath(source.path)  # noqa: PTH100  # a link and what it points to are two photos
            owner = self._owners.setdefault(task.output, photo)
            if owner != photo:
                self.fail(task, "name_taken", f"{printable(task.output)} is the result of {printable(Path(owner))}.")
            elif source.problem:
                self.fail(task, "unreadable", source.problem)
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
            self.fail(task, "unwritable", f"{printable(task.output)}: {error.strerror or error}")
            return
        seconds = None if result.seconds is None else round(result.seconds, 4)
        self._record(task, Status.OK, model=result.model, seconds=seconds)

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
        self._report.add(Outcome(str(task.photo), str(task.output), status, code, reason, model, seconds))
        with self._counting:
            self.counts[status] += 1
            if code:
                self.failures[code] += 1
