"""The service on Ray Serve: its pool is a deployment whose replicas each hold one warm pipeline.

HTTP stays in the service's own process: its limits on clients and bytes, its errors, its metrics and its shutdown are
the same code as without Ray, and Serve's proxies are not started.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from depthsvc.cluster.lease import Address, serve_lease
from depthsvc.cluster.recipe import Recipe, ended_after
from depthsvc.cluster.session import LOCAL, connected
from depthsvc.errors import ConfigurationError, MissingExtra, ModelError
from depthsvc.model.spec import PreparedModel
from depthsvc.options import Task
from depthsvc.pipeline.answer import Answer
from depthsvc.pool.base import PhotoPool
from depthsvc.pool.launch import prepared_model
from depthsvc.pool.processes import start_fork_server
from depthsvc.pool.worker import reply
from depthsvc.settings import Settings

try:
    from ray import serve
    from ray.util import get_node_ip_address

    from depthsvc.cluster.replicas import ReplicaPool
except ImportError as missing:
    raise MissingExtra("Ray Serve is not installed", "ray") from missing

APPLICATION = "depthsvc"
"""The service's name on a cluster. A new service replaces one that was killed."""
DEPLOYMENT = "Estimator"
_BUSY_REPLICAS = 0.8
"""Fraction of busy replicas that autoscaling aims at."""
_CHECK_EVERY_S = 1.0
"""Seconds between Serve's health checks of the replicas."""
_END_S = 10.0
"""Seconds that Serve gives a replica that it stops to finish its lease and its current photo."""


class Replica:
    """One warm pipeline in its own process."""

    def __init__(self, recipe: Recipe) -> None:
        self._pipeline = recipe.make()

    async def __call__(self, service: Address, token: bytes) -> None:
        """Work for the service until it hangs up. Until then Serve sees a busy replica.

        It blocks the replica's own event loop, as a photo does; Serve's health checks use another one.
        """
        serve_lease(service, token, self._reply)

    def _reply(self, photo: bytes, options: Task, remaining_s: float) -> Answer | Exception:
        """The result or the error. The system kills the process if it exceeds the deadline."""
        with ended_after(remaining_s):
            return reply(self._pipeline, photo, options)


@contextmanager
def replicas(settings: Settings) -> Iterator[tuple[PreparedModel, PhotoPool]]:
    """A running deployment, and the pool in front of it. Raises ConfigurationError, ModelError or WeightsError."""
    if settings.max_photos_per_worker:
        raise ConfigurationError("--max-photos-per-worker cannot be combined with --ray.")
    if len(settings.models) > 1:
        raise ConfigurationError("With --ray a service has one model. Start one service for each.")
    start_fork_server()
    model = prepared_model(settings)
    most = max(settings.workers, settings.ray_max_workers or 0)
    with connected(settings, most * settings.threads_per_worker):
        try:
            handle = _deploy(settings, most, Recipe.of(settings, model, max_photo_cost=settings.max_photo_cost))
            with ReplicaPool(
                handle.remote,
                _count_running,
                host="127.0.0.1" if settings.ray_address == LOCAL else get_node_ip_address(),
                workers=settings.workers,
                queue_size=settings.queue_size,
            ) as pool:
                yield model, pool
        finally:
            if settings.ray_address != LOCAL:
                serve.delete(APPLICATION)


def _deploy(settings: Settings, most: int, recipe: Recipe) -> Any:
    """A handle to the deployment, once every replica is warm."""
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
        max_ongoing_requests=1,  # so that a dying replica takes only one photo with it
        max_queued_requests=most + settings.queue_size,
        ray_actor_options={"num_cpus": settings.threads_per_worker},
        health_check_period_s=_CHECK_EVERY_S,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=_END_S,
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
        **scale,
    )(Replica)
    serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
    logging.getLogger("ray.serve").setLevel(logging.ERROR)  # this service logs what an operator needs to know
    try:
        return serve.run(deployment.bind(recipe), name=APPLICATION, route_prefix=None)
    except RuntimeError as error:
        raise ModelError(f"A replica could not load the model: {error}") from error


def _count_running() -> int:
    """Number of replicas that are ready for a photo or processing one."""
    application = serve.status().applications.get(APPLICATION)
    deployment = application and application.deployments.get(DEPLOYMENT)
    return sum(count for state, count in deployment.replica_states.items() if state == "RUNNING") if deployment else 0
