"""Workers on a cluster, as an estimator: each is an actor with a warm pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from depthsvc.batch.estimators import Estimator, Facts, Result
from depthsvc.cluster.recipe import Recipe, ended_after
from depthsvc.cluster.session import connected
from depthsvc.errors import ConfigurationError, MissingExtra, RequestError, WorkerCrashed
from depthsvc.options import Options
from depthsvc.pipeline.answer import Answer
from depthsvc.pool.launch import prepared_model
from depthsvc.pool.processes import kill_children, start_fork_server
from depthsvc.pool.worker import reply
from depthsvc.settings import Settings

try:
    import ray
    from ray.exceptions import RayActorError, RayError
except ImportError as missing:
    raise MissingExtra("Ray is not installed", "ray") from missing


class Actor:
    """A warm pipeline in a process of the cluster."""

    def __init__(self, recipe: Recipe, options: Options, deadline_s: float) -> None:
        self._pipeline = recipe.make()
        self._options = options
        self._deadline_s = deadline_s

    def estimate(self, photo: bytes) -> Answer | Exception:
        """The result of a photo, or why there is none. The system kills the process if it exceeds the deadline."""
        with ended_after(self._deadline_s):
            return reply(self._pipeline, photo, self._options)


class _ClusterEstimator:
    def __init__(self, actors: list[Any]) -> None:
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for actor in actors:
            self._idle.put(actor)

    def estimate(self, photo: bytes) -> Result:
        actor = self._idle.get()
        try:
            answer = ray.get(actor.estimate.remote(photo))
        except RayActorError as error:
            raise WorkerCrashed("The process on the cluster died on this photo.") from error
        except RayError as error:
            raise RequestError(str(error).strip().rpartition("\n")[2]) from error
        finally:
            self._idle.put(actor)
        if isinstance(answer, Exception):
            raise answer
        facts = Facts(answer.model, answer.kind, answer.min, answer.max, sum(answer.seconds.values()))
        return Result(answer.body, facts)

    def peak_memory(self) -> int | None:
        return None


@contextmanager
def ray_estimator(settings: Settings, options: Options, workers: int) -> Iterator[Estimator]:
    """So many workers on the cluster, which are restarted when they die.

    Raises DepthServiceError if the model cannot be prepared or there is no cluster.
    """
    if settings.max_photos_per_worker:
        raise ConfigurationError("--max-photos-per-worker cannot be combined with --ray.")
    start_fork_server()
    try:
        recipe = Recipe.of(settings, prepared_model(settings))
        with connected(settings, workers * settings.threads_per_worker):
            kind = ray.remote(Actor).options(num_cpus=recipe.choice.threads, max_restarts=-1)
            actors = [kind.remote(recipe, options, settings.deadline_s) for _ in range(workers)]
            yield _ClusterEstimator(actors)
    finally:
        kill_children()
