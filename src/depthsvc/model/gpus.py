"""The GPUs of this machine, and how many copies of a model one has memory for. Does not import torch itself."""

from __future__ import annotations

from dataclasses import dataclass

from depthsvc.model.choice import Device
from depthsvc.model.engines.devices import Gpus
from depthsvc.model.loaded import open_model
from depthsvc.model.spec import PreparedModel

MOST_WORKERS = 4
"""More processes take turns on one GPU without computing more."""
_CONTEXT_BYTES = 500_000_000
"""What CUDA itself takes in each process, for its own state and PyTorch's kernels."""
_USABLE = 0.8
"""Fraction of the free memory for workers. The rest is for larger inputs and for what other programs take later."""


def find_gpus() -> Gpus:
    """The GPUs of this machine. Imports torch, and takes some of each one's memory until this process ends."""
    from depthsvc.model.engines.cuda import gpus

    return gpus()


@dataclass(frozen=True)
class GpuMemory:
    """What a GPU has, and what one worker takes of it, in bytes."""

    device: Device
    free_bytes: int
    worker_bytes: int
    """CUDA's own memory, the weights, and the workspace for photos of the common shapes at the model's input size."""

    @property
    def workers(self) -> int:
        """Number of workers that fit: at least 1, at most `MOST_WORKERS`."""
        return max(1, min(MOST_WORKERS, int(self.free_bytes * _USABLE / self.worker_bytes)))

    def __str__(self) -> str:
        return (
            f"{self.device} has {self.free_bytes / 1e9:.1f} GB of free memory, "
            f"and each takes {self.worker_bytes / 1e9:.1f} GB"
        )


def measured_memory(models: tuple[PreparedModel, ...]) -> GpuMemory:
    """Load models that were prepared for one GPU and run them. Imports torch. Raises as `open_model` and `warm` do."""
    from depthsvc.model.engines import cuda

    device = models[0].choice.device
    free_bytes = cuda.free_bytes(device)
    loaded = [open_model(model) for model in models]
    for model in loaded:
        model.warm()
    return GpuMemory(device, free_bytes, _CONTEXT_BYTES + cuda.peak_bytes(device))
