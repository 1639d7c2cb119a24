"""How a worker sets up its pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from depthsvc.model.spec import PreparedModel


@dataclass(frozen=True)
class WorkerConfig:
    """What every worker of a pool is given. Small and picklable."""

    model: PreparedModel
    max_pixels: int
    max_input_size: int
