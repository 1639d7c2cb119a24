"""A failed download is remembered for as long as it says, and no longer."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from depthsvc.model.weights.attempts import PAUSE_S, forget_failure, recent_failure, remember_failure


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "weights.pt"


def age(destination: Path, seconds: float) -> None:
    """Make what is remembered this old."""
    then = time.time() - seconds
    os.utime(destination.with_name("weights.pt.failed"), (then, then))


def test_failure_says_its_reason_and_when_the_next_try_is_due(destination: Path) -> None:
    remember_failure(destination, "No route.")
    assert (
        recent_failure(destination) == "No route. --model auto tries again in 10 min, depthsvc weights fetch at once."
    )
    age(destination, PAUSE_S - 30)
    assert recent_failure(destination) == "No route. --model auto tries again in 1 min, depthsvc weights fetch at once."


def test_old_failure_and_one_of_the_future_are_forgotten(destination: Path) -> None:
    remember_failure(destination, "No route.")
    for seconds in (PAUSE_S + 1, -100):
        age(destination, seconds)
        assert recent_failure(destination) is None


def test_failure_is_forgotten(destination: Path) -> None:
    forget_failure(destination)
    remember_failure(destination, "No route.")
    forget_failure(destination)
    assert recent_failure(destination) is None


def test_folder_that_cannot_be_written_remembers_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    destination = tmp_path / "file" / "weights.pt"
    remember_failure(destination, "No route.")
    assert recent_failure(destination) is None
