"""The choices for a model: engine, precision and where its weights are. Light to import, for the settings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class EngineName(StrEnum):
    """An engine that runs networks."""

    TORCHSCRIPT = "torchscript"
    OPENVINO = "openvino"
    ONNXRUNTIME = "onnxruntime"
    AUTO = "auto"
    """Not an engine: the fastest that is installed, measured when the model is prepared."""


class Precision(StrEnum):
    """The number format of a network."""

    FP32 = "fp32"
    BF16 = "bf16"
    AUTO = "auto"
    """Not a format: bf16 if the processor has it and it is known to be accurate enough, else fp32."""


@dataclass(frozen=True)
class EngineChoice:
    """Engine, precision and number of threads."""

    engine: EngineName = EngineName.TORCHSCRIPT
    precision: Precision = Precision.FP32
    threads: int = 1


@dataclass(frozen=True)
class WeightsLocations:
    """Where to look for weights: the explicit file, `weights_dir`, the cache, then a download."""

    cache_dir: Path
    explicit: Path | None = None
    sha256: str | None = None
    """SHA-256 of the explicit file or, without one, of the registered file."""
    weights_dir: Path | None = None
    download: bool = True
    accepted_licences: tuple[str, ...] = ()
    """Licences that forbid commercial use, under which weights may be downloaded all the same."""

    @property
    def cached_weights(self) -> Path:
        return self.cache_dir / "weights"
