"""What a check finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from depthsvc.cli.doctor.configuration import Configuration


class Status(StrEnum):
    """How serious a finding is."""

    FINE = "ok"
    NOTE = "note"
    """It works, but not as well as it could, or otherwise than somebody may expect."""
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """The result of a check, for people."""

    status: Status
    sentence: str


class Check(NamedTuple):
    """A row of the report."""

    name: str
    """Stable: programs look for it."""
    run: Callable[[Configuration], Finding]
    """May raise anything, which is then what is wrong."""

    def find(self, configuration: Configuration) -> Finding:
        """What the check finds; never raises an Exception."""
        try:
            return self.run(configuration)
        except Exception as error:  # a broken part never breaks the report
            return wrong(_in_words(error))


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def fine(sentence: str) -> Finding:
    """Nothing to do."""
    return Finding(Status.FINE, sentence)


def note(sentence: str) -> Finding:
    """Something to know."""
    return Finding(Status.NOTE, sentence)


def wrong(sentence: str) -> Finding:
    """Something to mend; the sentence says how."""
    return Finding(Status.WRONG, sentence)
