"""The service on Ray Serve: its pool is a deployment whose replicas each hold one warm pipeline.

HTTP stays with the service's own process: its bounds on clients and bytes, its errors, metrics and its way to end are
the same code as without Ray, and Serve's proxies are not started.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from depthsvc.distributed.cluster import LOCAL, connected
from depthsvc.distributed.recipe import Recipe, ended_after
from depthsvc.distributed.tries import counted, forget, new_prefix
from depthsvc.errors import ConfigurationError, DeadlineExceeded, ModelError, QueueFull, Unavailable, WorkerCrashed
from depthsvc.jobs import Job
from depthsvc.launch import prepared_model
from depthsvc.model.loading import PreparedModel
from depthsvc.options import Options
from depthsvc.photopool import TRIES, PhotoPool, RestartCause, closing, given_up
from depthsvc.pipeline import Answer
from depthsvc.processes import start_fork_server
from depthsvc.settings import Settings
from depthsvc.worker import reply

try:
    from ray import serve
    from ray.exceptions import ActorDiedError, OutOfMemoryError, RayActorError
    from ray.serve.exceptions import BackPressureError, RayServeException
except ImportError as missing:
    raise ConfigurationError("Ray Serve is not installed: pip install 'depthsvc[ray]'.") from missing

logger = logging.getLogger(__name__)

APPLICATION = "depthsvc"
"""What the service is called on a cluster. A service that starts takes the place of one that was killed."""
DEPLOYMENT = "Estimator"
_BUSY_REPLICAS = 0.8
"""Photos at a time for each replica that autoscaling aims at; a replica never has more than one."""
_LOOK_EVERY_S = 1.0
"""How often the replicas are counted, and how often Serve looks after them."""
_END_S = 5.0
_DEADLINE_MARGIN_S = 0.5
"""A replica ends itself at a photo's deadline; only later is it taken to be out of reach."""


class Replica:
    """One warm pipeline in a process of its own."""

    def __init__(self, recipe: Recipe) -> None:
        self._pipeline = recipe.make()

    async def __call__(self, name: str, photo: bytes, options: Options, remaining_s: float) -> Answer | Exception:
        """What becomes of a photo. The system ends the process if it takes longer than it may."""
        try:
            with counted(name), ended_after(remaining_s):
                return reply(self._pipeline, photo, options)
        except WorkerCrashed as error:
            return error


@contextmanager
def replicas(settings: Settings) -> Iterator[tuple[PreparedModel, PhotoPool]]:
    """A running deployment, and the pool before it. Raises ConfigurationError, ModelError or WeightsError."""
    if settings.max_photos_per_worker:
        raise ConfigurationError("--max-photos-per-worker does not go with --ray.")
    start_fork_server()
    model = prepared_model(settings)
    most = max(settings.workers, settings.ray_max_workers or 0)
    prefix = new_prefix()
    with connected(settings, most * settings.threads_per_worker):
        try:
            handle = _deploy(settings, most, Recipe.of(settings, model))
            with ReplicaPool(
                handle.remote, _running, prefix=prefix, workers=settings.workers, queue_size=settings.queue_size
            ) as pool:
                yield model, pool
        finally:
            if settings.ray_address != LOCAL:
                serve.delete(APPLICATION)
                forget(prefix)


def _deploy(settings: Settings, most: int, recipe: Recipe) -> Any:
    """A handle of the deployment, once every replica is warm."""
    scale: dict[str, Any] = {"num_replicas": most}
    if most > settings.workers:
        scale = {
            "autoscaling_config": {
                "min_replicas": settings.workers,
                "max_replicas": most,
                "target_ongoing_requests": _BUSY_REPLICAS,
            }
        }
    deployment = serve.deployment(
        name=DEPLOYMENT,
        max_ongoing_requests=1,  # a replica that dies takes no other photo with it
        max_queued_requests=most + settings.queue_size,
        ray_actor_options={"num_cpus": settings.threads_per_worker},
        health_check_period_s=_LOOK_EVERY_S,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=_END_S,
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
        **scale,
    )(Replica)
    serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
    logging.getLogger("ray.serve").setLevel(logging.ERROR)  # what an operator must know this service says itself
    try:
        return serve.run(deployment.bind(recipe), name=APPLICATION, route_prefix=None)
    except RuntimeError as error:
        raise ModelError(f"A replica cannot load the model: {error}") from error


def _running() -> int:
    """Replicas that can take a photo or are answering one."""
    application = serve.status().applications.get(APPLICATION)
    deployment = application and application.deployments.get(DEPLOYMENT)
    return sum(count for state, count in deployment.replica_states.items() if state == "RUNNING") if deployment else 0


class ReplicaPool(PhotoPool):
    """Gives every replica one photo at a time, and lets the others wait here. A context manager.

    Serve's own queue is left empty, since it looks for a free replica only now and then.
    """

    def __init__(
        self,
        send: Callable[[str, bytes, Options, float], Any],
        running: Callable[[], int],
        *,
        prefix: str,
        workers: int,
        queue_size: int,
    ) -> None:
        """`send` gives an awaitable for what `Replica` returns, and `running` the number of replicas that run. `prefix`
        makes the names of photos unlike all others on the cluster.
        """
        super().__init__(workers=workers, queue_size=queue_size)
        self._send = send
        self._running = running
        self._least = self._warm = workers
        self._jobs: deque[tuple[str, Job]] = deque()
        """Photos that wait, with their names."""
        self._prefix = prefix
        self._numbers = itertools.count()
        self._busy = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="replicas", daemon=True)

    def __enter__(self) -> ReplicaPool:
        self._thread.start()
        self._loop.call_soon_threadsafe(self._start, self._look_after())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def warm(self) -> int:
        return self._warm

    @property
    def busy(self) -> int:
        return self._busy

    def close(self) -> None:
        """Send nothing more. What has been accepted and not yet answered fails with Unavailable."""
        with self._lock:
            self.closed.set()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_END_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_S)
        self._loop.close()

    # What follows runs in the loop's thread, but for _add.

    def _add(self, job: Job) -> None:
        self._loop.call_soon_threadsafe(self._enqueue, job)

    def _enqueue(self, job: Job) -> None:
        self._jobs.append((f"{self._prefix}{next(self._numbers)}", job))
        self._send_some()

    def _start(self, coroutine: Any) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        while self._jobs:  # first of all, or they would be sent when those are over that are being answered
            self._jobs.popleft()[1].fail(closing())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look_after(self) -> None:
        """Count the replicas again and again: they die, and autoscaling makes and ends them."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                self._warm = await asyncio.to_thread(self._running)
            except Exception as error:  # Serve's own process may be away for a while; photos may get through meanwhile
                logger.warning("the replicas cannot be counted: %s", error)
            self.workers = max(self._least, self._warm)
            self._send_some()

    def _send_some(self) -> None:
        """Send as many photos as there are free replicas; one even if there is none, since Serve may know better."""
        while self._jobs and self._busy < max(1, self._warm):
            name, job = self._jobs.popleft()
            if job.begin():
                self._busy += 1
                self._start(self._see_to(name, job))

    async def _see_to(self, name: str, job: Job) -> None:
        try:
            await self._answer(name, job)
        except asyncio.CancelledError:
            job.fail(closing())
            raise
        except Exception as error:
            job.fail(error)
        finally:
            self._busy -= 1
            self._send_some()

    async def _answer(self, name: str, job: Job) -> None:
        try:
            async with asyncio.timeout(job.remaining + _DEADLINE_MARGIN_S):
                answer = await self._send(name, bytes(job.photo[0]), job.options, job.remaining)
        except TimeoutError as error:
            raise _too_late() from error
        except (RayActorError, OutOfMemoryError) as error:
            self._note_death(error, late=job.remaining <= 0)
            if job.remaining <= 0:
                raise _too_late() from error
            if job.tries >= TRIES:
                raise given_up() from error
            self._jobs.appendleft((name, job))
        except BackPressureError as error:
            raise QueueFull("Ray Serve has as many photos as it may. Try again later.") from error
        except RayServeException as error:
            raise Unavailable(f"Ray Serve has no replica: {error}") from error
        else:
            self._finish(job, answer)

    def _finish(self, job: Job, answer: Answer | Exception) -> None:
        if isinstance(answer, Exception):
            raise answer
        worked_s = sum(answer.seconds.values())
        self.note_service(worked_s)
        queue_s = time.monotonic() - job.submitted - worked_s
        job.future.set_result(replace(answer, seconds={"queue": queue_s, **answer.seconds}))

    def _note_death(self, error: RayActorError | OutOfMemoryError, *, late: bool) -> None:
        logger.warning("a replica is replaced: %s", str(error).partition("\n")[0])
        if isinstance(error, OutOfMemoryError):
            self.note_restart(RestartCause.KILLED)
        elif isinstance(error, ActorDiedError):  # not only out of reach
            self.note_restart(RestartCause.DEADLINE if late else RestartCause.CRASHED)


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("The photo was not ready at its deadline. Send a smaller one.")
