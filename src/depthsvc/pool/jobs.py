"""Photos waiting for a worker."""

from __future__ import annotations

import itertools
import queue
import time
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field

from depthsvc.errors import DeadlineExceeded
from depthsvc.options import Options
from depthsvc.pipeline.answer import Answer


@dataclass
class HeldPhoto:
    """A photo's bytes until its job is over: a cancelled job stays in the queue until its turn comes.

    The job's future releases it, and must not refer to the job for that: in such a cycle a large result would live
    until the next garbage collection.
    """

    data: bytes | bytearray

    def release(self) -> None:
        """Free the bytes."""
        self.data = b""


@dataclass
class Job:
    """One photo, its options, and the future for its result."""

    photo: HeldPhoto
    options: Options
    deadline: float
    """On time.monotonic()'s clock."""
    tries: int = 0
    submitted: float = field(default_factory=time.monotonic)
    future: Future[Answer] = field(default_factory=Future)

    @property
    def remaining(self) -> float:
        return self.deadline - time.monotonic()

    def begin(self) -> bool:
        """Start a try. False if the job has been cancelled or has missed its deadline."""
        if self.tries == 0 and not self.future.set_running_or_notify_cancel():
            return False
        if self.remaining <= 0:
            self.fail(DeadlineExceeded("The photo waited until its deadline. Try again later."))
            return False
        self.tries += 1
        return True

    def fail(self, error: Exception) -> None:
        with suppress(InvalidStateError):
            self.future.set_exception(error)


class JobQueue:
    """The queue: first come, first served, but jobs of dead workers go first."""

    def __init__(self) -> None:
        self._entries: queue.PriorityQueue[tuple[int, int, Job | None]] = queue.PriorityQueue()
        self._numbers = itertools.count()

    def add(self, job: Job) -> None:
        self._entries.put((1, next(self._numbers), job))

    def add_first(self, job: Job) -> None:
        self._entries.put((0, next(self._numbers), job))

    def end_one_feeder(self) -> None:
        self._entries.put((-1, next(self._numbers), None))

    def take(self, timeout: float) -> Job | None:
        """The next job, or None to end a feeder. Raises queue.Empty."""
        return self._entries.get(timeout=timeout)[2]

    def fail_all(self, error: Exception) -> None:
        with suppress(queue.Empty):
            while True:
                if (job := self._entries.get_nowait()[2]) is not None:
                    job.fail(error)
