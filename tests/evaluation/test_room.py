"""Comparisons that would take too much memory together wait for each other."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from depthsvc.evaluation.room import Room


@pytest.mark.parametrize(
    ("room", "pixels", "expected", "most"),
    [
        pytest.param(Room(100), 30, 3, 3, id="as many as there is room for"),
        pytest.param(Room(10), 30, 1, 1, id="one always"),
        pytest.param(Room(), 640 * 480, 8, 16, id="small ones together"),
    ],
)
def test_so_many_get_in_together(room: Room, pixels: int, expected: int, most: int) -> None:
    inside = 0
    counting, together = threading.Lock(), threading.Barrier(expected, timeout=60)
    seen: list[int] = []

    def enter() -> None:
        nonlocal inside
        with room.of(pixels):
            with counting:
                inside += 1
                seen.append(inside)
            together.wait()  # fails unless as many as expected are in the room
            with counting:
                inside -= 1

    with ThreadPoolExecutor(2 * expected) as threads:
        for entered in [threads.submit(enter) for _ in range(2 * expected)]:
            entered.result()
    assert expected <= max(seen) <= most
