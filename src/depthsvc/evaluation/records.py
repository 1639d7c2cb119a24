"""The scores of each photo by each model, in a file from which a killed evaluation resumes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depthsvc.batch.report import JsonLines
from depthsvc.errors import ConfigurationError

FILE = "scores.jsonl"
_VERSION = 1
"""Of the scores: what another version computed is not mixed with this one's."""


@dataclass(frozen=True)
class Key:
    """A photo of a source, and the model that is scored on it."""

    model: str
    source: str
    """Path of the data."""
    pair: str
    version: str
    """Of what is read of it: a photo that has changed has no score."""


@dataclass(frozen=True)
class Record:
    """The outcome of a photo."""

    key: Key
    made_by: str
    """What decides a model's depth: its weights and settings."""
    scores: Mapping[str, float]
    """By name; empty if it failed. NaN: not defined for this photo."""
    code: str | None = None
    """Why it failed, for programs."""
    reason: str | None = None
    """The same for people."""
    seconds: float | None = None
    """Time that the worker spent on it."""
    peak_memory: int | None = None
    """The most memory that the worker had until then, in bytes."""

    @property
    def is_ok(self) -> bool:
        return self.code is None


class Records:
    """The records in a folder. Thread-safe as far as `add` goes."""

    def __init__(self, folder: Path, protocol: Mapping[str, object]) -> None:
        """`protocol`: what must be the same for all. Raises ConfigurationError if the folder's is another, OSError."""
        path = folder / FILE
        beginning = json.dumps({"version": _VERSION, "protocol": protocol}) + "\n"
        refusal = f"{path} has scores of another protocol or version. Choose another folder with --output."
        self._lines = JsonLines(path, beginning.encode(), refusal)
        self.models: dict[str, Mapping[str, Any]] = {}
        """What is known of each model that has been scored, by name."""
        self._records: dict[Key, Record] = {}
        if not path.stat().st_size:
            self._lines.append({"version": _VERSION, "protocol": protocol})
        for number, line in _lines(path):
            try:
                self._take(json.loads(line))
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                raise ConfigurationError(f"{path}: line {number} is damaged. Remove it.") from error

    def _take(self, line: Mapping[str, Any]) -> None:
        if "about" in line:
            self.models[line["model"]] = line["about"]
            return
        key = Key(line["model"], line["source"], line["pair"], line["version"])
        scores = {name: math.nan if score is None else score for name, score in line["scores"].items()}
        self._records[key] = Record(
            key, line["made_by"], scores, line["code"], line["reason"], line["seconds"], line["peak_memory"]
        )

    def begin(self, model: str, about: Mapping[str, Any]) -> None:
        """Note what is known of a model, above all what its depth is `made_by`, before its scores."""
        if self.models.get(model) != about:
            self._lines.append({"model": model, "about": about})
        self.models[model] = about

    def add(self, record: Record) -> None:
        """Keep a record, instead of an earlier one of the same photo. Raises OSError."""
        scores = {name: score if math.isfinite(score) else None for name, score in record.scores.items()}
        key = vars(record.key)
        self._lines.append(
            {**key, **{name: value for name, value in vars(record).items() if name != "key"}, "scores": scores}
        )
        self._records[record.key] = record

    def get(self, key: Key) -> Record | None:
        """The record of a photo by the model as it is now."""
        record = self._records.get(key)
        return record if record and record.made_by == self.models.get(key.model, {}).get("made_by") else None

    def close(self) -> None:
        self._lines.close()


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """All lines but the first, with their numbers from 1."""
    with path.open("rb") as lines:
        next(lines, None)
        yield from enumerate(lines, 2)
