"""The pool before the replicas, with replicas that do as they are told."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager

import pytest
from ray.exceptions import ActorDiedError, OutOfMemoryError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from depthsvc.distributed import tries
from depthsvc.distributed.serving import ReplicaPool
from depthsvc.distributed.tries import counted
from depthsvc.errors import BrokenImage, DeadlineExceeded, QueueFull, Unavailable, WorkerCrashed
from depthsvc.imaging.resize import Enlargement
from depthsvc.options import HeatmapOptions, Options
from depthsvc.photopool import RestartCause
from depthsvc.pipeline import Answer
from tests.conftest import until

SECONDS = {"decode": 0.1, "infer": 0.2, "render": 0.3}
ANSWER = Answer(b"heatmap", "image/png", "uint8", (3, 4), 0.5, 9.0, "m", Enlargement.BICUBIC, SECONDS)
OPTIONS = HeatmapOptions()


class Replicas:
    """Answer when they are let, with what they have been given to answer."""

    def __init__(self, *outcomes: Answer | Exception, blocked: bool = False) -> None:
        self.outcomes = list(outcomes)
        self.names: list[str] = []
        self.go = threading.Event()
        if not blocked:
            self.go.set()

    async def __call__(self, name: str, photo: bytes, options: Options, remaining_s: float) -> Answer | Exception:
        self.names.append(name)
        while not self.go.is_set():
            await asyncio.sleep(0.005)
        outcome = self.outcomes.pop(0) if self.outcomes else ANSWER
        if isinstance(outcome, Exception) and not isinstance(outcome, BrokenImage):
            raise outcome
        return outcome


@contextmanager
def pool_of(
    send: Callable[[str, bytes, Options, float], Awaitable[Answer | Exception]],
    *,
    running: Callable[[], int] = lambda: 2,
    queue_size: int = 8,
) -> Iterator[ReplicaPool]:
    with ReplicaPool(send, running, prefix="depthsvc-", workers=2, queue_size=queue_size) as pool:
        yield pool


def test_an_answer_says_how_long_it_waited() -> None:
    with pool_of(Replicas()) as pool:
        answer = pool.submit(b"photo", OPTIONS, deadline_s=30).result(10)
        assert answer.body == b"heatmap"
        assert list(answer.seconds) == ["queue", "decode", "infer", "render"]
        until(lambda: pool.in_flight == 0)
        assert pool.busy == 0


def test_a_replica_has_one_photo_at_a_time_and_what_does_not_fit_is_refused() -> None:
    replicas = Replicas(blocked=True)
    with pool_of(replicas, queue_size=3) as pool:
        accepted = [pool.submit(b"photo", OPTIONS, deadline_s=30) for _ in range(5)]
        until(lambda: pool.busy == 2)
        assert (pool.in_flight, pool.waiting, pool.full) == (5, 3, True)
        with pytest.raises(QueueFull):
            pool.submit(b"photo", OPTIONS, deadline_s=30)
        assert accepted[4].cancel()
        assert not pool.full
        assert not accepted[0].cancel()  # a replica has it
        replicas.go.set()
        wait(accepted[:4], 10)
        assert len(replicas.names) == 4
        assert len(set(replicas.names)) == 4


def test_a_photo_whose_replica_dies_goes_to_another_under_its_name() -> None:
    replicas = Replicas(ActorDiedError())
    with pool_of(replicas) as pool:
        assert pool.submit(b"photo", OPTIONS, deadline_s=30).result(10).body == b"heatmap"
        assert len(replicas.names) == 2
        assert len(set(replicas.names)) == 1
        assert pool.restarts == {RestartCause.CRASHED: 1}


def test_a_photo_on_which_replicas_die_is_given_up() -> None:
    replicas = Replicas(OutOfMemoryError("killed by the memory monitor"), ActorDiedError())
    with pool_of(replicas) as pool:
        with pytest.raises(WorkerCrashed):
            pool.submit(b"photo", OPTIONS, deadline_s=30).result(10)
        assert len(replicas.names) == 2
        assert pool.restarts == {RestartCause.KILLED: 1, RestartCause.CRASHED: 1}


def test_a_replica_that_dies_at_the_deadline_has_been_too_slow() -> None:
    async def late(name: str, photo: bytes, options: Options, remaining_s: float) -> Answer:
        await asyncio.sleep(remaining_s + 0.05)
        raise ActorDiedError

    with pool_of(late) as pool:
        with pytest.raises(DeadlineExceeded):
            pool.submit(b"photo", OPTIONS, deadline_s=0.1).result(10)
        assert pool.restarts == {RestartCause.DEADLINE: 1}


def test_a_replica_out_of_reach_is_not_waited_for() -> None:
    with pool_of(Replicas(blocked=True)) as pool, pytest.raises(DeadlineExceeded):
        pool.submit(b"photo", OPTIONS, deadline_s=0.1).result(10)


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (BrokenImage("cut off"), BrokenImage),
        (BackPressureError(num_queued_requests=9, max_queued_requests=9), QueueFull),
        (DeploymentUnavailableError("Estimator"), Unavailable),
    ],
)
def test_what_goes_wrong_is_said_in_the_services_words(outcome: Exception, error: type[Exception]) -> None:
    with pool_of(Replicas(outcome)) as pool:
        with pytest.raises(error):
            pool.submit(b"photo", OPTIONS, deadline_s=30).result(10)
        assert pool.submit(b"photo", OPTIONS, deadline_s=30).result(10).body == b"heatmap"


def test_what_is_not_finished_when_the_pool_ends_is_told_so() -> None:
    with pool_of(Replicas(blocked=True)) as pool:
        unfinished = [pool.submit(b"photo", OPTIONS, deadline_s=30) for _ in range(4)]
        until(lambda: pool.busy == 2)
    for future in unfinished:
        with pytest.raises(Unavailable, match="shutting down"):
            future.result(1)
    with pytest.raises(Unavailable):
        pool.check_room()


def test_replicas_that_come_and_go_are_counted() -> None:
    count = [2]
    replicas = Replicas(blocked=True)
    with pool_of(replicas, running=lambda: count[0]) as pool:
        count[0] = 4
        until(lambda: (pool.workers, pool.warm) == (4, 4))
        futures = [pool.submit(b"photo", OPTIONS, deadline_s=30) for _ in range(5)]
        until(lambda: pool.busy == 4)
        count[0] = 1
        until(lambda: (pool.workers, pool.warm) == (2, 1))
        replicas.go.set()
        wait(futures, 10)


def test_a_photo_is_begun_twice_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster: set[str] = set()

    def put(key: str, value: bytes, *, overwrite: bool) -> bool:
        there = key in cluster
        cluster.add(key)
        return there

    monkeypatch.setattr(tries, "_internal_kv_put", put)
    monkeypatch.setattr(tries, "_internal_kv_del", cluster.discard)
    with counted("good"):
        pass
    assert cluster == set()
    unfinished = [counted("bad"), counted("bad")]
    for attempt in unfinished:
        attempt.__enter__()  # and then the process dies
    with pytest.raises(WorkerCrashed), counted("bad"):
        raise AssertionError("it was begun once more")
    with counted("good"):
        pass


def test_a_process_that_is_stuck_is_ended_by_the_system() -> None:
    stuck = "from depthsvc.distributed.recipe import ended_after\nwith ended_after(0.01):\n  while True: pass"
    assert subprocess.run([sys.executable, "-c", stuck], timeout=60, check=False).returncode == -14  # SIGALRM
