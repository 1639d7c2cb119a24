"""What every batch has, whatever computes it: a plan, a ledger, signal handling and an exit status."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from depthsvc.batch.estimators import Remote
from depthsvc.batch.ignored import Ignored
from depthsvc.batch.ledger import Ledger, Places
from depthsvc.batch.names import REPORT
from depthsvc.batch.progress import Display, display, printable
from depthsvc.batch.report import Report, Status
from depthsvc.options import Options
from depthsvc.settings import Settings

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Plan:
    """Everything about a batch except its photos."""

    output: Path
    extension: str
    options: Options
    settings: Settings
    """Settings of the local workers; the limit on pixels always applies."""
    report: Path | None = None
    """None: report.jsonl in the output folder."""
    overwrite: bool = False
    remote: Remote | None = None
    videos: bool = False
    """Whether videos are accepted as well."""


@dataclass(frozen=True)
class Outcome:
    """How computing ended."""

    seconds: float = 0.0
    """Duration."""
    interrupted: int | None = None
    """Exit status of a signal that stopped it."""
    broken: bool = False
    """Whether it stopped early because of a failure."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing stopped it."""
        return self.interrupted is None and not self.broken

    def then(self, other: Outcome) -> Outcome:
        """Of both, one after the other."""
        return Outcome(self.seconds + other.seconds, self.interrupted or other.interrupted, self.broken or other.broken)


class Interrupted(SystemExit):
    """A signal has stopped the batch."""

    def __init__(self, number: int) -> None:
        self.status = 128 + number
        super().__init__(self.status)


@contextmanager
def open_ledger(plan: Plan, outputs: Places, ignored: Ignored) -> Iterator[tuple[Ledger, Display]]:
    """The ledger of a batch and its progress display."""
    path = plan.report or plan.output / REPORT
    with closing(Report(path, may_be_link=plan.report is not None)) as report:
        shown = display()
        yield Ledger(outputs, report, shown, ignored, overwrite=plan.overwrite), shown


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Have SIGINT and SIGTERM raise SystemExit with exit status 130 or 143."""
    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupt(number: int, _: object) -> None:
    """Signal handler that raises `Interrupted`."""
    ignore_signals()
    raise Interrupted(number)


def heed_signals() -> None:
    """Have signals raise `Interrupted` again."""
    for number in SIGNALS:
        signal.signal(number, interrupt)


def ignore_signals() -> None:
    """Ignore further signals: only a moment's work is left."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def finish(
    ledger: Ledger, shown: Display, status_if_interrupted: int | None, seconds: float, *, things: str = "photos"
) -> int:
    """Print a summary of the outcomes, `things` a second among them; returns the exit status."""
    done, failed, skipped = (ledger.counts[status] for status in (Status.OK, Status.FAILED, Status.SKIPPED))
    rate = f" in {seconds:.1f} s ({done / seconds:.1f} {things}/s)" if done else ""
    summary = f"{done} done{rate}, {skipped} skipped, {failed} failed{_reasons(ledger) if failed else ''}"
    shown.note(f"{summary}, {ledger.ignored}" if ledger.ignored else summary)
    if status_if_interrupted:
        shown.note("Interrupted. Run the same command again to resume.")
        return status_if_interrupted
    return 1 if failed else 0


def _reasons(ledger: Ledger) -> str:
    codes = ", ".join(f"{code} {count}" for code, count in ledger.failures.most_common())
    return f" ({codes}; see {printable(ledger.report_path)})"
