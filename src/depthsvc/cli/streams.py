"""Standard output and error, which may be closed, full, or without a reader."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

_INPUT, _OUTPUT, _ERROR = range(3)


def use_safe_streams() -> None:
    """Have standard output raise only for its first failed write, and standard error for none: nobody could read of it.

    For a process of its own, before it opens anything: a file or a socket would get the number of a closed stream, and
    with it all that is written there.
    """
    closed = [number for number in (_INPUT, _OUTPUT, _ERROR) if _reserve(number)]
    if _INPUT in closed:
        sys.stdin = open(_INPUT, closefd=False)  # noqa: SIM115  # empty
    sys.stdout = _text(_Output(_OUTPUT, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Error(_ERROR, "w", closefd=False), sys.stderr)


def _reserve(number: int) -> bool:
    """Whether a descriptor was closed. Then /dev/null gets its number, here and in children; writing to it fails."""
    try:
        os.fstat(number)
    except OSError:
        os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)  # the lowest free number
        return True
    return False


class _Output(io.FileIO):
    """Raises for the first write that fails, and discards all later ones, such as Python's last at exit."""

    _failed = False

    def write(self, data: bytes) -> int | None:  # type: ignore[override]
        try:
            return len(data) if self._failed else super().write(data)
        except OSError as error:
            self._failed = True
            reason = "it is closed" if error.errno == errno.EBADF else error.strerror
            raise OSError(error.errno, reason, "standard output") from error


class _Error(io.FileIO):
    """Discards what cannot be written."""

    def write(self, data: bytes) -> int | None:  # type: ignore[override]
        with suppress(OSError):
            return super().write(data)
        return len(data)


def _text(raw: io.FileIO, before: TextIO | None) -> TextIO:
    """A text stream in place of another, which is None if it was closed."""
    error = isinstance(raw, _Error)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before else "utf-8",
        errors="backslashreplace" if error else (before.errors if before else "strict"),
        line_buffering=error or raw.isatty(),
    )
