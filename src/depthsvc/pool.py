"""Worker processes that each hold one warm pipeline, behind one bounded queue.

Every worker has a pipe of its own and a thread in this process that feeds it. So a worker that dies, even halfway
through sending an answer, can spoil nothing but its own request. (Pebble's ProcessPool, where all workers
share one pipe, was measured to break for good when workers are killed while they send large answers.)
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import signal
import threading
import time
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import TYPE_CHECKING

from depthsvc.errors import DeadlineExceeded, ModelError, QueueFull, Unavailable, WorkerCrashed
from depthsvc.model.loading import PreparedModel
from depthsvc.options import Options

if TYPE_CHECKING:
    from depthsvc.pipeline import Answer

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 120.0
"""Longest time for a worker to load and warm its model."""
TRIES = 2
"""Workers that may die on one photo before it is given up: inference is idempotent, crashes may be chance."""
_IDLE_CHECK_S = 0.2
"""How often an idle worker is looked at, to replace it if it has died."""
_END_S = 5.0
"""Longest wait for a feeder whose worker has been killed; one that cannot end is a daemon thread."""
_BACKOFF_S = (0.1, 10.0)
"""First and longest pause between attempts to start a worker that does not become ready."""


def fork_server() -> ForkServerContext:
    """The context whose processes are forked from a server that has already imported all that a worker needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["depthsvc.worker"])
    return context


def start_fork_server() -> None:
    """Have the fork server import what workers need while this process does something else. Not required."""
    fork_server()
    forkserver.ensure_running()


@dataclass(frozen=True)
class WorkerConfig:
    """How a worker sets up its pipeline."""

    model: PreparedModel
    threads: int
    max_pixels: int
    max_input_size: int


@dataclass
class _Job:
    data: bytes
    options: Options
    deadline: float
    """On time.monotonic()'s clock."""
    submitted: float = field(default_factory=time.monotonic)
    future: Future[Answer] = field(default_factory=Future)

    @property
    def remaining(self) -> float:
        return self.deadline - time.monotonic()

    def fail(self, error: Exception) -> None:
        with suppress(InvalidStateError):
            self.future.set_exception(error)


class _WorkerDied(Exception):
    """The process ended, or its pipe broke."""


class _Worker:
    """One process and this side's end of its pipe."""

    def __init__(self, context: ForkServerContext, config: WorkerConfig) -> None:
        """Start the process; `wait_until_warm` comes next."""
        self._connection, theirs = context.Pipe(duplex=True)
        self.process: ForkServerProcess = context.Process(
            target=_serve, args=(theirs, config), daemon=True, name="depthsvc-worker"
        )
        with _starting:
            self.process.start()
        theirs.close()

    def wait_until_warm(self) -> None:
        """Raises ModelError or _WorkerDied."""
        first = self._receive_first()
        if isinstance(first, Exception):
            self.kill()
            raise ModelError(f"A worker cannot load the model: {first}") from first

    def _receive_first(self) -> object:
        try:
            if self._connection.poll(START_TIMEOUT_S):
                return self._connection.recv()
        except (EOFError, OSError) as error:
            self.kill()
            raise _WorkerDied("it died while starting") from error
        self.kill()
        raise _WorkerDied(f"it was not ready after {START_TIMEOUT_S:g} s")

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    def reply(self, job: _Job) -> Answer | Exception:
        """What the process makes of one job: an answer or an exception. Kills it at the job's deadline.

        Raises DeadlineExceeded or _WorkerDied. After any exception the pipe cannot be used again.
        """
        watchdog = threading.Timer(max(job.remaining, 0), self.process.kill)
        watchdog.start()
        try:
            self._connection.send(job.options)
            self._connection.send_bytes(job.data)
            reply: Answer | Exception = self._connection.recv()
            body = b"" if isinstance(reply, Exception) else self._connection.recv_bytes()
        except (EOFError, OSError) as error:
            if job.remaining <= 0:
                raise DeadlineExceeded("The photo was not ready at its deadline. Send a smaller one.") from error
            raise _WorkerDied("it died on a photo") from error
        finally:
            watchdog.cancel()
        return reply if isinstance(reply, Exception) else replace(reply, body=body)

    def kill(self) -> None:
        self._connection.close()
        with suppress(OSError):
            self.process.kill()
        self.process.join()


_starting = threading.Lock()  # Process.start is not meant to be called by several threads at once


def _serve(connection: Connection, config: WorkerConfig) -> None:
    """A worker's main function; importing the worker's modules is left to its process."""
    from depthsvc.worker import serve

    serve(connection, config)


class WorkerPool:
    """A fixed number of workers and one queue for them, first come first served.

    Use as a context manager. `submit` may be called from any thread.
    """

    def __init__(self, config: WorkerConfig, *, workers: int, queue_size: int) -> None:
        self.workers = workers
        self.queue_size = queue_size
        self.restarts = 0
        """Workers replaced so far."""
        self._config = config
        self._context = fork_server()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._accepted = 0
        self._warm: dict[int, int] = {}  # index of a feeder -> process id of its worker
        self._started: dict[int, int] = {}  # the same, from before it is warm
        self._closing = False
        self._first_failure: Future[None] = Future()
        self._feeders = [
            threading.Thread(target=self._feed, args=(index,), name=f"worker-{index}", daemon=True)
            for index in range(workers)
        ]

    def __enter__(self) -> WorkerPool:
        for feeder in self._feeders:
            feeder.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that are warm."""
        return list(self._warm.values())

    @property
    def started_pids(self) -> list[int]:
        """Process ids of all workers, those included that are not warm yet."""
        return list(self._started.values())

    @property
    def warm(self) -> int:
        """Workers that can take a photo, or are answering one."""
        return len(self._warm)

    @property
    def waiting(self) -> int:
        """Photos that have been accepted and wait for a worker."""
        return self._jobs.qsize()

    @property
    def in_flight(self) -> int:
        """Photos that have been accepted and not yet answered."""
        return self._accepted

    def wait_until_warm(self, timeout: float = START_TIMEOUT_S) -> None:
        """Block until every worker is warm. Raises ModelError if one says why it cannot be, or on timeout."""
        end = time.monotonic() + timeout
        while self.warm < self.workers:
            with suppress(TimeoutError):
                self._first_failure.result(timeout=0.02)
            if time.monotonic() > end:
                raise ModelError(f"Only {self.warm} of {self.workers} workers were ready after {timeout:g} s.")

    def submit(self, data: bytes, options: Options, *, deadline_s: float) -> Future[Answer]:
        """Queue a photo. The future gives its Answer, or raises RequestError.

        Cancelling the future takes the photo out of the queue, or does nothing if a worker has it. Raises
        QueueFull at once if as many photos wait as may, and Unavailable when the pool is closing.
        """
        job = _Job(data, options, time.monotonic() + deadline_s)
        with self._lock:
            if self._closing:
                raise Unavailable("The service is shutting down. Try again later.")
            if self._accepted >= self.workers + self.queue_size:
                raise QueueFull(f"{self._accepted} photos are ahead of this one. Try again later.")
            self._accepted += 1
            job.future.add_done_callback(self._forget)
            self._jobs.put(job)
        return job.future

    def _forget(self, _: Future[Answer]) -> None:
        with self._lock:
            self._accepted -= 1

    def close(self) -> None:
        """End the workers at once. What has been accepted and not yet answered fails with Unavailable."""
        with self._lock:
            self._closing = True
        with suppress(queue.Empty):
            while True:
                if (job := self._jobs.get_nowait()) is not None:
                    job.fail(_closed())
        for _ in self._feeders:
            self._jobs.put(None)
        for pid in self.started_pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + _END_S
        for feeder in self._feeders:
            feeder.join(max(0.0, end - time.monotonic()))

    def _feed(self, index: int) -> None:
        """One thread's work: keep one worker running and give it one job after the other."""
        worker: _Worker | None = None
        while True:
            worker = worker or self._start(index)
            if worker is None:
                return
            try:
                job = self._jobs.get(timeout=_IDLE_CHECK_S)
            except queue.Empty:
                worker = self._still_alive(index, worker)
                continue
            if job is None:
                self._lost(index, worker)
                return
            worker = self._run(index, worker, job)

    def _still_alive(self, index: int, worker: _Worker) -> _Worker | None:
        if worker.alive:
            return worker
        self._lost(index, worker)
        return None

    def _start(self, index: int) -> _Worker | None:
        """A warm worker, however many attempts it takes; None once the pool is closing."""
        pause, longest = _BACKOFF_S
        while not self._closing:
            try:
                worker = _Worker(self._context, self._config)
                self._started[index] = worker.process.pid or 0
                worker.wait_until_warm()
            except Exception as error:  # EOFError too: the fork server can die; a feeder must outlive it all
                logger.error("worker %d did not start: %s", index, error or type(error).__name__)
                if isinstance(error, ModelError):
                    with suppress(InvalidStateError):
                        self._first_failure.set_exception(error)
                self._started.pop(index, None)
                time.sleep(pause)
                pause = min(2 * pause, longest)
                continue
            self._warm[index] = worker.process.pid or 0
            return worker
        return None

    def _lost(self, index: int, worker: _Worker) -> None:
        self._warm.pop(index, None)
        self._started.pop(index, None)
        worker.kill()
        if not self._closing:
            self.restarts += 1
            logger.warning("worker %d ended with exit code %s; replacing it", index, worker.process.exitcode)

    def _run(self, index: int, worker: _Worker, job: _Job) -> _Worker | None:
        """Answer one job, and give back the worker that is there afterwards, if any."""
        if not job.future.set_running_or_notify_cancel():
            return worker
        waited = time.monotonic() - job.submitted
        current: _Worker | None = worker
        for _ in range(TRIES):
            if current is None or job.remaining <= 0:
                break
            try:
                reply = current.reply(job)
            except _WorkerDied:
                self._lost(index, current)
                current = self._start(index)
            except Exception as error:
                job.fail(error)
                self._lost(index, current)
                return None
            else:
                if isinstance(reply, Exception):
                    job.fail(reply)
                else:
                    job.future.set_result(replace(reply, seconds={"queue": waited, **reply.seconds}))
                return current
        job.fail(_hopeless(job, closing=current is None))
        return current


def _closed() -> Unavailable:
    return Unavailable("The service has shut down. Try again later.")


def _hopeless(job: _Job, *, closing: bool) -> Exception:
    if closing:
        return _closed()
    if job.remaining <= 0:
        return DeadlineExceeded("The photo waited until its deadline. Try again later.")
    return WorkerCrashed("Workers died on this photo twice, so it is not tried again. Send another version of it.")
