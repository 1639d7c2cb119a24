"""The pool with real workers. What a worker computes is tested elsewhere; here it is who dies and who does not."""

from __future__ import annotations

import gc
import os
import signal
import weakref
from collections.abc import Iterator
from concurrent.futures import Future, wait
from dataclasses import replace
from multiprocessing import forkserver

import numpy as np
import psutil
import pytest

from depthsvc.errors import BrokenImage, DeadlineExceeded, ModelError, QueueFull, Unavailable, WorkerCrashed
from depthsvc.model.choice import EngineName
from depthsvc.model.prepare import prepare
from depthsvc.model.resolve import resolve
from depthsvc.model.spec import PreparedModel
from depthsvc.options import DepthOptions, HeatmapOptions
from depthsvc.pipeline.answer import Answer
from depthsvc.pool import workers
from depthsvc.pool.base import RestartCause
from depthsvc.pool.config import WorkerConfig
from depthsvc.pool.workers import WorkerPool
from depthsvc.settings import Settings
from tests.conftest import encoded, until


@pytest.fixture(scope="module")
def model() -> PreparedModel:
    settings = Settings(model="embedded", engine=EngineName.ONNXRUNTIME)
    resolved = resolve(settings.model, settings.weights_locations)
    return prepare(resolved, settings.cache_dir, settings.engine_choice)


@pytest.fixture(scope="module")
def pool(model: PreparedModel) -> Iterator[WorkerPool]:
    with WorkerPool(config_of(model), workers=2, queue_size=8) as pool:
        pool.wait_until_warm()
        yield pool


def config_of(model: PreparedModel) -> WorkerConfig:
    return WorkerConfig((model,), max_pixels=50_000_000, max_input_size=1024)


LONG = 640
"""Input size of a photo that takes long enough for something to happen to its worker meanwhile."""


def submit(pool: WorkerPool, data: bytes, *, deadline_s: float = 120, input_size: int = 256) -> Future[Answer]:
    return pool.submit(data, DepthOptions(input_size=input_size), deadline_s=deadline_s)


def test_answers_come_from_the_workers(pool: WorkerPool, photo_png: bytes) -> None:
    answer = pool.submit(photo_png, HeatmapOptions(), deadline_s=30).result()
    assert answer.media_type == "image/png"
    assert answer.body.startswith(b"\x89PNG")
    assert answer.shape == (240, 320)
    assert set(answer.seconds) == {"queue", "decode", "infer", "render"}


def test_a_bad_photo_fails_alone_and_keeps_its_worker(pool: WorkerPool, photo_png: bytes) -> None:
    pids = set(pool.pids)
    with pytest.raises(BrokenImage, match="PNG file is damaged"):
        submit(pool, photo_png[:200]).result()
    assert submit(pool, photo_png).result().shape == (240, 320)
    assert set(pool.pids) == pids


def test_a_photo_that_meets_a_dying_worker_is_tried_again(pool: WorkerPool, photo_png: bytes) -> None:
    before = pool.restarts.total()
    until(lambda: pool.warm == 2)
    futures = [submit(pool, photo_png, input_size=LONG) for _ in range(4)]
    until(futures[0].running)
    os.kill(pool.pids[0], signal.SIGKILL)
    assert [future.result().shape for future in futures] == [(240, 320)] * 4
    until(lambda: pool.warm == 2)
    assert pool.restarts.total() == before + 1


def test_a_worker_killed_while_idle_is_replaced(pool: WorkerPool) -> None:
    until(lambda: pool.warm == 2)
    victim = pool.pids[1]
    os.kill(victim, signal.SIGKILL)
    until(lambda: pool.warm == 2 and victim not in pool.pids)


def test_a_result_is_freed_without_a_garbage_collection(pool: WorkerPool, photo_png: bytes) -> None:
    gc.disable()
    try:
        future = submit(pool, photo_png)
        answer = weakref.ref(future.result())
        del future
        until(lambda: answer() is None, longest_s=5)
    finally:
        gc.enable()


def test_a_worker_killed_while_it_sends_a_large_answer_harms_no_other(pool: WorkerPool) -> None:
    large = encoded(np.full((4000, 4000, 3), 128, np.uint8))
    for _ in range(2):
        futures = [pool.submit(large, DepthOptions(), deadline_s=120) for _ in range(4)]
        until(futures[1].done)
        os.kill(pool.pids[0], signal.SIGKILL)
        assert {len(future.result().body) for future in futures} == {32_000_000}


def test_a_photo_that_kills_two_workers_is_given_up(pool: WorkerPool, photo_png: bytes) -> None:
    future = submit(pool, photo_png, input_size=LONG)
    killed: set[int] = set()

    def given_up() -> bool:
        for pid in set(pool.pids) - killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        return future.done()

    until(given_up)
    with pytest.raises(WorkerCrashed):
        future.result()
    until(lambda: pool.warm == 2)
    assert submit(pool, photo_png).result().shape == (240, 320)


def test_a_stuck_worker_is_killed_at_the_deadline(pool: WorkerPool, photo_png: bytes) -> None:
    for pid in pool.pids:
        os.kill(pid, signal.SIGSTOP)
    future = submit(pool, photo_png, deadline_s=0.5)
    with pytest.raises(DeadlineExceeded):
        future.result(timeout=30)
    for pid in pool.pids:
        os.kill(pid, signal.SIGCONT)
    until(lambda: pool.warm == 2)
    assert submit(pool, photo_png).result().shape == (240, 320)


def test_a_photo_that_waits_beyond_its_deadline_is_not_computed(pool: WorkerPool, photo_png: bytes) -> None:
    busy = [submit(pool, photo_png, input_size=LONG) for _ in range(4)]
    with pytest.raises(QueueFull, match="No worker was free"):
        submit(pool, photo_png, deadline_s=0.01).result()
    wait(busy)


def test_the_queue_is_bounded(pool: WorkerPool, photo_png: bytes) -> None:
    accepted = [submit(pool, photo_png, input_size=512) for _ in range(10)]
    with pytest.raises(QueueFull, match="10 photos are ahead"):
        submit(pool, photo_png)
    assert [future.result().shape for future in accepted] == [(240, 320)] * 10
    until(lambda: pool.in_flight == 0)


def test_a_cancelled_photo_leaves_the_queue(pool: WorkerPool, photo_png: bytes) -> None:
    futures = [submit(pool, photo_png, input_size=512) for _ in range(8)]
    assert futures[-1].cancel()
    assert len([future.result() for future in futures[:-1]]) == 7
    until(lambda: pool.in_flight == 0)


def test_idle_workers_are_woken_for_a_photo_and_for_the_end(
    model: PreparedModel, photo_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_IDLE_CHECK_S", 600)
    with WorkerPool(config_of(model), workers=2, queue_size=8) as pool:
        pool.wait_until_warm()
        for _ in range(3):
            submit(pool, photo_png).result(timeout=60)
    assert not any(feeder.is_alive() for feeder in pool._feeders)


def test_closing_fails_what_is_not_answered_and_leaves_no_process(model: PreparedModel, photo_png: bytes) -> None:
    with WorkerPool(config_of(model), workers=1, queue_size=8) as pool:
        pool.wait_until_warm()
        pid = pool.pids[0]
        futures = [submit(pool, photo_png, input_size=LONG) for _ in range(5)]
    for future in futures:
        with pytest.raises(Unavailable):
            future.result(timeout=5)
    with pytest.raises(Unavailable):
        submit(pool, photo_png)
    until(lambda: not _exists(pid))


def test_closing_does_not_wait_for_a_worker_that_is_starting(model: PreparedModel) -> None:
    with WorkerPool(config_of(model), workers=1, queue_size=8) as pool:
        pool.wait_until_warm()
        first = pool.pids[0]
        os.kill(first, signal.SIGKILL)
        until(lambda: bool(set(pool.started_pids) - {first}))
        starting = pool.started_pids[0]
        os.kill(starting, signal.SIGSTOP)
    until(lambda: not _exists(starting))


def test_a_photo_goes_to_another_worker_at_once_when_its_own_dies(pool: WorkerPool, photo_png: bytes) -> None:
    """It does not wait for a new worker to start: the other one takes it before what was already waiting."""
    until(lambda: pool.warm == 2)
    futures = [submit(pool, photo_png, input_size=LONG) for _ in range(6)]
    until(futures[1].running)
    first = pool.pids[0]
    os.kill(first, signal.SIGKILL)
    wait(futures[:2])
    assert not futures[5].done()
    assert [future.result().shape for future in futures] == [(240, 320)] * 6
    until(lambda: pool.warm == 2)


def test_a_worker_that_died_unnoticed_is_no_try(pool: WorkerPool, photo_png: bytes) -> None:
    until(lambda: pool.warm == 2)
    before = pool.restarts[RestartCause.KILLED]
    for _ in range(3):
        workers = [psutil.Process(pid) for pid in pool.pids]
        for worker in workers:
            worker.kill()
        psutil.wait_procs(workers, timeout=10)  # until the fork server, and so the pool, can know
        assert submit(pool, photo_png).result().shape == (240, 320)
    until(lambda: pool.warm == 2)
    assert pool.restarts[RestartCause.KILLED] >= before + 3


def test_the_expected_wait_follows_the_service_time(pool: WorkerPool, photo_png: bytes) -> None:
    wait([submit(pool, photo_png, input_size=512) for _ in range(4)])
    until(lambda: pool.in_flight == 0)
    assert pool.expected_wait_s == 0
    futures = [submit(pool, photo_png, input_size=512) for _ in range(4)]
    assert 0.01 < pool.expected_wait_s < 60
    wait(futures)


def test_a_worker_is_replaced_after_so_many_photos(model: PreparedModel, photo_png: bytes) -> None:
    with WorkerPool(config_of(model), workers=1, queue_size=8, max_photos_per_worker=2) as pool:
        pool.wait_until_warm()
        first = pool.pids[0]
        assert [submit(pool, photo_png).result().shape for _ in range(5)] == [(240, 320)] * 5
        until(lambda: pool.warm == 1)
        assert pool.pids != [first]
        assert pool.restarts == {RestartCause.RECYCLED: 2}


def test_a_dead_fork_server_is_replaced(pool: WorkerPool, photo_png: bytes) -> None:
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    for pid in pool.pids:
        os.kill(pid, signal.SIGSTOP)
    futures = [submit(pool, photo_png) for _ in range(3)]
    os.kill(server, signal.SIGKILL)
    for pid in pool.pids:
        os.kill(pid, signal.SIGKILL)
    assert [future.result().shape for future in futures] == [(240, 320)] * 3
    until(lambda: pool.warm == 2)


def test_workers_outlive_their_fork_server(pool: WorkerPool, photo_png: bytes) -> None:
    until(lambda: pool.warm == 2)
    before = set(pool.pids)
    server = psutil.Process(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]
    server.kill()
    until(lambda: server.status() == psutil.STATUS_ZOMBIE)  # its parent learns of it with the next start
    wait([submit(pool, photo_png) for _ in range(4)])
    assert set(pool.pids) == before
    os.kill(pool.pids[0], signal.SIGKILL)
    until(lambda: pool.warm == 2 and set(pool.pids) != before)
    assert len(before & set(pool.pids)) == 1
    os.kill(min(before & set(pool.pids)), signal.SIGKILL)  # whose fork server is gone
    until(lambda: pool.warm == 2 and not before & set(pool.pids))
    assert submit(pool, photo_png).result().shape == (240, 320)


def test_a_model_that_no_worker_can_load_is_reported(model: PreparedModel, caplog: pytest.LogCaptureFixture) -> None:
    broken = replace(model, file=replace(model.file, path=model.file.path.with_name("missing.onnx")))
    with (
        WorkerPool(config_of(broken), workers=1, queue_size=0) as pool,
        pytest.raises(ModelError, match=r"missing\.onnx cannot be read: No such file"),
    ):
        pool.wait_until_warm()
    assert "did not start" in caplog.text


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
