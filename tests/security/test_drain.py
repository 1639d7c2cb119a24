"""The service is told to end while it is busy."""

from __future__ import annotations

import asyncio
import signal
from functools import partial

import pytest

from benchmarks.load import CONNECTION_LOST, REFUSED, Tally, send
from tests.conftest import RunningService, StartService, ended, until
from tests.security.conftest import OPTIONS, keep_asking


async def drained(service: RunningService, upload: bytes) -> Tally:
    """What clients get that send photos before, during and after SIGTERM: until no one listens."""
    tally = Tally()
    asking = asyncio.create_task(
        keep_asking(partial(send, service.url, upload), tally, until=lambda: REFUSED in tally.statuses)
    )
    await asyncio.to_thread(until, lambda: len(tally.of(200)) >= 40)
    service.process.terminate()
    await asking
    return tally


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.long)])
def test_every_accepted_photo_is_answered(start_service: StartService, upload: bytes, times: int) -> None:
    for _ in range(times):
        service = start_service(*OPTIONS)
        family = service.family()
        tally = asyncio.run(drained(service, upload))
        print(dict(tally.statuses))
        assert service.process.wait(timeout=30) == 0
        assert set(tally.statuses) <= {200, 503, REFUSED}
        assert CONNECTION_LOST not in tally.statuses
        assert tally.of(200)
        assert all("retry-after" in reply.headers for reply in tally.of(503))
        until(partial(ended, family), longest_s=5)


def test_while_it_drains_it_says_so_and_takes_nothing_new(start_service: StartService, upload: bytes) -> None:
    service = start_service("--model", "embedded", "--workers", "1", "--worker-threads", "1")

    async def scenario() -> None:
        with service.at_a_stand(), service.client() as client:
            accepted = [asyncio.create_task(send(service.url, upload)) for _ in range(4)]
            await asyncio.to_thread(until, lambda: client.get("/health").json()["queue"]["in_flight"] == 4)
            service.process.terminate()
            await asyncio.to_thread(until, lambda: client.get("/health/ready").status_code == 503)
            health = client.get("/health")
            assert health.json()["status"] == "draining"
            assert health.headers["Connection"] == "close"
            refused = await send(service.url, upload)
            assert (refused.status, "retry-after" in refused.headers) == (503, True)
            assert b'"unavailable"' in refused.body
        assert [reply.status for reply in await asyncio.gather(*accepted)] == [200] * 4

    asyncio.run(scenario())
    assert service.process.wait(timeout=30) == 0


def test_a_second_signal_ends_it_at_once(start_service: StartService, upload: bytes) -> None:
    service = start_service("--model", "embedded", "--workers", "1", "--worker-threads", "1")

    async def scenario() -> None:
        with service.at_a_stand(), service.client() as client:
            accepted = [asyncio.create_task(send(service.url, upload)) for _ in range(30)]
            await asyncio.to_thread(until, lambda: client.get("/health").json()["queue"]["in_flight"] == 30)
            service.process.terminate()
            await asyncio.to_thread(until, lambda: client.get("/health/ready").status_code == 503)
            service.process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(service.process.wait, 10) == 1
        assert {reply.status for reply in await asyncio.gather(*accepted)} <= {200, 503, CONNECTION_LOST}

    asyncio.run(scenario())
