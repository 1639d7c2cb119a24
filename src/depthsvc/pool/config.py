"""Configuration of a worker's pipeline."""

from __future__ import annotations

import math
from dataclasses import dataclass

from depthsvc.model.gpus import GpuMemory
from depthsvc.model.spec import PreparedModel


@dataclass(frozen=True)
class WorkerConfig:
    """The configuration of every worker of a pool. Small and picklable."""

    models: tuple[PreparedModel, ...]
    """Those that it holds. A photo gets the first unless it asks for another."""
    max_pixels: int
    max_input_size: int
    max_photo_cost: float = math.inf


@dataclass(frozen=True)
class PoolConfig:
    """The configuration of a pool."""

    worker: WorkerConfig
    workers: int
    gpu: GpuMemory | None = None
    """The GPU's memory, if it decided the number of workers."""
