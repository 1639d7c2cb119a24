"""What computes the photos of a batch: workers on this machine, or a service."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from anyio.from_thread import BlockingPortal, start_blocking_portal

from depthsvc.client import AsyncDepthClient
from depthsvc.errors import ConfigurationError, ServiceUnreachable, Unauthorized
from depthsvc.imaging.spec import DepthKind
from depthsvc.machine.capacity import peak_memory_of
from depthsvc.options import Options
from depthsvc.pool.launch import pool_config
from depthsvc.pool.preload import preload
from depthsvc.pool.processes import kill_children
from depthsvc.pool.workers import WorkerPool
from depthsvc.settings import Settings

_RETRIES = 1000
_MAX_WAIT_S = 300.0
"""A batch is patient: it gives up only if the service accepts nothing for this many seconds."""


@dataclass(frozen=True)
class Remote:
    """A service to send the photos to."""

    url: str
    api_key: str | None
    concurrency: int


@dataclass(frozen=True)
class Facts:
    """What is known of one photo's result. A service may leave out the numbers."""

    model: str
    kind: str
    """What its depth values are: `inverse_depth` or `metres`."""
    min: float | None
    """The smallest of them, in the result's units if it holds depth."""
    max: float | None
    """The largest of them."""
    seconds: float | None
    """Time that the worker spent on it."""


@dataclass(frozen=True)
class Result:
    """The result of one photo."""

    body: bytes
    facts: Facts


class Estimator(Protocol):
    """Computes photos; thread-safe."""

    def estimate(self, photo: bytes) -> Result:
        """Raises RequestError or ServiceUnreachable, and any exception once the estimator is closed."""
        ...

    def peak_memory(self) -> int | None:
        """The most memory, in bytes, that one worker has had; None if it is elsewhere."""
        ...


class _LocalEstimator:
    def __init__(self, pool: WorkerPool, options: Options, deadline_s: float) -> None:
        self._pool = pool
        self._options = options
        self._deadline_s = deadline_s

    def estimate(self, photo: bytes) -> Result:
        answer = self._pool.submit(photo, self._options, deadline_s=self._deadline_s).result()
        worked_s = sum(seconds for stage, seconds in answer.seconds.items() if stage != "queue")
        return Result(answer.body, Facts(answer.model, answer.kind, answer.min, answer.max, worked_s))

    def peak_memory(self) -> int | None:
        return max(filter(None, map(peak_memory_of, self._pool.started_pids)), default=None)


@contextmanager
def local_estimator(settings: Settings, options: Options, workers: int) -> Iterator[Estimator]:
    """A pool of at most `workers` warm workers. Call it from two threads for each, so that photos are always queued.

    Raises DepthServiceError if the workers cannot start.
    """
    preload(settings)
    try:
        config = pool_config(settings, most=workers)
        with WorkerPool(
            config.worker,
            workers=config.workers,
            queue_size=2 * workers - config.workers,
            max_photos_per_worker=settings.max_photos_per_worker,
        ) as pool:
            pool.wait_until_warm()
            yield _LocalEstimator(pool, options, settings.deadline_s)
    finally:
        kill_children()


class _RemoteEstimator:
    def __init__(self, portal: BlockingPortal, client: AsyncDepthClient, options: Options) -> None:
        self._portal = portal
        self._client = client
        self._options = options

    def estimate(self, photo: bytes) -> Result:
        response = self._portal.call(self._client.answer, photo, self._options)
        headers = response.headers
        model = headers.get("X-Depth-Model")
        if model is None:
            raise ServiceUnreachable(f"{response.url} returned no X-Depth-Model header. Is it depthsvc?")
        kind = headers.get("X-Depth-Kind", DepthKind.INVERSE_DEPTH)
        least, most = (_number(headers.get(f"X-Depth-{name}", "")) for name in ("Min", "Max"))
        return Result(response.content, Facts(model, kind, least, most, _worked_s(headers.get("Server-Timing", ""))))

    def peak_memory(self) -> int | None:
        return None


@contextmanager
def remote_estimator(remote: Remote, options: Options) -> Iterator[Estimator]:
    """A service that has been checked to accept photos. Raises ConfigurationError if it does not.

    Uses the asynchronous client, whose waits can be cancelled at once.
    """
    with start_blocking_portal() as portal:
        portal.call(_greet, remote)
        patient = AsyncDepthClient(remote.url, api_key=remote.api_key, retries=_RETRIES, max_wait_s=_MAX_WAIT_S)
        with portal.wrap_async_context_manager(patient) as client:
            yield _RemoteEstimator(portal, client, options)


async def _greet(remote: Remote) -> None:
    """Report a wrong address or key once, before a thousand photos fail."""
    try:
        async with AsyncDepthClient(remote.url, api_key=remote.api_key, retries=1) as client:
            await client.models()
    except ServiceUnreachable as error:
        raise ConfigurationError(f"{error} Check that a service is running there and has loaded its model.") from error
    except Unauthorized as error:
        raise ConfigurationError(
            "The service needs a valid API key. Give it with --api-key or DEPTHSVC_API_KEY."
        ) from error


def _number(text: str) -> float | None:
    """The finite number in a header, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _worked_s(timing: str) -> float | None:
    """The stages of a Server-Timing header in sum, without the queue, in seconds; None if they cannot be read."""
    durations = dict(metric.strip().partition(";dur=")[::2] for metric in timing.split(","))
    stages = [_number(durations.get(stage, "")) for stage in ("decode", "infer", "render")]
    return None if None in stages else sum(filter(None, stages)) / 1000
