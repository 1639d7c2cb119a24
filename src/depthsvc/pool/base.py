"""The pool as its callers see it: N workers behind one bounded queue, local or remote."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from concurrent.futures import Future
from enum import StrEnum
from functools import partial

from depthsvc.errors import QueueFull, Unavailable, WorkerCrashed
from depthsvc.options import Task
from depthsvc.pipeline.answer import Answer
from depthsvc.pool.jobs import HeldPhoto, Job
from depthsvc.pool.schedule import Schedule

TRIES = 2
"""Number of workers that may die on one photo before it fails: inference is idempotent, and a crash may be chance."""


class RestartCause(StrEnum):
    """Why a worker was replaced."""

    CRASHED = "crashed"
    """It exited, or died from its own signal such as SIGSEGV."""
    KILLED = "killed"
    """SIGKILL from outside this service: usually the system ran out of memory."""
    DEADLINE = "deadline"
    """This service killed it because a photo was not finished by its deadline."""
    RECYCLED = "recycled"
    """It had processed `max_photos_per_worker` photos."""


class PhotoPool(ABC):
    """Counts and limits the accepted photos; subclasses process them. `submit` is thread-safe."""

    def __init__(self, *, workers: int, queue_size: int) -> None:
        self.queue_size = queue_size
        self.restarts: Counter[RestartCause] = Counter()
        """Workers replaced so far."""
        self.start_failure: str | None = None
        """Why the last worker that started failed, without paths; None once one is warm again."""
        self.closed = threading.Event()
        self._lock = threading.RLock()
        self._schedule = Schedule(workers)

    @property
    def workers(self) -> int:
        """Number of workers that there should be."""
        return self._schedule.workers

    @property
    @abstractmethod
    def warm(self) -> int:
        """Workers that are ready for a photo or processing one."""

    @property
    @abstractmethod
    def busy(self) -> int:
        """Workers that are processing a photo."""

    @abstractmethod
    def _wake(self) -> None:
        """A job has been queued. Must not block. Called without the lock."""

    @property
    def in_flight(self) -> int:
        """Photos that have been accepted and not yet finished."""
        return self._schedule.accepted

    @property
    def waiting(self) -> int:
        """Photos that have been accepted and are waiting for a worker."""
        return max(0, self.in_flight - self.busy)

    @property
    def full(self) -> bool:
        """Whether `submit` would raise QueueFull."""
        return self._free <= 0

    @property
    def _free(self) -> int:
        """Places for photos."""
        return self.workers + self.queue_size - self.in_flight

    @property
    def expected_wait_s(self) -> float:
        """Estimated seconds until all accepted photos are finished."""
        with self._lock:
            return self._schedule.expected_wait_s

    def check_room(self, client: str = "") -> None:
        """Raise what `submit` would raise now for a photo that costs nothing.

        That is QueueFull if there is no place for another photo of this client, or Unavailable if the pool is shutting
        down.
        """
        if self.closed.is_set():
            raise shutting_down_error()
        if self.full:
            raise QueueFull(f"{self.in_flight} photos are ahead of this one. Try again later.")
        self._schedule.check_share(client, self._free)

    def submit(
        self,
        data: bytes | bytearray,
        options: Task,
        *,
        deadline_s: float,
        price: float | None = None,
        client: str = "",
    ) -> Future[Answer]:
        """Queue a photo. The future returns its Answer or raises RequestError.

        `price`: expected processor time in seconds; a pool's photos all have one, or none has. `client`: whose photo it
        is. Each client gets an equal part of the workers, and at most a part of the queue; "" gets all of it.

        Cancelling the future removes the photo from the queue, or does nothing if a worker already has it. Raises
        QueueFull at once if the queue is full or a photo with a price would not be finished in time, and Unavailable if
        the pool is shutting down.
        """
        with self._lock:
            self.check_room(client)
            price = None if price is None else self._schedule.bounded(price, deadline_s)
            job = Job(HeldPhoto(data), options, time.monotonic() + deadline_s, price, client)
            if price is not None:
                self._schedule.check_time(job, deadline_s)
            self._schedule.add(job)
            job.future.add_done_callback(partial(self._forget, job.photo, client, job.cost))
        self._wake()
        return job.future

    def _forget(self, photo: HeldPhoto, client: str, cost: float, _: Future[Answer]) -> None:
        photo.release()
        with self._lock:
            self._schedule.finished(client, cost)

    def is_waiting(self, photo: Future[Answer]) -> bool:
        """Whether a photo, by its future, waits for a worker, perhaps for another one because its first has died."""
        with self._lock:
            return any(job.future is photo for job in self._schedule)

    def take_now(self) -> Job | None:
        """The job whose turn it is, if there is one. Call `end` when its try is over."""
        with self._lock:
            return self._schedule.take()

    def put_back(self, job: Job) -> None:
        """Queue a job whose worker has died before all others."""
        with self._lock:
            self._schedule.put_back(job)
        self._wake()

    def fail_all(self) -> None:
        """Fail the jobs that wait, because the pool is closing."""
        with self._lock:
            jobs = list(self._schedule)
        for job in jobs:
            job.fail(shutting_down_error())

    def begin(self, job: Job) -> bool:
        """Start a try of a job. False if it has been cancelled, or cannot be finished by its deadline any more."""
        if self._schedule.is_late(job):
            job.fail(QueueFull("Other photos took longer than expected, and this one ran out of time. Try again."))
            return False
        return job.begin()

    def end(self, job: Job) -> None:
        """A try of a job is over."""
        with self._lock:
            self._schedule.end(job)

    def limit_s(self, job: Job) -> float:
        """Seconds after which a worker that has not finished a job is given up."""
        return self._schedule.limit_s(job)

    def note_service(self, seconds: float, cost: float) -> None:
        """A worker spent this long on a photo of this cost."""
        with self._lock:
            self._schedule.note_service(seconds, cost)

    def note_restart(self, cause: RestartCause) -> None:
        """Count a replaced worker."""
        with self._lock:
            self.restarts[cause] += 1


def gave_up_error() -> WorkerCrashed:
    """The error of a photo on which TRIES workers have died."""
    return WorkerCrashed("Workers repeatedly died on this photo. Save it again with another program and send that.")


def shutting_down_error() -> Unavailable:
    """The error of a photo that is not finished before its pool closes."""
    return Unavailable("The service is shutting down. Try again later.")
