from __future__ import annotations

import pytest

from depthsvc.model.choice import Device
from depthsvc.model.gpus import GpuMemory


@pytest.mark.parametrize(
    ("free_gb", "worker_gb", "workers"),
    [
        (80, 2, 4),  # the most
        (10, 2, 4),
        (9.9, 2, 3),  # a fifth stays free
        (5, 2, 2),
        (4.9, 2, 1),
        (1, 2, 1),  # the least: it may yet find room
    ],
)
def test_there_are_as_many_workers_as_fit_into_four_fifths_of_the_free_memory(
    free_gb: float, worker_gb: float, workers: int
) -> None:
    assert GpuMemory(Device("cuda"), round(free_gb * 1e9), round(worker_gb * 1e9)).workers == workers
