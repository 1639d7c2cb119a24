"""The progress of a batch or a video on standard error: a bar on a terminal, otherwise a line every ten seconds."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

_LINES_EVERY_S = 10.0
_BAR_RATE_HZ = 4
"""Updates per second: drawing takes CPU time from the workers."""


class Display(Protocol):
    """Shows progress and messages. Thread-safe."""

    def begin(self, count: int | None) -> None:
        """So many more are going to be computed; None if nobody knows how many."""

    def advance(self) -> None:
        """One of them is finished."""

    def note(self, message: str) -> None:
        """Show a message to the user."""

    def end(self) -> None:
        """Stop showing progress."""


def display(things: str = "photos") -> Display:
    """The display that suits standard error. `things`: what is counted."""
    console = Console(stderr=True)
    return Bar(console, things) if console.is_terminal else Lines(things)


def printable(path: Path | str) -> str:
    """A path or URI for people: a name that is not UTF-8 cannot be printed as it is."""
    return harmless(os.fsencode(path).decode(errors="replace"))


def harmless(text: str) -> str:
    """Untrusted text with control characters replaced, so that it cannot control a terminal."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


class _Rate(ProgressColumn):
    def __init__(self, things: str) -> None:
        super().__init__()
        self._things = things

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.1f} {self._things}/s")


class Bar:
    """A bar with the rate and the time left."""

    def __init__(self, console: Console, things: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(things),
            TimeRemainingColumn(),
            console=console,
            refresh_per_second=_BAR_RATE_HZ,
        )
        self._task = self._progress.add_task("depth", total=0)
        self._total = 0

    def begin(self, count: int | None) -> None:
        self._total += count or 0
        self._progress.update(self._task, total=None if count is None else self._total)
        self._progress.start()

    def advance(self) -> None:
        self._progress.advance(self._task)

    def note(self, message: str) -> None:
        self._progress.console.print(message, markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        self._progress.stop()


class Lines:
    """A line every ten seconds."""

    def __init__(self, things: str) -> None:
        self._things = things
        self._total = self._done = 0
        self._began = self._said = time.monotonic()
        self._counting = threading.Lock()

    def begin(self, count: int | None) -> None:
        if self._done >= self._total:
            self._began = self._said = time.monotonic()
            self._total = self._done = 0
        self._total += count or 0

    def advance(self) -> None:
        with self._counting:
            self._done += 1
            now = time.monotonic()
            if self._done == 1:  # what came before it was also the loading of the network
                self._began = now
            if now - self._said >= _LINES_EVERY_S and (self._done < self._total or not self._total):
                self._said = now
                self.note(self._line(now - self._began))

    def _line(self, since_first_s: float) -> str:
        count = f"{self._done} of {self._total} {self._things}" if self._total else f"{self._done} {self._things}"
        if self._done == 1 or not since_first_s:
            return count
        rate = (self._done - 1) / since_first_s
        left = f", {(self._total - self._done) / rate:.0f} s left" if self._total else ""
        return f"{count}, {rate:.1f} {self._things}/s{left}"

    def note(self, message: str) -> None:
        click.echo(message, err=True)

    def end(self) -> None:
        pass
