"""What is chosen when a model is used: engine, precision, and where its weights are. Light: the settings need it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class EngineName(StrEnum):
    """What computes a network."""

    TORCHSCRIPT = "torchscript"
    OPENVINO = "openvino"
    ONNXRUNTIME = "onnxruntime"
    AUTO = "auto"
    """Not an engine: the fastest that is installed, measured when the model is prepared."""


class Precision(StrEnum):
    """The number format in which a network computes."""

    FP32 = "fp32"
    BF16 = "bf16"
    AUTO = "auto"
    """Not a format: bf16 where the processor has it and it is known to be exact enough, else fp32."""


@dataclass(frozen=True)
class EngineChoice:
    """Which engine is asked for, and how it is to compute."""

    engine: EngineName = EngineName.TORCHSCRIPT
    precision: Precision = Precision.FP32
    threads: int = 1


@dataclass(frozen=True)
class WeightsLocations:
    """Where to look for weights, in this order."""

    cache_dir: Path
    explicit: Path | None = None
    sha256: str | None = None
    """Of the explicit file, or of the registered one where there is none."""
    weights_dir: Path | None = None
    download: bool = True

    @property
    def cached_weights(self) -> Path:
        return self.cache_dir / "weights"
