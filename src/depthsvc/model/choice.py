"""The choices for a model: engine, precision, device and where its weights are. Light to import, for the settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class EngineName(StrEnum):
    """An engine that runs networks."""

    TORCHSCRIPT = "torchscript"
    OPENVINO = "openvino"
    ONNXRUNTIME = "onnxruntime"
    NCNN = "ncnn"
    AUTO = "auto"
    """Not an engine: the fastest that is installed, measured when the model is prepared."""


class Precision(StrEnum):
    """The number format of a network."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    """On GPUs only."""
    AUTO = "auto"
    """Not a format: bf16 if the device has it and it is known to be accurate enough, else fp32."""


class Device(str):
    """Where a network runs: `cpu`, `cuda:N` for the GPU with that number, or `auto`."""

    _SYNTAX = re.compile(r"cpu|auto|cuda(?::(0|[1-9][0-9]{0,2}))?")

    def __new__(cls, text: str) -> Device:
        """`cuda` is the first GPU, `cuda:0`. Raises ValueError for everything that is not a device."""
        found = cls._SYNTAX.fullmatch(text)
        if found is None:
            raise ValueError("use cpu, cuda, cuda:N with the number of a GPU, or auto")
        return super().__new__(cls, "cuda:0" if text == "cuda" else text)

    @property
    def is_cuda(self) -> bool:
        return self.startswith("cuda")

    @property
    def gpu(self) -> int:
        """Number of the GPU, from 0, as PyTorch counts them. Only for `cuda:N`."""
        return int(self.removeprefix("cuda:"))


CPU = Device("cpu")
AUTO_DEVICE = Device("auto")
"""Not a device: the GPU with the most free memory if one can be used, else the CPU."""


@dataclass(frozen=True)
class EngineChoice:
    """Engine, precision, number of threads and device."""

    engine: EngineName = EngineName.TORCHSCRIPT
    precision: Precision = Precision.FP32
    threads: int = 1
    device: Device = CPU


@dataclass(frozen=True)
class WeightsLocations:
    """Where to look for weights: the explicit file, `weights_dir`, the cache, then a download."""

    cache_dir: Path
    explicit: Path | None = None
    sha256: str | None = None
    """SHA-256 of the explicit file or, without one, of the registered file."""
    trusted_sha256: tuple[str, ...] = ()
    """SHA-256 of files in `weights_dir` that are trusted without a published hash."""
    weights_dir: Path | None = None
    download: bool = True
    accepted_licences: tuple[str, ...] = ()
    """Licences that forbid commercial use, under which weights may be downloaded all the same."""

    @property
    def cached_weights(self) -> Path:
        return self.cache_dir / "weights"
