"""Photos waiting for a worker, and whose turn it is."""

from __future__ import annotations

import time
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field

from depthsvc.errors import QueueFull
from depthsvc.options import Task
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


@dataclass(eq=False)
class Job:
    """One photo, its options, and the future for its result."""

    photo: HeldPhoto
    options: Task
    deadline: float
    """On time.monotonic()'s clock."""
    price: float | None = None
    """Expected processor time in seconds. Without one nothing is promised of when it will be finished."""
    client: str = ""
    """Whose photo it is; "" if that does not matter."""
    tries: int = 0
    submitted: float = field(default_factory=time.monotonic)
    begun: float = 0.0
    """When the latest try began, on time.monotonic()'s clock."""
    future: Future[Answer] = field(default_factory=Future)

    @property
    def cost(self) -> float:
        """The price; 1 for photos that have none, which then count alike."""
        return 1.0 if self.price is None else self.price

    @property
    def remaining(self) -> float:
        return self.deadline - time.monotonic()

    def begin(self) -> bool:
        """Start a try. False if the job has been cancelled or has missed its deadline."""
        if self.tries == 0 and not self.future.set_running_or_notify_cancel():
            return False
        if self.remaining <= 0:
            self.fail(QueueFull("No worker was free before the photo's deadline. Try again later."))
            return False
        self.begun = time.monotonic()
        self.tries += 1
        return True

    def fail(self, error: Exception) -> None:
        with suppress(InvalidStateError):
            self.future.set_exception(error)
