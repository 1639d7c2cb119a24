"""Workers are killed while the service is busy."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import psutil
import pytest

from benchmarks.load import Tally, send
from tests.conftest import StartService, ended, until
from tests.security.conftest import OPTIONS, keep_asking


async def twenty_photos(tally: Tally) -> None:
    enough = len(tally.replies) + 20
    await asyncio.to_thread(until, lambda: len(tally.replies) >= enough)


async def a_second(_: Tally) -> None:
    await asyncio.sleep(1)


@pytest.mark.parametrize(("times", "after"), [(5, twenty_photos), pytest.param(60, a_second, marks=pytest.mark.long)])
def test_a_worker_is_killed_again_and_again(
    start_service: StartService, upload: bytes, times: int, after: Callable[[Tally], Awaitable[None]]
) -> None:
    service = start_service(*OPTIONS)
    tally = Tally()
    all_killed = asyncio.Event()

    async def kill() -> None:
        for _ in range(times):
            await after(tally)
            os.kill(random.choice(service.workers()), signal.SIGKILL)
        await after(tally)
        all_killed.set()

    async def chaos() -> None:
        await asyncio.gather(keep_asking(partial(send, service.url, upload), tally, until=all_killed.is_set), kill())

    asyncio.run(chaos())
    print(dict(tally.statuses))
    assert set(tally.statuses) <= {200, 503}
    assert len(tally.of(200)) >= 0.99 * len(tally.replies)
    with service.client() as client:
        until(lambda: client.get("/health").status_code == 200)


@pytest.mark.parametrize("seconds", [6, pytest.param(60, marks=pytest.mark.long)])
def test_workers_and_the_process_that_forks_them_are_killed_at_random(
    start_service: StartService, upload: bytes, seconds: int
) -> None:
    """Nobody waits for a 504: a photo without a worker at its deadline gets a 503. Where photos take long, one may lose
    two workers, and gets a 500."""
    service = start_service(*OPTIONS)

    def photos_in(seconds: float, kill: Callable[[], object]) -> Tally:
        tally = Tally()
        over = asyncio.Event()

        async def killing() -> None:
            for _ in range(round(seconds)):
                await asyncio.sleep(1)
                kill()
            over.set()

        async def both() -> None:
            ask = partial(send, service.url, upload)
            await asyncio.gather(keep_asking(ask, tally, until=over.is_set), killing())

        asyncio.run(both())
        return tally

    def forks(child: psutil.Process) -> bool:
        try:
            return "forkserver" in " ".join(child.cmdline())
        except psutil.Error:  # it has just ended
            return False

    def kill_one() -> None:
        forking = list(filter(forks, psutil.Process(service.process.pid).children(recursive=True)))
        with suppress(psutil.NoSuchProcess):
            if forking:  # all of them may have just ended
                random.choice(forking).kill()

    calm, chaotic = photos_in(max(6, seconds / 6), lambda: None), photos_in(seconds, kill_one)
    print(dict(chaotic.statuses))
    assert set(chaotic.statuses) <= {200, 500, 503}
    assert len(chaotic.of(500)) <= 1 + len(chaotic.replies) / 100
    if seconds >= 60:
        rate = len(calm.of(200)) / max(6, seconds / 6)
        assert len(chaotic.of(200)) / seconds >= 0.5 * rate
    with service.client() as client:
        until(lambda: client.get("/health").status_code == 200)


def test_nothing_outlives_a_killed_service(start_service: StartService, upload: bytes) -> None:
    service = start_service(*OPTIONS)
    family = service.family()
    busy, stuck = service.workers()
    os.kill(stuck, signal.SIGSTOP)
    assert len(family) >= 4
    assert {busy, stuck} < {process.pid for process in family}
    service.process.kill()
    until(lambda: ended(family))


def test_nothing_outlives_a_service_killed_while_it_starts() -> None:
    with subprocess.Popen([sys.executable, "-m", "depthsvc", "serve", "--port", "0", *OPTIONS]) as process:
        try:
            me = psutil.Process(process.pid)
            until(lambda: len(me.children(recursive=True)) >= 3)  # the fork server, its resource tracker and a child
            family = me.children(recursive=True)
        finally:
            process.kill()
    until(lambda: ended(family))


def test_a_signal_ends_a_service_that_is_replacing_a_worker_and_its_fork_server(start_service: StartService) -> None:
    service = start_service("--model", "embedded", "--workers", "1", "--worker-threads", "1")
    family = service.family()
    server = psutil.Process(service.workers()[0]).parent()
    assert server
    os.kill(service.workers()[0], signal.SIGKILL)
    server.kill()
    until(lambda: service.family() != family)
    service.process.terminate()
    assert service.process.wait(timeout=30) == 0
    until(lambda: ended(family))


def test_a_worker_that_keeps_dying_turns_readiness_red_and_comes_back(start_service: StartService) -> None:
    service = start_service(*OPTIONS)
    with service.client() as client:
        for _ in range(4):
            for pid in service.workers():
                os.kill(pid, signal.SIGKILL)
            until(lambda: client.get("/health").status_code == 503)
            until(lambda: len(service.workers()) == 2)
        assert client.get("/health").status_code == 503
        assert client.get("/health/live").status_code == 200
        until(lambda: client.get("/health").status_code == 200)
        metrics = client.get("/metrics").text
    killed = next(
        line for line in metrics.splitlines() if line.startswith('depthsvc_worker_restarts_total{cause="kill')
    )
    assert float(killed.split()[1]) >= 2
