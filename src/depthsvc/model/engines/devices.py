"""This machine's processor and GPUs, and their capabilities. Does not import torch itself."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from depthsvc.errors import ConfigurationError
from depthsvc.model.choice import AUTO_DEVICE, CPU, Device

_CPU_INFO = Path("/proc/cpuinfo")
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Linux's names for Intel's and AMD's vector and matrix units, and for ARM's."""


def processor_name() -> str:
    """The processor's own name."""
    return _field("model name") or platform.processor() or platform.machine()


def processor_flags() -> frozenset[str]:
    """The processor's capabilities, by Linux's names; empty if they are unknown."""
    return frozenset((_field("flags") or _field("Features")).split())


def has_bf16() -> bool:
    """Whether the processor multiplies bf16 numbers; False if that is unknown."""
    return not _BF16_FLAGS.isdisjoint(processor_flags())


def _field(name: str) -> str:
    """The first value of this name in Linux's /proc/cpuinfo; empty if there is none."""
    try:
        lines = _CPU_INFO.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")


@dataclass(frozen=True)
class Gpu:
    """A GPU, as PyTorch sees it."""

    device: Device
    name: str
    total_bytes: int
    free_bytes: int
    """Memory that no process has taken."""
    has_bf16: bool
    problem: str = ""
    """Why PyTorch cannot compute on it; empty if it can."""


@dataclass(frozen=True)
class Gpus:
    """The GPUs that PyTorch finds. Small and picklable."""

    found: tuple[Gpu, ...] = ()
    missing: str = ""
    """Why there is none; empty if there are some."""
    advice: str = ""
    """What to do about it, in a sentence."""
    driver: str = ""
    """The newest version of CUDA that the driver supports; empty if there is no driver."""

    def gpu(self, device: Device) -> Gpu:
        """The GPU with this number. Raises ConfigurationError if there is none, or if PyTorch cannot compute on it."""
        if not self.found:
            raise ConfigurationError(f"device {device} is not available: {self.missing}. {self.advice}")
        if device.gpu >= len(self.found):
            there = ", ".join(f"{gpu.device} ({gpu.name})" for gpu in self.found)
            raise ConfigurationError(f"device {device} is not available: this machine has {there}.")
        gpu = self.found[device.gpu]
        if gpu.problem:
            raise ConfigurationError(
                f"device {device} is not available: PyTorch cannot compute on the {gpu.name} ({gpu.problem})."
            )
        return gpu

    def chosen(self, wanted: Device) -> Device:
        """A device of this machine: `wanted`, or for `auto` the GPU with the most free memory or the CPU.

        Raises ConfigurationError as `gpu` does.
        """
        if wanted.is_cuda:
            return self.gpu(wanted).device
        usable = [gpu for gpu in self.found if not gpu.problem]
        if wanted != AUTO_DEVICE or not usable:
            return CPU
        return max(usable, key=lambda gpu: (gpu.free_bytes, -gpu.device.gpu)).device
