"""More photos than the service can take. Refusing the surplus must not cost those that are taken."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from benchmarks.load import Tally, closed_load, open_load, send
from tests.conftest import RunningService, StartService
from tests.security.conftest import keep_asking


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.long)])
def test_four_times_the_capacity(target: RunningService, upload: bytes, seconds: float) -> None:
    peak = max(
        asyncio.run(closed_load(partial(send, target.url, upload), clients=n, seconds=seconds / 4)).goodput
        for n in (2, 4)
    )
    tally = asyncio.run(open_load(partial(send, target.url, upload), rate=4 * peak, seconds=seconds))
    print(f"peak {peak:.1f}/s, at four times that {tally.goodput:.1f}/s, {dict(tally.statuses)}")
    if seconds < 60:  # the queue of 64 is what the first seconds fill, so a short run refuses few or none
        assert set(tally.statuses) <= {200, 503}
    else:
        assert set(tally.statuses) == {200, 503}
        assert tally.goodput >= 0.9 * peak
        assert tally.longest(0.99) <= 66 / peak * 1.5
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in tally.of(503))


def test_what_is_refused_says_when_to_come_back(start_service: StartService, upload: bytes) -> None:
    small = start_service("--model", "embedded", "--workers", "1", "--worker-threads", "1", "--queue-size", "1")
    tally = Tally()
    enough = lambda: len(tally.of(200)) >= 20 and len(tally.of(503)) >= 20  # noqa: E731
    asyncio.run(keep_asking(partial(send, small.url, upload), tally, until=enough))
    assert set(tally.statuses) == {200, 503}
    assert all(1 <= int(reply.headers["retry-after"]) <= 9 for reply in tally.of(503))
    assert {b'"queue_full"' in reply.body for reply in tally.of(503)} == {True}
