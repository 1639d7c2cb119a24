"""Progress where standard error is no terminal."""

from __future__ import annotations

import time

import pytest

from depthsvc.batch.progress import Lines


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def lines(clock: list[float], count: int | None, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is said of frames that take 5 s each, after a network that took a minute to load."""
    shown = Lines("frames")
    shown.begin(count)
    for number in range(5):
        clock[0] = 60 + 5 * number
        shown.advance()
    return capsys.readouterr().err.splitlines()


def test_the_rate_is_that_after_the_network_is_loaded(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    said = ["1 of 40 frames", "3 of 40 frames, 0.2 frames/s, 185 s left", "5 of 40 frames, 0.2 frames/s, 175 s left"]
    assert lines(clock, 40, capsys) == said


def test_of_a_stream_without_a_known_length_the_frames_are_counted(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert lines(clock, None, capsys) == ["1 frames", "3 frames, 0.2 frames/s", "5 frames, 0.2 frames/s"]
