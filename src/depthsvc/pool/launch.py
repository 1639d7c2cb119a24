"""From settings to worker configuration: the model is found, verified and prepared once for all workers."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
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
from depthsvc.pool.processes import run_in_child
from depthsvc.settings import Settings

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


def pool_config(settings: Settings, *, most: int | None = None, max_photo_cost: float = math.inf) -> PoolConfig:
    """The configuration of a pool, with its number of workers, at most `most`.

    `max_photo_cost`: as in the settings, for a pool that serves. Raises ConfigurationError, ModelError or WeightsError.
    """
    model = prepared_model(settings)
    fitted = None
    if model.choice.device.is_cuda and not settings.has_workers:
        fitted = _apart(measured_memory, model)
    wanted = fitted.workers if fitted else settings.workers
    workers = min(wanted, most or wanted)
    if fitted:
        model = replace(model, choice=replace(model.choice, threads=settings.threads_of(workers)))
    worker = WorkerConfig(model, settings.max_pixels, settings.max_input_size, max_photo_cost)
    return PoolConfig(worker, workers, fitted)


def prepared_model(settings: Settings) -> PreparedModel:
    """The model that the settings choose, prepared on this machine. Raises as `pool_config` does."""
    gpus = _gpus(settings)
    resolved = resolve(settings.model, settings.weights_locations)
    choice = on_this_machine(resolved, settings.engine_choice, lambda: gpus)
    quick = is_prepared(resolved, settings.cache_dir, choice)
    logger.info("loading %s%s", resolved.name, "" if quick else "; this first start takes longer")
    model = _apart(prepare, resolved, settings.cache_dir, choice)
    if model.measured:
        logger.info("engine auto is %s", engine_text(model))
    return model


def engine_text(model: PreparedModel) -> str:
    """Engine, precision and GPU, and the measured times that chose the engine."""
    choice = model.choice
    times = ", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in model.measured.items())
    where = f" on {choice.device}" if choice.device.is_cuda else ""
    return f"{choice.engine}, {choice.precision}{where}" + (f"  (the fastest: {times})" if times else "")


def _gpus(settings: Settings) -> Gpus:
    """The GPUs that the settings' device may be. Raises ConfigurationError before a model is downloaded for nothing."""
    if settings.device == CPU:
        return Gpus()
    if settings.ray:
        raise ConfigurationError(f"--device {settings.device} cannot be combined with --ray, which runs on CPUs only.")
    gpus = _apart(find_gpus)
    gpus.chosen(settings.device)
    return gpus


def _apart(function: Callable[..., Result], *arguments: object) -> Result:
    """`function(*arguments)` in a separate process, so that this one never has torch in memory."""
    try:
        return run_in_child(function, *arguments)
    except ChildProcessError as error:
        raise ModelError(
            "The process that prepares the model was killed. Check that there is enough memory."
        ) from error
