"""Building the same pipeline on any machine of a cluster."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from depthsvc.model.choice import EngineChoice, WeightsLocations
from depthsvc.model.custom import is_model_path
from depthsvc.model.prepare import prepare
from depthsvc.model.resolve import resolve
from depthsvc.model.spec import PreparedModel
from depthsvc.pipeline.stages import Pipeline
from depthsvc.pool.config import WorkerConfig
from depthsvc.pool.worker import open_pipeline
from depthsvc.settings import Settings


@dataclass(frozen=True)
class Recipe:
    """Everything that a machine needs to build a pipeline, with all choices already made."""

    model: str
    """A registered name, never `auto`, or the path of a custom model, which every machine must have."""
    locations: WeightsLocations
    """For a custom model with its hash: every machine must have the same file."""
    choice: EngineChoice
    max_pixels: int
    max_input_size: int
    max_photo_cost: float

    @classmethod
    def of(cls, settings: Settings, model: PreparedModel, *, max_photo_cost: float = math.inf) -> Recipe:
        """`model` is the model that was prepared on this machine from the settings. `max_photo_cost`: as in the
        settings, for replicas that serve."""
        own, locations = is_model_path(settings.model), settings.weights_locations
        return cls(
            str(Path(settings.model).absolute()) if own else model.name,
            replace(
                locations,
                explicit=locations.explicit and locations.explicit.absolute(),
                weights_dir=locations.weights_dir and locations.weights_dir.absolute(),
                sha256=model.file.sha256 if own else None if model.degraded else locations.sha256,
            ),
            model.choice,
            settings.max_pixels,
            settings.max_input_size,
            max_photo_cost,
        )

    def make(self) -> Pipeline:
        """A warm pipeline that has this process to itself. Raises ModelError, WeightsError or ConfigurationError."""
        model = prepare(resolve(self.model, self.locations), self.locations.cache_dir, self.choice)
        return open_pipeline(WorkerConfig((model,), self.max_pixels, self.max_input_size, self.max_photo_cost))


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """Have the system kill this process if the block takes longer than this, even if it is stuck outside Python."""
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
