"""From settings to worker configuration: the model is found, verified and prepared once for all workers."""

from __future__ import annotations

import logging
import math
import time

from depthsvc.errors import ConfigurationError, ModelError
from depthsvc.model.prepare import is_prepared, prepare
from depthsvc.model.resolve import resolve
from depthsvc.model.spec import PreparedModel, ResolvedModel
from depthsvc.pool.config import WorkerConfig
from depthsvc.pool.processes import run_in_child
from depthsvc.settings import Settings

logger = logging.getLogger(__name__)


def worker_config(settings: Settings, *, max_photo_cost: float = math.inf) -> WorkerConfig:
    """The configuration of a pool's workers. `max_photo_cost`: as in the settings, for a pool that serves.

    Raises ConfigurationError, ModelError or WeightsError.
    """
    return WorkerConfig(prepared_models(settings), settings.max_pixels, settings.max_input_size, max_photo_cost)


def prepared_models(settings: Settings) -> tuple[PreparedModel, ...]:
    """The models that the settings choose, prepared on this machine. Raises as `worker_config` does."""
    if len(settings.models) > 1 and (settings.weights or settings.weights_sha256):
        raise ConfigurationError(
            "--weights and --weights-sha256 belong to one model. With several models, put the published files into a "
            "folder and name it with --weights-dir."
        )
    models = tuple(_prepared(name, settings) for name in settings.models)
    names = [model.name for model in models]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigurationError(f"The model {twice} is given twice.")
    return models


def prepared_model(settings: Settings) -> PreparedModel:
    """The one model that the settings choose. Raises as `worker_config` does."""
    return _prepared(settings.model, settings)


def _prepared(name: str, settings: Settings) -> PreparedModel:
    resolved = resolve(name, settings.weights_locations)
    quick = is_prepared(resolved, settings.cache_dir, settings.engine_choice)
    if quick:
        logger.info("loading %s", resolved.name)
        model = _prepare_apart(resolved, settings)
    else:
        logger.info("preparing %s: once, it may take a minute", resolved.name)
        started = time.monotonic()
        model = _prepare_apart(resolved, settings)
        logger.info("prepared %s in %.0f s", resolved.name, time.monotonic() - started)
    if model.measured:
        logger.info("engine auto is %s", engine_text(model))
    return model


def engine_text(model: PreparedModel) -> str:
    """Engine and precision, and the measured times that chose the engine."""
    times = ", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in model.measured.items())
    return f"{model.choice.engine}, {model.choice.precision}" + (f"  (the fastest: {times})" if times else "")


def _prepare_apart(model: ResolvedModel, settings: Settings) -> PreparedModel:
    """`prepare` in a separate process, so that this one never has torch in memory."""
    try:
        return run_in_child(prepare, model, settings.cache_dir, settings.engine_choice)
    except ChildProcessError as error:
        raise ModelError(
            f"The process that prepares {model.name} was killed. Check that there is enough memory."
        ) from error
