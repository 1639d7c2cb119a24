"""From settings to what a worker needs: the model found, verified and made ready, once for all workers."""

from __future__ import annotations

import logging

from depthsvc.errors import ModelError
from depthsvc.model.loading import PreparedModel, ResolvedModel, prepare, resolve
from depthsvc.pool import WorkerConfig
from depthsvc.processes import run_in_child, start_fork_server
from depthsvc.settings import Settings

logger = logging.getLogger(__name__)


def worker_config(settings: Settings) -> WorkerConfig:
    """How the workers of a pool set themselves up. Raises ConfigurationError, ModelError or WeightsError."""
    start_fork_server()
    resolved = resolve(settings.model, settings.weights_locations)
    logger.info("loading %s; its first start on a machine takes longer", resolved.name)
    model = _prepare_apart(resolved, settings)
    return WorkerConfig(model, settings.threads_per_worker, settings.max_pixels, settings.max_input_size)


def _prepare_apart(model: ResolvedModel, settings: Settings) -> PreparedModel:
    """`prepare` in a process of its own, so that this one never has to hold torch in its memory."""
    try:
        return run_in_child(prepare, model, settings.cache_dir)
    except ChildProcessError as error:
        raise ModelError(f"The process that prepares {model.name} was killed. Is there too little memory?") from error
