"""What an engine is: the words and the protocol. Knows no engine's library, because the settings need it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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


class Engine(Protocol):
    """Runs one network that it has loaded. For one thread of the caller at a time."""

    def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (1, 3, h, w), normalised -> float32 of the same batch; its meaning is the model's."""
        ...
