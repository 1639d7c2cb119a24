"""What answers photos, as the service sees it: so many workers behind one bounded queue, wherever they run."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from concurrent.futures import Future
from enum import StrEnum
from functools import partial

from depthsvc.errors import QueueFull, Unavailable, WorkerCrashed
from depthsvc.options import Options
from depthsvc.pipeline.answer import Answer
from depthsvc.pool.jobs import Job

TRIES = 2
"""Workers that may die on one photo before it is given up: inference is idempotent, crashes may be chance."""
_SMOOTHING = 0.1
"""Weight of the latest photo in the mean service time."""


class RestartCause(StrEnum):
    """Why a worker was replaced."""

    CRASHED = "crashed"
    """It ended by itself, or by a signal of its own making such as SIGSEGV."""
    KILLED = "killed"
    """SIGKILL from outside this service: usually the system has run out of memory."""
    DEADLINE = "deadline"
    """This service killed it, because a photo was not ready at its deadline."""
    RECYCLED = "recycled"
    """It had answered as many photos as a worker may."""


class PhotoPool(ABC):
    """Counts what has been accepted and bounds it; how it is answered is left to the kinds of pool.

    `submit` may be called from any thread.
    """

    def __init__(self, *, workers: int, queue_size: int) -> None:
        self.workers = workers
        """How many there are meant to be."""
        self.queue_size = queue_size
        self.restarts: Counter[RestartCause] = Counter()
        """Workers replaced so far."""
        self.closed = threading.Event()
        self._lock = threading.Lock()
        self._accepted = 0
        self._mean_service_s = 0.0

    @property
    @abstractmethod
    def warm(self) -> int:
        """Workers that can take a photo, or are answering one."""

    @property
    @abstractmethod
    def busy(self) -> int:
        """Workers that are answering a photo."""

    @abstractmethod
    def _add(self, job: Job) -> None:
        """Have a job answered when its turn comes. Must not wait."""

    @property
    def in_flight(self) -> int:
        """Photos that have been accepted and not yet answered."""
        return self._accepted

    @property
    def waiting(self) -> int:
        """Photos that have been accepted and wait for a worker."""
        return max(0, self._accepted - self.busy)

    @property
    def full(self) -> bool:
        """Whether `submit` would raise QueueFull."""
        return self._accepted >= self.workers + self.queue_size

    @property
    def expected_wait_s(self) -> float:
        """Time until everything accepted so far will be answered, by the mean service time of late."""
        return self._accepted * self._mean_service_s / self.workers

    def check_room(self) -> None:
        """Raise what `submit` would raise now: QueueFull, or Unavailable when the pool is shutting_down_error."""
        if self.closed.is_set():
            raise shutting_down_error()
        if self.full:
            raise QueueFull(f"{self._accepted} photos are ahead of this one. Try again later.")

    def submit(self, data: bytes | bytearray, options: Options, *, deadline_s: float) -> Future[Answer]:
        """Queue a photo. The future gives its Answer, or raises RequestError.

        Cancelling the future takes the photo out of the queue, or does nothing if a worker has it. Raises
        QueueFull at once if as many photos wait as may, and Unavailable when the pool is shutting_down_error.
        """
        job = Job(data, options, time.monotonic() + deadline_s)
        with self._lock:
            self.check_room()
            self._accepted += 1
            job.future.add_done_callback(partial(self._forget, job))
            self._add(job)
        return job.future

    def _forget(self, job: Job, _: Future[Answer]) -> None:
        job.release()
        with self._lock:
            self._accepted -= 1

    def note_service(self, seconds: float) -> None:
        """Take the time that a worker spent on one photo into the mean."""
        with self._lock:
            self._mean_service_s += (_SMOOTHING if self._mean_service_s else 1.0) * (seconds - self._mean_service_s)

    def note_restart(self, cause: RestartCause) -> None:
        """Count a worker that is replaced."""
        with self._lock:
            self.restarts[cause] += 1


def gave_up_error() -> WorkerCrashed:
    """What a photo gets on which as many workers have died as may."""
    return WorkerCrashed("Workers died on this photo again and again, so it is given up. Send another version of it.")


def shutting_down_error() -> Unavailable:
    """What a photo gets that is not finished before its pool ends."""
    return Unavailable("The service is shutting down. Try again later.")
