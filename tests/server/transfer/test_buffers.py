from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from depthsvc.server.transfer import buffers
from depthsvc.server.transfer.buffers import Buffer, Hold, answers, uploads

T = TypeVar("T")


class Hurried(selectors.DefaultSelector):
    """Does not wait, but says that the time has passed."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing would ever happen"
        self.passed += timeout
        return super().select(0)


class HurriedLoop(asyncio.SelectorEventLoop):
    """Nothing takes time but what waits for it, and that takes none of ours."""

    def __init__(self) -> None:
        self._hurried = Hurried()
        super().__init__(self._hurried)

    def time(self) -> float:
        return self._hurried.passed


def run(scenario: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        return runner.run(scenario)


async def moving(buffer: Buffer, count: int, held: list[Hold], *, settled: bool = False) -> str:
    """A client that moves some bytes and then nothing more; or whose bytes have all come and are waited for."""
    with buffer.hold() as hold:
        held.append(hold)
        try:
            async with hold.transfer(longest_s=math.inf):
                hold.add(count)
                if not settled:
                    await asyncio.sleep(60)
            await asyncio.sleep(0.2)
        except TimeoutError:
            return "evicted" if hold.evicted else "stalled"
    return "kept"


async def outcomes(buffer: Buffer, *counts: int) -> list[str]:
    held: list[Hold] = []
    clients = []
    for count in counts:
        clients.append(asyncio.create_task(moving(buffer, count, held)))
        await asyncio.sleep(0.01)
    return list(await asyncio.gather(*clients))


def test_who_stalls_loses_its_place() -> None:
    buffer = uploads(100, stall_s=0.05)
    assert run(outcomes(buffer, 10, 20)) == ["stalled", "stalled"]
    assert buffer.bytes == 0


def test_the_oldest_upload_gives_way() -> None:
    assert run(outcomes(uploads(100, stall_s=0.2), 30, 40, 50)) == ["evicted", "stalled", "stalled"]


def test_of_the_slow_answers_the_largest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_PATIENCE_S", 0.0)
    assert run(outcomes(answers(100, stall_s=0.2), 30, 60, 20)) == ["stalled", "evicted", "stalled"]


def test_what_is_too_large_alone_gives_way_itself() -> None:
    assert run(outcomes(uploads(100, stall_s=0.2), 101)) == ["evicted"]


def test_a_client_that_takes_its_answer_fast_does_not_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_PATIENCE_S", 0.05)

    async def taking(buffer: Buffer, rate: int) -> str:
        with buffer.hold() as hold:
            try:
                async with hold.transfer(longest_s=0.3):
                    hold.add(60)
                    while True:
                        await asyncio.sleep(0.01)
                        hold.moved(rate // 100)
            except TimeoutError:
                return "evicted" if hold.evicted else "done"

    async def scenario() -> list[str]:
        buffer = answers(100, stall_s=1)
        clients = [asyncio.create_task(taking(buffer, rate)) for rate in (20_000_000, 1000)]
        await asyncio.sleep(0.1)
        with buffer.hold() as hold:
            hold.add(60)
            return list(await asyncio.gather(*clients))

    assert run(scenario()) == ["done", "evicted"]


def test_a_photo_that_is_all_here_is_not_evicted() -> None:
    async def scenario() -> list[str]:
        buffer = uploads(100, stall_s=0.05)
        held: list[Hold] = []
        return list(
            await asyncio.gather(moving(buffer, 80, held, settled=True), moving(buffer, 80, held, settled=False))
        )

    assert run(scenario()) == ["kept", "evicted"]


def test_a_client_that_keeps_moving_is_not_cut_off_but_at_the_end() -> None:
    async def move_for_ever(hold: Hold) -> None:
        async with hold.transfer(longest_s=0.4):
            while True:
                await asyncio.sleep(0.02)
                hold.moved(1000)

    async def scenario() -> float:
        started = asyncio.get_running_loop().time()
        with uploads(100, stall_s=0.1).hold() as hold, pytest.raises(TimeoutError):
            await move_for_ever(hold)
        return asyncio.get_running_loop().time() - started

    assert run(scenario()) >= 0.4
