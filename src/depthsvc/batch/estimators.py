"""Who computes the photos of a batch: workers on this machine, or a service."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from depthsvc.client import AsyncDepthClient
from depthsvc.errors import ServiceUnreachable
from depthsvc.jobs import completed
from depthsvc.options import Options
from depthsvc.pool import WorkerPool


@dataclass(frozen=True)
class Result:
    """What a photo became."""

    body: bytes
    model: str
    seconds: float | None
    """Time that the worker spent on it; None if that is not known."""


class Estimator(Protocol):
    """Computes photos, several at a time."""

    concurrency: int
    """How many photos keep it busy."""

    async def estimate(self, photo: bytes) -> Result:
        """Raises RequestError, or ServiceUnreachable."""
        ...


class LocalEstimator:
    """A pool of this process."""

    def __init__(self, pool: WorkerPool, options: Options, deadline_s: float) -> None:
        self.concurrency = 2 * pool.workers  # one is computed while the next one waits at hand
        self._pool = pool
        self._options = options
        self._deadline_s = deadline_s

    async def estimate(self, photo: bytes) -> Result:
        computing = self._pool.submit(photo, self._options, deadline_s=self._deadline_s)
        try:
            await completed(computing)
        finally:
            computing.cancel()
        answer = computing.result()
        worked_s = sum(seconds for stage, seconds in answer.seconds.items() if stage != "queue")
        return Result(answer.body, answer.model, worked_s)


class RemoteEstimator:
    """A service."""

    def __init__(self, client: AsyncDepthClient, options: Options, concurrency: int) -> None:
        self.concurrency = concurrency
        self._client = client
        self._options = options

    async def estimate(self, photo: bytes) -> Result:
        response = await self._client.answer(photo, self._options)
        model = response.headers.get("X-Depth-Model")
        if model is None:
            raise ServiceUnreachable(f"{response.url} answers without naming a model. Is it depthsvc?")
        return Result(response.content, model, _worked_s(response.headers.get("Server-Timing", "")))


def _worked_s(timing: str) -> float | None:
    """The sum of a Server-Timing header without the queue, in seconds."""
    milliseconds = []
    for metric in timing.split(","):
        stage, _, duration = metric.strip().partition(";dur=")
        if stage != "queue":
            try:
                milliseconds.append(float(duration))
            except ValueError:
                return None
    seconds = sum(milliseconds) / 1000
    return seconds if math.isfinite(seconds) else None
