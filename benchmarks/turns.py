"""Programs that answer photos in turns: one stays, and the others come one after another and alternate with it.

Each is as benchmarks/answering.py says.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from benchmarks.servers import ServerFailed

ROOT = Path(__file__).parents[1]
_END_S = 10.0
"""How long to wait for a program whose input has ended, in seconds."""
_AT_ONCE = 2
"""Photos of each process while two run at once."""


@dataclass(frozen=True)
class Answer:
    """What a program says of one photo."""

    seconds: float
    cpu_s: float
    """Processor time of all threads."""
    peak_bytes: int
    """Most resident memory of the process so far."""
    height: int
    width: int
    """Of the network's input."""


@dataclass(frozen=True)
class Contender:
    """A program and how to start it."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    doubled: bool = False
    """Whether two of its processes are measured at once as well, if it is not the one that stays."""


@dataclass
class Figures:
    """What was measured of a contender."""

    ready_s: list[float] = field(default_factory=list)
    """From the start of the process to its first answer."""
    answers: list[Answer] = field(default_factory=list)
    others: list[Answer] = field(default_factory=list)
    """The staying program's answers in the same turns; none without one, or for itself."""
    doubled: list[float] = field(default_factory=list)
    """Throughput of two processes to that of one."""
    doubled_cpu: list[float] = field(default_factory=list)
    """The same if processors are free: 2 x processor time of a photo alone to that of one beside another."""

    @property
    def peak_mb(self) -> float:
        return max(answer.peak_bytes for answer in self.answers) / 1e6

    @property
    def speed_ups(self) -> list[float]:
        """Times as fast as the staying program, turn by turn."""
        return [other.seconds / own.seconds for own, other in self._turns()]

    @property
    def cpu_ratios(self) -> list[float]:
        """Processor time to that of the staying program, turn by turn."""
        return [own.cpu_s / other.cpu_s for own, other in self._turns()]

    def _turns(self) -> list[tuple[Answer, Answer]]:
        return list(zip(self.answers, self.others, strict=True)) if self.others else []


class Program:
    """A running contender."""

    def __init__(self, contender: Contender, log: Path) -> None:
        self._log = log
        environment = {**os.environ, **contender.environment}
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                contender.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env=environment,
                text=True,
            )

    def tell(self) -> None:
        """Have it answer another photo."""
        assert self._process.stdin
        with suppress(BrokenPipeError):  # hear() says why
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def hear(self) -> Answer:
        """Its next answer. Raises ServerFailed if it has ended."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            lines = self._log.read_text(errors="replace").strip().splitlines()
            raise ServerFailed(f"ended with status {status}: {' / '.join(lines[-2:])}")
        return Answer(**json.loads(line))

    def ask(self) -> Answer:
        """Its answer to another photo. Raises ServerFailed if it has ended."""
        self.tell()
        return self.hear()

    def end(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@contextmanager
def running(contender: Contender, folder: Path, figures: Figures) -> Iterator[Program]:
    """A contender that has answered its first photo, which `figures` notes. Raises ServerFailed."""
    begun = time.perf_counter()
    program = Program(contender, folder / "program.log")
    try:
        program.hear()
        figures.ready_s.append(time.perf_counter() - begun)
        yield program
    finally:
        program.end()


def compete(
    staying: Contender | None, coming: Sequence[Contender], rounds: int, photos: int, folder: Path, failures: list[str]
) -> dict[str, Figures]:
    """The figures of each by name; a failure is noted, and the others go on. Raises ServerFailed if `staying` fails."""
    measured = {contender.name: Figures() for contender in (*([staying] if staying else []), *coming)}
    for _ in range(rounds):
        if staying is None:
            _come(coming, photos, folder, failures, measured)
            continue
        with running(staying, folder, measured[staying.name]) as program:
            _come(coming, photos, folder, failures, measured, (staying.name, program))
    return {name: figures for name, figures in measured.items() if figures.answers}


def _come(
    coming: Sequence[Contender],
    photos: int,
    folder: Path,
    failures: list[str],
    measured: Mapping[str, Figures],
    staying: tuple[str, Program] | None = None,
) -> None:
    """One round of all but the staying one."""
    for contender in coming:
        figures = measured[contender.name]
        try:
            with running(contender, folder, figures) as program:
                for _ in range(photos):
                    if staying:
                        figures.others.append(staying[1].ask())
                        measured[staying[0]].answers.append(figures.others[-1])
                    figures.answers.append(program.ask())
                if contender.doubled:
                    _double(contender, program, folder, figures)
        except ServerFailed as failure:
            del figures.others[len(figures.answers) :]
            failures.append(f"{contender.name}: {failure}")


def _double(contender: Contender, program: Program, folder: Path, figures: Figures) -> None:
    """Note what two processes do at once, beside one alone before and after."""
    with running(contender, folder, Figures()) as other:
        alone = [program.ask()]
        for each in (program, other) * _AT_ONCE:
            each.tell()
        together = [[each.hear() for _ in range(_AT_ONCE)] for each in (program, other)]
        alone.append(program.ask())
    one_s = mean(answer.seconds for answer in alone)
    figures.doubled.append(sum(one_s / mean(answer.seconds for answer in answers) for answers in together))
    cpu_s = mean(answer.cpu_s for answer in alone)
    figures.doubled_cpu.append(sum(cpu_s / mean(answer.cpu_s for answer in answers) for answers in together))
