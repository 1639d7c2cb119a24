"""Worker processes that each hold one warm pipeline, behind one bounded queue.

Every worker has its own channel and its own feeder thread in this process. So a worker that dies, even halfway through
sending a result, can only spoil its own request. (Pebble's ProcessPool, where all workers share one pipe, was measured
to break for good when workers are killed while they send large results.)
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import replace

from depthsvc.errors import DeadlineExceeded, ModelError
from depthsvc.pool.base import TRIES, PhotoPool, RestartCause, gave_up_error
from depthsvc.pool.config import WorkerConfig
from depthsvc.pool.handle import END_S, START_TIMEOUT_S, WorkerDied, WorkerHandle
from depthsvc.pool.jobs import Job

logger = logging.getLogger(__name__)

_IDLE_CHECK_S = 0.2
"""Seconds between checks whether an idle worker has died and needs replacing."""
_RINGS = 16
"""More than a bell is ever rung before its thread looks."""
_BACKOFF_S = (0.1, 10.0)
"""Initial and maximum back-off before restarting a worker that keeps dying before its first result."""


class WorkerPool(PhotoPool):
    """A fixed number of worker processes behind one fair queue. A context manager."""

    def __init__(
        self, config: WorkerConfig, *, workers: int, queue_size: int, max_photos_per_worker: int | None = None
    ) -> None:
        """`max_photos_per_worker`: replace a worker after this many photos."""
        super().__init__(workers=workers, queue_size=queue_size)
        self.config = config
        self.max_photos_per_worker = max_photos_per_worker
        self._idle: list[_Bell] = []
        """The bells of feeders that wait for a job. The latest is rung first: its worker may still be in the caches."""
        self.first_failure: Future[None] = Future()
        self._feeders = [_Feeder(self, index) for index in range(workers)]

    def __enter__(self) -> WorkerPool:
        for feeder in self._feeders:
            feeder.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pids(self) -> list[int]:
        """Process ids of the warm workers."""
        return [feeder.pid for feeder in self._feeders if feeder.warm and feeder.pid]

    @property
    def started_pids(self) -> list[int]:
        """Process ids of all workers, including those that are not warm yet."""
        return [feeder.pid for feeder in self._feeders if feeder.pid]

    @property
    def warm(self) -> int:
        return sum(feeder.warm for feeder in self._feeders)

    @property
    def busy(self) -> int:
        return sum(feeder.busy for feeder in self._feeders)

    def wait_until_warm(self, timeout: float = START_TIMEOUT_S) -> None:
        """Block until every worker is warm. Raises ModelError if a worker cannot load the model, or on timeout."""
        end = time.monotonic() + timeout
        while self.warm < self.workers:
            with suppress(TimeoutError):
                self.first_failure.result(timeout=0.02)
            if time.monotonic() > end:
                raise ModelError(f"Only {self.warm} of {self.workers} workers were ready after {timeout:g} s.")

    def _wake(self) -> None:
        with self._lock:
            bell = self._idle.pop() if self._idle else None
        if bell:
            bell.ring()

    def take(self, bell: _Bell, timeout: float) -> Job | None:
        """The next job, or None if there is none within `timeout` seconds or the pool is closed."""
        end = time.monotonic() + timeout
        while True:
            with self._lock:
                if bell in self._idle:  # nobody has rung it
                    self._idle.remove(bell)
                job = None if self.closed.is_set() else self.take_now()
                left = end - time.monotonic()
                if job or left <= 0 or self.closed.is_set():
                    return job
                self._idle.append(bell)
            bell.wait(left)

    def close(self) -> None:
        """Kill the workers at once. Accepted photos that are not finished fail with Unavailable."""
        with self._lock:
            self.closed.set()
            waiting = list(self._idle)
        for bell in waiting:
            bell.ring()
        self.fail_all()
        for pid in self.started_pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + END_S
        for feeder in self._feeders:
            if feeder.is_alive():
                feeder.join(max(0.0, end - time.monotonic()))
        self.fail_all()


class _Bell:
    """Wakes a thread that waits for it.

    To ring it is a system call, which lets go of the GIL. Who notifies a Condition keeps the GIL, but not always the
    processor: the woken thread may get that, and can do nothing with it.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._rung = select.poll()
        self._rung.register(self._read, select.POLLIN)

    def __del__(self) -> None:
        os.close(self._read)
        os.close(self._write)

    def ring(self) -> None:
        os.write(self._write, b"!")

    def wait(self, seconds: float) -> None:
        """Returns when it has been rung, or after this many seconds."""
        if self._rung.poll(1000 * seconds):
            os.read(self._read, _RINGS)


class _Feeder(threading.Thread):
    """Keeps one worker running and feeds it one job after another."""

    def __init__(self, pool: WorkerPool, index: int) -> None:
        super().__init__(name=f"worker-{index}", daemon=True)
        self.pid: int | None = None
        """Process id of the worker, if any."""
        self.warm = False
        self.busy = False
        self._pool = pool
        self._index = index
        self._bell = _Bell()
        self._deaths = 0
        """Workers that have died since the last result."""
        self._again = False
        """Whether the current job goes to another worker once this try is over."""

    def run(self) -> None:
        worker: WorkerHandle | None = None
        while True:
            worker = worker or self._start()
            if worker is None:
                return
            job = self._pool.take(self._bell, _IDLE_CHECK_S)
            if self._pool.closed.is_set():
                self._end(worker)
                return
            if job is None:
                if not worker.alive:
                    self._replace(worker, worker.cause_of_death())
                    worker = None
                continue
            self.busy = True
            self._again = False
            try:
                cause = self._answer(worker, job)
            finally:
                self._pool.end(job)
            if self._again:
                self._pool.put_back(job)
            if cause:
                self._replace(worker, cause)
                worker = None
            self.busy = False
            del job  # and with it the photo

    def _start(self) -> WorkerHandle | None:
        """A warm worker, however many attempts it takes; None once the pool is shutting down."""
        while not self._pool.closed.wait(self._pause_s()):
            try:
                worker = WorkerHandle(self._pool.config)
                self.pid = worker.process.pid
                if self._pool.closed.is_set():
                    worker.kill()
                    break
                worker.wait_until_warm()
            except Exception as error:  # EOFError too, if the fork server dies; a feeder must survive everything
                if self._pool.closed.is_set():
                    break
                self._note_failure(error)
                continue
            self._pool.start_failure = None
            self.warm = True
            return worker
        return None

    def _note_failure(self, error: Exception) -> None:
        """Remember that a worker did not start, and why."""
        logger.error("worker %d did not start: %s", self._index, error or type(error).__name__)
        if isinstance(error, ModelError):
            self._pool.start_failure = error.summary
            with suppress(InvalidStateError):
                self._pool.first_failure.set_exception(error)
        else:
            self._pool.start_failure = "A worker did not start. The log says why."
        self.pid = None
        self._deaths += 1

    def _pause_s(self) -> float:
        """Back-off in seconds: none after the first death, then doubling."""
        first, longest = _BACKOFF_S
        return min(first * 2.0 ** min(self._deaths - 2, 30), longest) if self._deaths >= 2 else 0.0

    def _end(self, worker: WorkerHandle) -> None:
        self.warm = False
        self.pid = None
        worker.kill()

    def _replace(self, worker: WorkerHandle, cause: RestartCause) -> None:
        """End a worker that is dead or due for replacement; `run` then starts the next one."""
        self._end(worker)
        if self._pool.closed.is_set():
            return
        by_plan = cause is RestartCause.RECYCLED
        self._deaths += not by_plan
        self._pool.note_restart(cause)
        logger.log(
            logging.INFO if by_plan else logging.WARNING,
            "replacing worker %d (process %s): %s, exit code %s",
            self._index,
            worker.process.pid,
            cause,
            worker.process.exitcode,
        )

    def _answer(self, worker: WorkerHandle, job: Job) -> RestartCause | None:
        """Run a job. Returns why the worker must be replaced afterwards, or None."""
        if not worker.alive:  # it died while idle, which is not this photo's fault
            self._again = True
            return worker.cause_of_death()
        if not self._pool.begin(job):
            return None
        try:
            reply = worker.reply(job, self._pool.limit_s(job))
        except DeadlineExceeded as error:
            job.fail(error)
            return RestartCause.DEADLINE
        except WorkerDied:
            self._retry(job)
            return worker.cause_of_death()
        except Exception as error:
            job.fail(error)
            return RestartCause.CRASHED
        self._deaths = 0
        if isinstance(reply, Exception):
            job.fail(reply)
        else:
            self._pool.note_service(time.monotonic() - job.begun, job.cost)
            job.future.set_result(replace(reply, seconds={"queue": job.begun - job.submitted, **reply.seconds}))
        return RestartCause.RECYCLED if worker.answered == self._pool.max_photos_per_worker else None

    def _retry(self, job: Job) -> None:
        """Leave a photo whose worker has died to the next free worker, or fail it."""
        if job.tries < TRIES:
            self._again = True
        else:
            job.fail(gave_up_error())
