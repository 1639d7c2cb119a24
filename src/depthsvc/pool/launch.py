"""From settings to worker configuration: the model is found, verified and prepared once for all workers."""

from __future__ import annotations

import logging
import math

from depthsvc.errors import ModelError
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
    model = prepared_model(settings)
    return WorkerConfig(model, settings.max_pixels, settings.max_input_size, max_photo_cost)


def prepared_model(settings: Settings) -> PreparedModel:
    """The model that the settings choose, prepared on this machine. Raises as `worker_config` does."""
    resolved = resolve(settings.model, settings.weights_locations)
    quick = is_prepared(resolved, settings.cache_dir, settings.engine_choice)
    logger.info("loading %s%s", resolved.name, "" if quick else "; this first start takes longer")
    model = _prepare_apart(resolved, settings)
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
