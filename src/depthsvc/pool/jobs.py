"""Photos that wait for a worker."""

from __future__ import annotations

import asyncio
import itertools
import queue
import time
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from depthsvc.errors import DeadlineExceeded
from depthsvc.options import Options

if TYPE_CHECKING:
    from depthsvc.pipeline.stages import Answer


@dataclass
class Job:
    """One photo, what is asked of it, and the future that its answer goes to."""

    photo: list[bytes | bytearray]
    """The photo's bytes, or nothing once the job is over: a cancelled job stays in the queue until its turn comes."""
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
        """Whether a worker is to have it: neither cancelled nor too late."""
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
    """The queue: first come first served, but what a dying worker left behind goes first."""

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
        """The next job; None ends a feeder. Raises queue.Empty."""
        return self._entries.get(timeout=timeout)[2]

    def fail_all(self, error: Exception) -> None:
        with suppress(queue.Empty):
            while True:
                if (job := self._entries.get_nowait()[2]) is not None:
                    job.fail(error)


def completed(future: Future[Answer]) -> asyncio.Future[None]:
    """Done when a future of the pool is done. asyncio.wrap_future would keep a large answer alive in a cycle."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    future.add_done_callback(partial(_finish_from_thread, loop, done))
    return done


def _finish_from_thread(loop: asyncio.AbstractEventLoop, done: asyncio.Future[None], _: Future[Answer]) -> None:
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(_finish, done)


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
