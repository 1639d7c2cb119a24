"""From settings to worker configuration: the model is found, verified and prepared once for all workers."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from functools import cache, partial
from typing import TypeVar

from depthsvc.errors import ConfigurationError, ModelError
from depthsvc.model.choice import CPU
from depthsvc.model.engines.devices import Gpus
from depthsvc.model.engines.selection import on_this_machine
from depthsvc.model.gpus import find_gpus, measured_memory
from depthsvc.model.prepare import is_prepared, prepare
from depthsvc.model.resolve import resolve
from depthsvc.model.spec import PreparedModel
from depthsvc.pool.config import PoolConfig, WorkerConfig
from depthsvc.pool.fitting import with_idle_cpus, with_threads, workers_that_fit
from depthsvc.pool.processes import run_in_child
from depthsvc.settings import Settings

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


def pool_config(settings: Settings, *, most: int | None = None, serving: bool = False) -> PoolConfig:
    """The configuration of a pool, with its number of workers, at most `most`.

    `serving`: photos come from clients, at any time: they may cost as much as the settings say, and one alone may use
    more than one CPU. Raises ConfigurationError, ModelError or WeightsError.
    """
    models = prepared_models(settings)
    gpu = None
    if not models[0].choice.device.is_cuda:
        workers = workers_that_fit(settings, models)
    elif settings.has_workers:
        workers = settings.workers
    else:
        gpu = _apart(measured_memory, models)
        workers = gpu.workers
    models = with_threads(models, settings.threads_of(workers))
    if serving and settings.worker_threads is None:
        models = with_idle_cpus(models)
    max_photo_cost = settings.max_photo_cost if serving else math.inf
    worker = WorkerConfig(models, settings.max_pixels, settings.max_input_size, max_photo_cost)
    return PoolConfig(worker, min(workers, most or workers), gpu)


def prepared_models(settings: Settings) -> tuple[PreparedModel, ...]:
    """The models that the settings choose, prepared on this machine. Raises as `pool_config` does."""
    if len(settings.models) > 1 and settings.weights:
        raise ConfigurationError(
            "--weights belongs to one model. With several models, put the published files into a folder and name it "
            "with --weights-dir."
        )
    if len(settings.weights_sha256) > len(settings.models):
        raise ConfigurationError("--weights-sha256 has more hashes than there are models.")
    gpus = _gpus(settings)
    models = tuple(_prepared(name, settings, gpus) for name in settings.models)
    names = [model.name for model in models]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigurationError(f"The model {twice} is given twice.")
    return models


def prepared_model(settings: Settings) -> PreparedModel:
    """The one model that the settings choose. Raises as `pool_config` does."""
    return _prepared(settings.model, settings, _gpus(settings))


def _prepared(name: str, settings: Settings, gpus: Callable[[], Gpus]) -> PreparedModel:
    resolved = resolve(name, settings.weights_locations)
    choice = on_this_machine(resolved, settings.engine_choice, gpus)
    if is_prepared(resolved, settings.cache_dir, choice):
        logger.info("loading %s", resolved.name)
        model = _apart(prepare, resolved, settings.cache_dir, choice)
    else:
        logger.info("preparing %s: once, it may take a minute", resolved.name)
        started = time.monotonic()
        model = _apart(prepare, resolved, settings.cache_dir, choice)
        logger.info("prepared %s in %.0f s", resolved.name, time.monotonic() - started)
    if model.measured:
        logger.info("engine auto is %s", engine_text(model))
    return model


def engine_text(model: PreparedModel) -> str:
    """Engine, precision and GPU, and the measured times that chose the engine."""
    choice = model.choice
    times = ", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in model.measured.items())
    where = f" on {choice.device}" if choice.device.is_cuda else ""
    return f"{choice.engine}, {choice.precision}{where}" + (f"  (the fastest: {times})" if times else "")


def _gpus(settings: Settings) -> Callable[[], Gpus]:
    """Tells, once, which GPUs the settings' device may be: looking for them imports torch.

    Raises ConfigurationError before a model is downloaded for nothing.
    """
    if settings.device == CPU:
        return Gpus
    if settings.ray:
        raise ConfigurationError(f"--device {settings.device} cannot be combined with --ray, which runs on CPUs only.")
    gpus = cache(partial(_apart, find_gpus))
    if settings.device.is_cuda:
        gpus().chosen(settings.device)
    return gpus


def _apart(function: Callable[..., Result], *arguments: object) -> Result:
    """`function(*arguments)` in a separate process, so that this one never has torch in memory."""
    try:
        return run_in_child(function, *arguments)
    except ChildProcessError as error:
        raise ModelError(
            "The process that prepares the model was killed. Check that there is enough memory."
        ) from error
