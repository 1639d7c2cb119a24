"""Engines: what runs a network that lies in a file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from depthsvc.errors import ModelError


class Engine(Protocol):
    """Runs one network."""

    def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (1, 3, h, w), normalised -> float32 of the same batch; its meaning is the model's."""
        ...


class TorchScriptEngine:
    """A TorchScript file in PyTorch, on the CPU."""

    def __init__(self, path: Path, threads: int) -> None:
        import torch

        self._torch = torch
        torch.set_num_threads(threads)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                self._module = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(f"{path} is refused: PyTorch cannot load it as TorchScript.") from error

    def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._torch.inference_mode():
            output = self._module(self._torch.from_numpy(planes))
        if isinstance(output, (list, tuple)):
            output = output[0]
        result: NDArray[np.float32] = output.float().numpy()
        return result


class OnnxEngine:
    """An ONNX file in ONNX Runtime, on the CPU."""

    def __init__(self, path: Path, threads: int) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ModelError(f"{path} needs ONNX Runtime. Install it: pip install onnxruntime") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own exceptions have no public base class
            raise ModelError(f"{path} is refused: ONNX Runtime cannot load it ({error}).") from error
        self._input = self._session.get_inputs()[0].name

    def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._session.run(None, {self._input: planes})[0], np.float32)
