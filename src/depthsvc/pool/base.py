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
from depthsvc.options import Options
from depthsvc.pipeline.answer import Answer
from depthsvc.pool.jobs import HeldPhoto, Job

TRIES = 2
"""Number of workers that may die on one photo before it fails: inference is idempotent, and a crash may be chance."""
_SMOOTHING = 0.1
"""Weight of the latest photo in the mean service time."""


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
        self.workers = workers
        """Configured number of workers."""
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
        """Workers that are ready for a photo or processing one."""

    @property
    @abstractmethod
    def busy(self) -> int:
        """Workers that are processing a photo."""

    @abstractmethod
    def _add(self, job: Job) -> None:
        """Queue a job. Must not block."""

    @property
    def in_flight(self) -> int:
        """Photos that have been accepted and not yet finished."""
        return self._accepted

    @property
    def waiting(self) -> int:
        """Photos that have been accepted and are waiting for a worker."""
        return max(0, self._accepted - self.busy)

    @property
    def full(self) -> bool:
        """Whether `submit` would raise QueueFull."""
        return self._accepted >= self.workers + self.queue_size

    @property
    def expected_wait_s(self) -> float:
        """Estimated seconds until all accepted photos are finished, from the recent mean service time."""
        return self._accepted * self._mean_service_s / self.workers

    def check_room(self) -> None:
        """Raise what `submit` would raise now: QueueFull, or Unavailable if the pool is shutting down."""
        if self.closed.is_set():
            raise shutting_down_error()
        if self.full:
            raise QueueFull(f"{self._accepted} photos are ahead of this one. Try again later.")

    def submit(self, data: bytes | bytearray, options: Options, *, deadline_s: float) -> Future[Answer]:
        """Queue a photo. The future returns its Answer or raises RequestError.

        Cancelling the future removes the photo from the queue, or does nothing if a worker already has it. Raises
        QueueFull at once if the queue is full, and Unavailable if the pool is shutting down.
        """
        job = Job(HeldPhoto(data), options, time.monotonic() + deadline_s)
        with self._lock:
            self.check_room()
            self._accepted += 1
            job.future.add_done_callback(partial(self._forget, job.photo))
            self._add(job)
        return job.future

    def _forget(self, photo: HeldPhoto, _: Future[Answer]) -> None:
        photo.release()
        with self._lock:
            self._accepted -= 1

    def note_service(self, seconds: float) -> None:
        """Add the time that a worker spent on one photo to the mean."""
        with self._lock:
            self._mean_service_s += (_SMOOTHING if self._mean_service_s else 1.0) * (seconds - self._mean_service_s)

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
