"""GPUs for machines without one."""

from __future__ import annotations

from depthsvc.model.choice import Device
from depthsvc.model.engines.devices import Gpu


def gpu(number: int, *, free_gb: float = 20, has_bf16: bool = True, problem: str = "") -> Gpu:
    """A GPU of 40 GB."""
    return Gpu(Device(f"cuda:{number}"), f"Fake {number}", 40 * 10**9, round(free_gb * 1e9), has_bf16, problem)


class Pretended(Device):
    """The CPU, treated as a GPU."""

    def __new__(cls) -> Pretended:
        return str.__new__(cls, "cpu")

    @property
    def is_cuda(self) -> bool:
        return True
