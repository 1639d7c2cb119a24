"""Whose turn it is: photos in the order in which they would be finished if all clients were served at the same time.

That is weighted fair queueing, self-clocked (Golestani 1994), on two levels. Clients share the workers equally, so that
nobody waits for what others have queued. Within a client, photos of about the same cost share equally with those of
other costs, so that a short photo does not wait for long ones even if all come through one address. A long photo is
overtaken only until its turn has come.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator

from depthsvc.pool.jobs import Job

SHORT_S = 0.3
"""Expected processor time in seconds up to which a photo is short."""
_CLASS_BITS = 3
"""Costs that differ by less than a factor of 2 to the power of this may be in one class, if both are short or none."""


class _Jobs(ABC):
    """Jobs in some order. Those that have been cancelled drop out when it would be their turn."""

    @property
    @abstractmethod
    def work(self) -> float:
        """What all of them cost, in seconds of processor time."""

    @abstractmethod
    def __iter__(self) -> Iterator[Job]: ...

    @abstractmethod
    def add(self, job: Job) -> None:
        """Queue a job."""

    @abstractmethod
    def first(self, most: float) -> Job | None:
        """The next job that costs at most `most`, if there is one."""

    @abstractmethod
    def take(self, most: float) -> Job:
        """Remove and return that job. There must be one."""

    @abstractmethod
    def ahead(self, job: Job) -> float:
        """The work, in seconds, that would be done before a new job is finished, without its own."""


class _Line(_Jobs):
    """First come, first served."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._work = 0.0

    @property
    def work(self) -> float:
        return self._work

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)

    def add(self, job: Job) -> None:
        self._jobs.append(job)
        self._work += job.cost

    def first(self, most: float) -> Job | None:
        while self._jobs and self._jobs[0].future.cancelled():
            self._remove_first()
        return self._jobs[0] if self._jobs and self._jobs[0].cost <= most else None

    def take(self, most: float) -> Job:
        return self._remove_first()

    def _remove_first(self) -> Job:
        job = self._jobs.popleft()
        self._work = self._work - job.cost if self._jobs else 0.0
        return job

    def ahead(self, job: Job) -> float:
        return self._work


class _Turns(_Jobs):
    """Groups of jobs that take turns, so that all get the same work done."""

    def __init__(self, group_of: Callable[[Job], object], new_group: Callable[[], _Jobs]) -> None:
        self._group_of = group_of
        self._new_group = new_group
        self.groups: dict[object, _Jobs] = {}
        """Those with jobs."""
        self._done: dict[object, float] = {}
        """Work done for a group, in seconds; what it did not ask for while others waited counts as done."""
        self._now = 0.0
        """Work done for the group whose turn it was last, once its job is finished."""

    @property
    def work(self) -> float:
        return sum(group.work for group in self.groups.values())

    def __iter__(self) -> Iterator[Job]:
        return (job for group in self.groups.values() for job in group)

    def add(self, job: Job) -> None:
        key = self._group_of(job)
        if key not in self.groups:
            self.groups[key] = self._new_group()
            self._done[key] = max(self._done.get(key, 0.0), self._now)
        self.groups[key].add(job)

    def first(self, most: float) -> Job | None:
        found = self._next(most)
        return found[1] if found else None

    def take(self, most: float) -> Job:
        found = self._next(most)
        assert found
        key = found[0]
        job = self.groups[key].take(most)
        self._done[key] += job.cost
        self._now = max(self._now, self._done[key])
        self.groups = {key: group for key, group in self.groups.items() if group.work}
        if len(self._done) > 2 * len(self.groups) + 8:
            self._done = {key: done for key, done in self._done.items() if key in self.groups or done > self._now}
        return job

    def settle(self, job: Job, work: float) -> None:
        """A job that has been taken had this much work done, in seconds, instead of what it costs."""
        key = self._group_of(job)
        self._done[key] = self._done.get(key, self._now) + work - job.cost

    def ahead(self, job: Job) -> float:
        key = self._group_of(job)
        own = self.groups[key].ahead(job) if key in self.groups else 0.0
        return own + sum(min(group.work, own + job.cost) for other, group in self.groups.items() if other != key)

    def _next(self, most: float) -> tuple[object, Job] | None:
        """The group whose next job, of those that cost at most `most`, would be finished first; and that job."""
        firsts = [(key, job) for key, group in self.groups.items() if (job := group.first(most)) is not None]
        return min(firsts, key=lambda first: self._done[first[0]] + first[1].cost, default=None)


class FairQueue:
    """The queue of a pool. Jobs that are put back go first. Not thread-safe."""

    def __init__(self) -> None:
        self._clients = _Turns(lambda job: job.client, lambda: _Turns(_cost_class, _Line))
        self._returned: deque[Job] = deque()

    def __bool__(self) -> bool:
        return bool(self._returned or self._clients.work)

    def __iter__(self) -> Iterator[Job]:
        yield from self._returned
        yield from self._clients

    def add(self, job: Job) -> None:
        """Queue a job."""
        self._clients.add(job)

    def put_back(self, job: Job) -> None:
        """Queue a job whose worker has died before all others."""
        self._returned.append(job)

    def take(self, most: float = math.inf) -> Job | None:
        """The next job that costs at most `most`, if there is one."""
        if self._returned:
            return self._returned.popleft()
        return self._clients.take(most) if self._clients.first(most) else None

    def settle(self, job: Job, work: float) -> None:
        """A job's client has had this much work done, in seconds of processor time, instead of what the job costs."""
        self._clients.settle(job, work)

    def ahead(self, job: Job) -> float:
        """The work, in seconds of processor time, that would be done before a new job is finished."""
        return self._clients.ahead(job) + sum(one.cost for one in self._returned)

    def own_ahead(self, job: Job) -> float:
        """The part of it that its own client has queued."""
        client = self._clients.groups.get(job.client)
        return client.ahead(job) if client else 0.0


def _cost_class(job: Job) -> int:
    return math.ceil(math.log2(job.cost / SHORT_S) / _CLASS_BITS)
