"""Accepted photos: whose turn it is, and whether another can be finished in time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from depthsvc.errors import QueueFull
from depthsvc.pool.fair_queue import SHORT_S, FairQueue
from depthsvc.pool.jobs import Job

_FADING = 0.9
"""Weight of a photo in the pace, relative to the one after it."""
_SPARE = 2
"""A photo is begun only if this many times its expected time is left: estimates are not exact."""
_PATIENCE = 8
"""A worker that has taken this many times a photo's expected time counts as stuck."""
_EXPRESS_S = 2.0
"""Seconds after a short photo in which one worker is left to the next: it would wait for a long one to finish."""
_PLACES_SHARE = 3.0
"""A client may hold this many times the places that are free: three quarters of them if it is alone."""
_WORK_SHARE = 0.5
"""A client's waiting photos may take this part of the time that is free: a third of it if it is alone. So what has been
accepted is finished in time even if others come and take their turns."""


@dataclass
class _Load:
    """A client's accepted photos."""

    photos: int = 0
    work: float = 0.0
    """Their expected processor time in seconds."""


class Schedule:
    """What has been accepted and is not finished yet. Not thread-safe.

    Work is expected processor time in seconds; by the workers' pace it becomes the time that they need for it.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        """How many there are now."""
        self.accepted = 0
        """Photos that have been accepted and not yet finished."""
        self._queue = FairQueue()
        self._running: set[Job] = set()
        """Taken and not yet finished."""
        self._loads: dict[str, _Load] = {}
        """What is accepted and not yet finished, by client."""
        self._last_short = -math.inf
        """When the latest short photo came, on time.monotonic()'s clock."""
        self._recent_s = self._recent_work = 0.0
        """Seconds that workers spent on recent photos, and what these were expected to take."""

    def __iter__(self) -> Iterator[Job]:
        """The jobs that wait."""
        return iter(self._queue)

    @property
    def pace(self) -> float:
        """Seconds that a worker needs for a second of work; 0 before the first photo."""
        return self._recent_s / self._recent_work if self._recent_work else 0.0

    @property
    def expected_wait_s(self) -> float:
        """Estimated seconds until all accepted photos are finished."""
        return self._seconds_for(self._accepted_work() - self._done_work())

    def bounded(self, price: float, deadline_s: float) -> float:
        """A price, but no more than is accepted of a photo that is alone: whatever the estimate, it is tried."""
        return min(price, deadline_s / (2 * _SPARE * self.pace)) if self.pace else price

    def check_share(self, client: str, free: int) -> None:
        """Raise QueueFull if a client has no right to one of so many free places."""
        load = self._loads.get(client)
        if client and load and load.photos >= _PLACES_SHARE * free:
            raise QueueFull(f"{load.photos} photos of yours are ahead of this one. Send fewer at the same time.")

    def check_time(self, job: Job, deadline_s: float) -> None:
        """Raise QueueFull if a new job could not be finished in time, or its client has too much work waiting."""
        ahead = self._queue.ahead(job) + sum(job.cost for job in self._running) - self._done_work()
        if self._seconds_for(ahead) + self.pace * job.cost > deadline_s:
            raise QueueFull("The photos ahead of this one take longer than its deadline allows. Try again later.")
        own = self._queue.own_ahead(job)
        if not (job.client and own and self.pace):
            return
        free = deadline_s * self.workers / self.pace - self._accepted_work()
        if own + job.cost > _WORK_SHARE * free:
            raise QueueFull("The photos of yours that are ahead of this one fill your share. Send fewer at a time.")

    def add(self, job: Job) -> None:
        """Queue a job. Call `finished` when its future is done."""
        self.accepted += 1
        load = self._loads.setdefault(job.client, _Load())
        load.photos += 1
        load.work += job.cost
        if job.price is not None and job.price <= SHORT_S:
            self._last_short = time.monotonic()
        self._queue.add(job)

    def finished(self, client: str, cost: float) -> None:
        """A client's job of this cost has a result, has failed or has been cancelled."""
        self.accepted -= 1
        load = self._loads[client]
        load.photos -= 1
        load.work -= cost
        if not load.photos:
            del self._loads[client]

    def take(self) -> Job | None:
        """The job whose turn it is, if there is one. Call `end` when its try is over."""
        job = self._queue.take(SHORT_S if self._keeps_a_worker() else math.inf)
        if job is not None:
            job.begun = time.monotonic()
            self._running.add(job)
        return job

    def put_back(self, job: Job) -> None:
        """Queue a job whose worker has died before all others."""
        self._queue.put_back(job)

    def end(self, job: Job) -> None:
        """A try of a job is over. What it took counts for its client, whatever was expected and however it ended."""
        self._running.discard(job)
        if self.pace:
            self._queue.settle(job, (time.monotonic() - job.begun) / self.pace)

    def is_late(self, job: Job) -> bool:
        """Whether a job cannot be finished by its deadline any more."""
        return job.price is not None and job.remaining < _SPARE * self.pace * job.cost

    def limit_s(self, job: Job) -> float:
        """Seconds after which a worker that has not finished a job is given up: not before its deadline, and never
        while a photo may just be slower than expected."""
        return max(job.remaining, _PATIENCE * self.pace * (job.price or 0))

    def note_service(self, seconds: float, cost: float) -> None:
        """A worker spent this long on a photo of this cost."""
        self._recent_s = _FADING * self._recent_s + seconds
        self._recent_work = _FADING * self._recent_work + cost

    def _keeps_a_worker(self) -> bool:
        """Whether the last free worker is kept for short photos: others are long, and short ones come."""
        long = sum(job.cost > SHORT_S for job in self._running)
        return 1 <= self.workers - 1 <= long and time.monotonic() - self._last_short < _EXPRESS_S

    def _seconds_for(self, work: float) -> float:
        return max(0.0, work) * self.pace / self.workers

    def _accepted_work(self) -> float:
        return sum(load.work for load in self._loads.values())

    def _done_work(self) -> float:
        """What running photos have probably had."""
        now = time.monotonic()
        return sum(min(job.cost, (now - job.begun) / max(self.pace, 1e-9)) for job in self._running)
