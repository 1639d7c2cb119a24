"""The pool before the replicas, with replicas that do as they are told."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from depthsvc.cluster import tries
from depthsvc.cluster.lease import Address, Listener, serve_lease
from depthsvc.cluster.replicas import ReplicaPool
from depthsvc.cluster.seal import CHALLENGE_BYTES, TAG_BYTES, TOKEN_BYTES, Direction, Seal, proof
from depthsvc.cluster.tries import count_attempt
from depthsvc.errors import (
    BrokenImage,
    ConfigurationError,
    DeadlineExceeded,
    QueueFull,
    RequestError,
    Unavailable,
    WorkerCrashed,
)
from depthsvc.imaging.spec import DepthKind, Enlargement
from depthsvc.options import HeatmapOptions, Task
from depthsvc.pipeline.answer import Answer
from depthsvc.pool.base import TRIES, RestartCause
from depthsvc.pool.channel import frame
from tests.conftest import until

SECONDS = {"decode": 0.1, "infer": 0.2, "render": 0.3}
ANSWER = Answer(
    b"heatmap", "image/png", "uint8", (3, 4), 0.5, 9.0, "m", DepthKind.INVERSE_DEPTH, Enlargement.BICUBIC, SECONDS
)
OPTIONS = HeatmapOptions()


class Replicas:
    """Replicas that answer when they are let, with what they have been given to answer."""

    def __init__(self, *outcomes: Answer | Exception, blocked: bool = False) -> None:
        self.outcomes = list(outcomes)
        self.leases = 0
        self.at_work = 0
        self.photos = 0
        self.unhireable: Exception | None = None
        """What asking for one raises."""
        self.go = threading.Event()
        if not blocked:
            self.go.set()

    async def hire(self, service: Address, token: bytes) -> None:
        if self.unhireable:
            raise self.unhireable
        self.leases += 1
        await asyncio.to_thread(self.work, service, token)

    def work(self, service: Address, token: bytes) -> None:
        self.at_work += 1
        try:
            serve_lease(service, token, self.reply)
        finally:
            self.at_work -= 1

    def reply(self, photo: bytes, options: Task, remaining_s: float) -> Answer | Exception:
        """An answer; the replica dies of an exception that is not for the client."""
        assert photo == b"photo"
        assert options == OPTIONS
        self.photos += 1
        self.go.wait(10)
        outcome = self.outcomes.pop(0) if self.outcomes else ANSWER
        if isinstance(outcome, Exception) and not isinstance(outcome, RequestError):
            raise outcome
        return outcome


@contextmanager
def pool_of(
    replicas: Replicas, *, running: Callable[[], int] = lambda: 2, queue_size: int = 8
) -> Iterator[ReplicaPool]:
    try:
        with ReplicaPool(replicas.hire, running, host="127.0.0.1", workers=2, queue_size=queue_size) as pool:
            yield pool
    finally:
        replicas.go.set()


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
        assert replicas.photos == 4


def test_a_lease_is_for_many_photos_but_not_for_ever() -> None:
    replicas = Replicas()
    with pool_of(replicas) as pool:
        for _ in range(20):
            pool.submit(b"photo", OPTIONS, deadline_s=30).result(10)
        assert replicas.leases <= 3  # of two seconds at most
        until(lambda: replicas.at_work == 0)  # so that Serve can end replicas
        assert pool.warm == 2
        pool.submit(b"photo", OPTIONS, deadline_s=30).result(10)
    assert pool.restarts == {}


def test_an_answer_of_many_megabytes_arrives_whole() -> None:
    body = np.random.default_rng(0).bytes(20_000_000)
    with pool_of(Replicas(replace(ANSWER, body=body))) as pool:
        assert pool.submit(b"photo", OPTIONS, deadline_s=30).result(10).body == body


def test_a_photo_whose_replica_dies_goes_to_another() -> None:
    replicas = Replicas(ActorDiedError())
    with pool_of(replicas) as pool:
        assert pool.submit(b"photo", OPTIONS, deadline_s=30).result(10).body == b"heatmap"
        assert replicas.photos == 2
        until(lambda: pool.restarts == {RestartCause.CRASHED: 1})


def test_a_photo_whose_replica_is_lost_with_its_machine_goes_to_another() -> None:
    replicas = Replicas(blocked=True)
    lost = asyncio.Event()

    async def hire(service: Address, token: bytes) -> None:
        work = asyncio.ensure_future(replicas.hire(service, token))
        await asyncio.wait([work, asyncio.ensure_future(lost.wait())], return_when=asyncio.FIRST_COMPLETED)
        if lost.is_set() and not work.done():
            lost.clear()
            replicas.go.set()
            raise ActorDiedError  # and the connection stays as it is

    with ReplicaPool(hire, lambda: 2, host="127.0.0.1", workers=2, queue_size=8) as pool:
        photo = pool.submit(b"photo", OPTIONS, deadline_s=30)
        until(lambda: replicas.photos == 1)
        pool._loop.call_soon_threadsafe(lost.set)
        assert photo.result(10).body == b"heatmap"
        assert replicas.photos == 2
        until(lambda: pool.restarts == {RestartCause.CRASHED: 1})


def test_a_photo_that_waits_for_a_replica_is_not_passed_over() -> None:
    replicas = Replicas()
    alone = asyncio.Semaphore(1)  # where two are thought to be

    async def hire(service: Address, token: bytes) -> None:
        async with alone:
            await replicas.hire(service, token)

    order: list[int] = []

    def note(number: int, _: Future[Answer]) -> None:
        order.append(number)

    with ReplicaPool(hire, lambda: 2, host="127.0.0.1", workers=2, queue_size=40) as pool:
        futures = [pool.submit(b"photo", OPTIONS, deadline_s=30) for _ in range(20)]
        for number, future in enumerate(futures):
            future.add_done_callback(partial(note, number))
        wait(futures, 20)
    assert order.index(1) <= 2


def test_a_large_answer_may_take_long_if_it_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depthsvc.cluster.lease.PATIENCE_S", 0.5)
    body = bytes(24 << 20)
    token, challenge, received = b"t" * TOKEN_BYTES, b"c" * CHALLENGE_BYTES, 0
    with socket.create_server(("127.0.0.1", 0)) as server:
        replica = threading.Thread(
            target=serve_lease, args=(server.getsockname(), token, lambda *_: replace(ANSWER, body=body))
        )
        replica.start()
        service, _ = server.accept()
        with service:
            service.sendall(challenge)
            assert service.recv(TAG_BYTES, socket.MSG_WAITALL) == proof(token, challenge)
            head = frame((OPTIONS, 5.0), b"photo")
            tag = Seal(token, challenge, Direction.TO_REPLICA).tag(head, b"photo")
            service.sendall(tag + head + b"photo")
            while received < len(body):
                received += len(service.recv(1 << 20, socket.MSG_WAITALL))
                time.sleep(0.05)
    replica.join(10)
    assert received >= len(body)


def test_a_photo_on_which_replicas_die_is_given_up() -> None:
    replicas = Replicas(OutOfMemoryError("killed by the memory monitor"), ActorDiedError())
    with pool_of(replicas) as pool:
        with pytest.raises(WorkerCrashed):
            pool.submit(b"photo", OPTIONS, deadline_s=30).result(10)
        assert replicas.photos == 2
        until(lambda: pool.restarts == {RestartCause.KILLED: 1, RestartCause.CRASHED: 1})


def test_a_replica_that_is_dead_before_it_has_a_photo_costs_the_photo_no_try() -> None:
    replicas = Replicas()
    with pool_of(replicas) as pool:
        until(lambda: replicas.at_work == 0)
        replicas.unhireable = ActorDiedError()
        photo = pool.submit(b"photo", OPTIONS, deadline_s=30)
        until(lambda: pool.restarts[RestartCause.CRASHED] > TRIES)
        replicas.unhireable = None
        assert photo.result(10).body == b"heatmap"


def test_a_replica_that_dies_at_the_deadline_has_been_too_slow() -> None:
    replicas = Replicas()

    def late(photo: bytes, options: Task, remaining_s: float) -> Answer:
        time.sleep(remaining_s + 0.05)
        raise ActorDiedError

    replicas.reply = late  # type: ignore[method-assign]
    with pool_of(replicas) as pool:
        with pytest.raises(DeadlineExceeded, match="smaller"):
            pool.submit(b"photo", OPTIONS, deadline_s=0.1).result(10)
        until(lambda: pool.restarts == {RestartCause.DEADLINE: 1})


def test_a_replica_out_of_reach_is_not_waited_for() -> None:
    with pool_of(Replicas(blocked=True)) as pool, pytest.raises(DeadlineExceeded):
        pool.submit(b"photo", OPTIONS, deadline_s=0.1).result(10)


def test_a_photo_that_no_replica_takes_is_told_so_at_its_deadline() -> None:
    replicas = Replicas()
    with pool_of(replicas) as pool:
        until(lambda: replicas.at_work == 0)
        replicas.unhireable = ActorDiedError()
        with pytest.raises(QueueFull, match="No replica was free"):
            pool.submit(b"photo", OPTIONS, deadline_s=0.1).result(10)


def test_what_is_wrong_with_a_photo_is_said_in_the_services_words() -> None:
    with pool_of(Replicas(BrokenImage("cut off"))) as pool:
        with pytest.raises(BrokenImage, match="cut off"):
            pool.submit(b"photo", OPTIONS, deadline_s=30).result(10)
        assert pool.submit(b"photo", OPTIONS, deadline_s=30).result(10).body == b"heatmap"


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (BackPressureError(num_queued_requests=9, max_queued_requests=9), QueueFull),
        (DeploymentUnavailableError("Estimator"), Unavailable),
    ],
)
def test_what_is_wrong_with_serve_is_said_in_the_services_words(trouble: Exception, error: type[Exception]) -> None:
    replicas = Replicas()
    with pool_of(replicas) as pool:
        until(lambda: replicas.at_work == 0)
        replicas.unhireable = trouble
        with pytest.raises(error):
            pool.submit(b"photo", OPTIONS, deadline_s=30).result(10)
        replicas.unhireable = None
        assert pool.submit(b"photo", OPTIONS, deadline_s=30).result(10).body == b"heatmap"


@pytest.mark.parametrize("reason", [ConnectionRefusedError("refused"), TimeoutError("timed out")])
def test_a_service_that_replicas_cannot_connect_to_does_not_start(
    reason: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("depthsvc.cluster.replicas._OPEN_S", 0.1)
    replicas = Replicas()
    replicas.unhireable = RayTaskError("Replica", "Traceback", reason).as_instanceof_cause()
    with pytest.raises(ConfigurationError, match=r"cannot connect to 127\.0\.0\.1: none did"), pool_of(replicas):
        raise AssertionError
    assert f"a replica could not connect to this service: {reason}" in caplog.text


def test_a_photo_waits_for_a_replica_that_can_connect() -> None:
    replicas = Replicas()
    with pool_of(replicas) as pool:
        until(lambda: replicas.at_work == 0)
        replicas.unhireable = RayTaskError("Replica", "Traceback", TimeoutError("timed out")).as_instanceof_cause()
        photo = pool.submit(b"photo", OPTIONS, deadline_s=30)
        until(lambda: pool.busy == 1)
        replicas.unhireable = None
        assert photo.result(10).body == b"heatmap"


def test_a_service_whose_address_is_not_its_own_does_not_start() -> None:
    pool = ReplicaPool(Replicas().hire, lambda: 2, host="192.0.2.1", workers=2, queue_size=8)
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1"), pool:
        raise AssertionError


def test_strangers_do_not_get_a_photo() -> None:
    replicas = Replicas()
    addresses: list[Address] = []

    async def hire(service: Address, token: bytes) -> None:
        addresses.append(service)
        await replicas.hire(service, token)

    with ReplicaPool(hire, lambda: 2, host="127.0.0.1", workers=2, queue_size=8) as pool:
        with socket.create_connection(addresses[0], timeout=10) as stranger:
            stranger.sendall(bytes(TAG_BYTES))
            assert len(stranger.recv(CHALLENGE_BYTES, socket.MSG_WAITALL)) == CHALLENGE_BYTES
            assert stranger.recv(1) == b""
        with socket.create_connection(addresses[0], timeout=10) as silent:
            assert pool.submit(b"photo", OPTIONS, deadline_s=30).result(10).body == b"heatmap"
            silent.sendall(b"half a proof")
            silent.shutdown(socket.SHUT_WR)
            assert len(silent.recv(CHALLENGE_BYTES, socket.MSG_WAITALL)) == CHALLENGE_BYTES
            assert silent.recv(1) == b""


def test_who_has_not_proved_himself_when_the_pool_ends_is_hung_up_on() -> None:
    addresses: list[Address] = []
    replicas = Replicas()

    async def hire(service: Address, token: bytes) -> None:
        addresses.append(service)
        await replicas.hire(service, token)

    with ExitStack() as connections:
        with ReplicaPool(hire, lambda: 2, host="127.0.0.1", workers=2, queue_size=8):
            silent = connections.enter_context(socket.create_connection(addresses[0], timeout=10))
            assert len(silent.recv(CHALLENGE_BYTES, socket.MSG_WAITALL)) == CHALLENGE_BYTES
        assert silent.recv(1) == b""


def test_a_connection_whose_task_never_starts_is_hung_up_on() -> None:
    def ended_at_once(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **options)
        if coroutine.__qualname__.startswith("Listener._"):
            task.cancel()  # as when the pool ends
        return task

    async def connect() -> bytes:
        asyncio.get_running_loop().set_task_factory(ended_at_once)
        listener = Listener()
        await listener.open("127.0.0.1")
        reader, writer = await asyncio.open_connection(*listener.address)
        try:
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()
            listener.close()

    assert asyncio.run(connect()) == b""


def test_what_is_not_finished_when_the_pool_ends_is_told_so() -> None:
    replicas = Replicas(blocked=True)
    with pool_of(replicas) as pool:
        unfinished = [pool.submit(b"photo", OPTIONS, deadline_s=30) for _ in range(4)]
        until(lambda: pool.busy == 2)
    for future in unfinished:
        with pytest.raises(Unavailable, match="shutting down"):
            future.result(1)
    with pytest.raises(Unavailable):
        pool.check_room()
    replicas.go.set()
    until(lambda: replicas.at_work == 0)


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
    with count_attempt("good"):
        pass
    assert cluster == set()
    unfinished = [count_attempt("bad"), count_attempt("bad")]
    for attempt in unfinished:
        attempt.__enter__()  # and then the process dies
    with pytest.raises(WorkerCrashed), count_attempt("bad"):
        raise AssertionError("it was begun once more")
    with count_attempt("good"):
        pass


def test_a_process_that_is_stuck_is_ended_by_the_system() -> None:
    stuck = "from depthsvc.cluster.recipe import ended_after\nwith ended_after(0.01):\n  while True: pass"
    assert subprocess.run([sys.executable, "-c", stuck], timeout=60, check=False).returncode == -14  # SIGALRM
