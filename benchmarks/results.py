"""The results: kept part by part in one JSON file, and shown as Markdown with a plot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import median

from pydantic import BaseModel, Field, RootModel

from benchmarks.machine import machine
from depthsvc.evaluation.table import Table
from depthsvc.machine.capacity import available_cpus

MEASURED, REPORT, PLOT = "measured.json", "README.md", "serving.svg"


_IDLE = 0.25
"""Fraction of the processors that may be busy on an idle machine."""


class Target(BaseModel):
    """A target, and whether it was reached."""

    name: str
    wanted: str
    measured: str
    reached: bool


class Panel(BaseModel):
    """One figure per contender, drawn as bars."""

    title: str
    values: dict[str, float]


class Part(BaseModel):
    """One part of a run."""

    title: str
    explanation: str = ""
    tables: list[Table] = Field(default_factory=list)
    targets: list[Target] = Field(default_factory=list)
    panels: list[Panel] = Field(default_factory=list)
    failures: list[str] = Field(default_factory=list)
    machine: str = Field(default_factory=machine)
    load: float = 0.0
    """How many processors other programs kept busy before the run."""
    day: date = Field(default_factory=date.today)
    versions: str = ""
    quick: bool = False

    @property
    def is_disturbed(self) -> bool:
        """Whether other programs were at work before the run."""
        return self.load > _IDLE * available_cpus()


class Measured(RootModel[dict[str, Part]]):
    """Parts by name."""


def kept(folder: Path) -> dict[str, Part]:
    """The parts of earlier runs."""
    path = folder / MEASURED
    return Measured.model_validate_json(path.read_bytes()).root if path.exists() else {}


def keep(folder: Path, parts: dict[str, Part]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MEASURED).write_text(Measured(parts).model_dump_json(indent=1) + "\n")


def markdown(parts: Sequence[Part]) -> str:
    """The report as Markdown."""
    targets = [target for part in parts for target in part.targets]
    rows = [[target.name, target.wanted, target.measured, "yes" if target.reached else "**no**"] for target in targets]
    summary = Table("Targets", ["target", "wanted", "measured", "reached"], rows)
    plot = [f"![Throughput, latency and memory of each service]({PLOT})"] if any(part.panels for part in parts) else []
    head = ["# Results of `make bench`", "[How to read them](../../docs/benchmarks.md)."]
    return "\n\n".join([*head, *plot, summary.markdown(), *map(_section, parts)]) + "\n"


def _section(part: Part) -> str:
    origin = f"{part.day:%-d %B %Y}. {part.machine}. Processors busy before: {part.load:.1f}."
    origin += " **Disturbed: other programs were at work.**" if part.is_disturbed else ""
    lines = [f"## {part.title}", part.explanation, origin + (" A quick run." if part.quick else ""), part.versions]
    failures = [f"Failed: {failure}" for failure in part.failures]
    return "\n\n".join(filter(None, [*lines, *failures, *(table.markdown() for table in part.tables)]))


def spread(values: Sequence[float], digits: int = 1) -> str:
    """The median of some rounds, and their range."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this fraction of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
