"""Downloads that failed, remembered for a while, so that not every start waits for what cannot be reached."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from pathlib import Path

PAUSE_S = 600
"""Seconds for which a failure is remembered."""


def remember_failure(destination: Path, reason: str) -> None:
    """Remember that the download of `destination` has just failed, unless its folder cannot be written."""
    with suppress(OSError):
        _record(destination).write_text(reason)


def forget_failure(destination: Path) -> None:
    """The next call of `recent_failure` returns None."""
    with suppress(OSError):
        _record(destination).unlink()


def recent_failure(destination: Path) -> str | None:
    """Why the last download failed, and when the next is due; None if no failure is remembered."""
    try:
        reason = _record(destination).read_text(errors="replace")
        age_s = time.time() - _record(destination).stat().st_mtime
    except OSError:
        return None
    if not 0 <= age_s < PAUSE_S:
        return None
    minutes = math.ceil((PAUSE_S - age_s) / 60)
    return f"{reason} --model auto tries again in {minutes} min, depthsvc weights fetch at once."


def _record(destination: Path) -> Path:
    return destination.with_name(destination.name + ".failed")
