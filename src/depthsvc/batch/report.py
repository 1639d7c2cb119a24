"""Files of JSON lines that are appended, and that a killed process leaves readable; and the report of a batch."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from depthsvc.errors import ConfigurationError

_BLOCK = 1 << 16


class Status(StrEnum):
    """The outcome of a photo."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class ReportLine:
    """A line of the report."""

    path: str
    output: str
    status: Status
    code: str | None = None
    """Why it failed, for programs: a code of the HTTP interface, unreadable, unwritable, name_taken or unreachable."""
    reason: str | None = None
    """Why it failed, for people."""
    model: str | None = None
    kind: str | None = None
    """What its depth values are: inverse_depth or metres."""
    min: float | None = None
    """The smallest of them, in the result's units if it holds depth."""
    max: float | None = None
    """The largest of them."""
    seconds: float | None = None
    """Time that the worker spent on it, without waiting."""


class JsonLines:
    """A file of JSON objects that is open for appending. Thread-safe: lines are written whole."""

    def __init__(self, path: Path, beginning: bytes, refusal: str, *, may_be_link: bool = True) -> None:
        """`beginning`: of the file, unless it is new. `refusal`: what to say of a file that begins otherwise.

        Raises ConfigurationError for such a file or one that must not be a link, and OSError.
        """
        self.path = path
        self._beginning = beginning
        self._refusal = refusal
        self._appending = threading.Lock()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            self._file = os.open(path, flags if may_be_link else flags | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise ConfigurationError(f"{path} is a link. Remove it, or name its target with --report.") from error
            raise
        try:
            self._cut_torn_line()
        except BaseException:
            self.close()
            raise

    def _cut_torn_line(self) -> None:
        """Remove the half line that a killed process or a full disk may have left: nothing is appended to it."""
        end = os.fstat(self._file).st_size
        begins = os.pread(self._file, len(self._beginning), 0)
        if begins != self._beginning[: len(begins)]:
            raise ConfigurationError(self._refusal)
        start = end
        while start > 0:
            start = max(0, end - _BLOCK)
            newline = os.pread(self._file, end - start, start).rfind(b"\n")
            if newline >= 0:
                os.ftruncate(self._file, start + newline + 1)
                return
            end = start
        os.ftruncate(self._file, 0)

    def append(self, content: Mapping[str, object]) -> None:
        """Append one line, whole or not at all. Raises OSError, for example when the disk is full."""
        line = memoryview(json.dumps(content, allow_nan=False).encode() + b"\n")
        with self._appending:
            try:
                while line:
                    line = line[os.write(self._file, line) :]
            except OSError as error:
                self._cut_torn_line()
                error.filename = str(self.path)
                raise

    def close(self) -> None:
        os.close(self._file)


class Report(JsonLines):
    """The report of a batch: one line per photo."""

    def __init__(self, path: Path, *, may_be_link: bool = True) -> None:
        """Raises ConfigurationError for a file that is not a report or must not be a link, and OSError."""
        refusal = f"{path} is not the report of a batch. Choose another file with --report."
        super().__init__(path, b'{"path": "', refusal, may_be_link=may_be_link)

    def add(self, outcome: ReportLine) -> None:
        """Append one line. Raises OSError."""
        self.append(vars(outcome))
