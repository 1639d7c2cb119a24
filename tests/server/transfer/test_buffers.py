from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from depthsvc.errors import QueueFull
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


async def moving(buffer: Buffer, count: int, *, client: str = "", settled: bool = False, rate: int = 0) -> str:
    """A client that moves some bytes, and then nothing more or `rate` bytes a second; or whose bytes are all here."""
    try:
        hold = buffer.promise(0, client)
    except QueueFull:
        return "refused"
    with hold:
        try:
            async with hold.transfer(longest_s=8):
                hold.resize(count)
                while not settled:
                    await asyncio.sleep(0.1 if rate else 60)
                    hold.moved(rate // 10)
            await asyncio.sleep(0.2)
        except TimeoutError:
            return "evicted" if hold.evicted else "stalled"
    return "kept"


async def outcomes(buffer: Buffer, *counts: int) -> list[str]:
    clients = []
    for count in counts:
        clients.append(asyncio.create_task(moving(buffer, count)))
        await asyncio.sleep(0.01)
    return list(await asyncio.gather(*clients))


def test_who_stalls_loses_its_place() -> None:
    buffer = uploads(100, stall_s=0.05)
    assert run(outcomes(buffer, 10, 20)) == ["stalled", "stalled"]
    assert buffer.bytes == 0


def test_the_oldest_upload_gives_way() -> None:
    assert run(outcomes(uploads(100, stall_s=0.2), 30, 40, 50)) == ["evicted", "stalled", "stalled"]


def test_the_largest_answer_gives_way_whatever_its_rate() -> None:
    """As when results are larger than was expected of them."""
    assert run(outcomes(answers(100, stall_s=0.2), 30, 60, 20)) == ["stalled", "evicted", "stalled"]


def test_what_is_too_large_alone_gives_way_itself() -> None:
    assert run(outcomes(uploads(100, stall_s=0.2), 101)) == ["evicted"]


def test_what_is_promised_never_exceeds_the_bound() -> None:
    async def scenario() -> None:
        buffer = answers(100, stall_s=1)
        with (
            buffer.promise(60),
            buffer.promise(40),
            pytest.raises(QueueFull, match="There is no memory for this result"),
        ):
            buffer.promise(1)
        assert buffer.bytes == 0
        with buffer.promise(100):
            assert buffer.bytes == 100

    run(scenario())


@pytest.mark.parametrize(("rate", "outcome"), [(500_000, "evicted"), (1_200_000, "stalled")])
def test_a_slow_reader_gives_way_to_a_new_photo(rate: int, outcome: str) -> None:
    async def scenario() -> list[str]:
        buffer = answers(100, stall_s=1)
        reading = asyncio.create_task(moving(buffer, 60, rate=rate))
        await asyncio.sleep(5)
        refused = []
        try:
            buffer.promise(50)
        except QueueFull:
            refused.append("refused")
        return [*refused, await reading]

    assert run(scenario()) == (["evicted"] if outcome == "evicted" else ["refused", "stalled"])


def test_a_reader_is_judged_by_its_latest_pace() -> None:
    """It took nearly everything at once, and now nothing."""

    async def scenario() -> str:
        buffer = answers(1 << 30, stall_s=60)
        with buffer.promise(1 << 30) as hold:
            try:
                async with hold.transfer(longest_s=60):
                    hold.moved(1_000_000_000)
                    await asyncio.sleep(3)
                    hold.moved(1000)
                    await asyncio.sleep(3)
                    with buffer.promise(50):
                        await asyncio.sleep(1)
            except TimeoutError:
                return "evicted"
        return "kept"

    assert run(scenario()) == "evicted"


def test_what_the_system_has_taken_counts_as_read_once_it_has_reached_the_client() -> None:
    async def scenario() -> float | None:
        with answers(100, stall_s=60).promise(100) as hold:
            async with hold.transfer(longest_s=60, waiting=lambda: 4_000_000):
                await asyncio.sleep(1)
                hold.moved(4_000_000)
                await asyncio.sleep(3)
                return hold.pace()

    assert run(scenario()) == 0


def test_a_client_leaves_as_much_for_others_as_it_holds() -> None:
    async def scenario() -> None:
        buffer = answers(100, stall_s=1)
        with buffer.promise(90, "alone"), pytest.raises(QueueFull, match="Your other photos"):
            buffer.promise(6, "alone")
        with buffer.promise(30, "a"), buffer.promise(20, "a"):
            with pytest.raises(QueueFull, match="Your other photos"):
                buffer.promise(20, "a")
            with buffer.promise(50, "b"):
                assert buffer.bytes == 100

    run(scenario())


def test_what_a_client_has_read_a_moment_ago_is_not_held_against_it() -> None:
    async def scenario() -> None:
        buffer, unsent = answers(100, stall_s=1), [60]
        hold = buffer.promise(60, "a")
        async with hold.transfer(longest_s=1, waiting=lambda: unsent[0]):
            pass
        hold.linger(lambda: None)
        with pytest.raises(QueueFull, match="Your other photos"):
            buffer.promise(60, "a")
        unsent[0] = 0
        with buffer.promise(60, "a"):
            unsent[0] = 60  # of the connection's next response
            hold.linger(lambda: None)
            assert buffer.bytes == 60

    run(scenario())


def test_an_evicted_hold_holds_nothing_whatever_still_comes() -> None:
    async def evicted(hold: Hold) -> None:
        async with hold.transfer(longest_s=1):
            hold.evict()
            hold.resize(90)
            await asyncio.sleep(1)

    async def scenario() -> int:
        buffer = answers(100, stall_s=1)
        with pytest.raises(TimeoutError):
            await evicted(buffer.promise(60, "a"))
        return buffer.bytes

    assert run(scenario()) == 0


def test_two_readers_do_not_cut_each_other_off() -> None:
    async def scenario() -> list[str]:
        buffer = answers(100, stall_s=5)
        reading = asyncio.create_task(moving(buffer, 80, client="first", rate=6_000_000))
        for _ in range(5):
            await asyncio.sleep(1)
            with pytest.raises(QueueFull):
                buffer.promise(80, "second")
        return [await reading]

    assert run(scenario()) == ["stalled"]  # at the end of its time, and not evicted


def test_who_turns_out_larger_than_promised_gives_way_before_others() -> None:
    async def scenario() -> list[str]:
        buffer = answers(100, stall_s=1)
        honest = asyncio.create_task(moving(buffer, 60, client="honest"))
        await asyncio.sleep(0.01)
        return list(await asyncio.gather(honest, moving(buffer, 50, client="larger")))

    assert run(scenario()) == ["stalled", "evicted"]


def test_a_photo_that_is_all_here_is_not_evicted() -> None:
    async def scenario() -> list[str]:
        buffer = uploads(100, stall_s=0.05)
        return list(await asyncio.gather(moving(buffer, 80, settled=True), moving(buffer, 80)))

    assert run(scenario()) == ["kept", "evicted"]


def test_a_client_that_keeps_moving_is_not_cut_off_but_at_the_end() -> None:
    async def move_for_ever(hold: Hold) -> None:
        async with hold.transfer(longest_s=0.4):
            while True:
                await asyncio.sleep(0.02)
                hold.moved(1000)

    async def scenario() -> float:
        started = asyncio.get_running_loop().time()
        with uploads(100, stall_s=0.1).promise(0) as hold, pytest.raises(TimeoutError):
            await move_for_ever(hold)
        return asyncio.get_running_loop().time() - started

    assert run(scenario()) >= 0.4
