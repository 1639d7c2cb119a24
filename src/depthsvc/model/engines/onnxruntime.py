"""ONNX Runtime on the CPU, where it does not support bf16."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

# From 1.29 on it reports every model and process to its makers, unless told otherwise before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

from depthsvc.errors import ModelError
from depthsvc.imaging.spec import Shape
from depthsvc.model.choice import Device, Precision
from depthsvc.model.engines.base import Engine

if TYPE_CHECKING:
    from depthsvc.model.networks.base import Network

_OPSET = 18


class OnnxEngine(Engine):
    """A loaded ONNX file."""

    learns_shapes = False

    def __init__(self, path: Path, threads: int, content: bytes | None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_mem_pattern = False  # it would keep memory for every size of input
        # Threads that spin while they wait take CPU time from the other workers.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            source = path if content is None else content
            self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own exceptions have no public base class
            raise ModelError(f"{path} is refused: ONNX Runtime cannot load it ({error}).") from error
        self._session._model_bytes = None  # kept for another provider, which nobody asks for
        self._input = self._session.get_inputs()[0].name

    def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._session.run(None, {self._input: planes})[0], np.float32)


def write(
    network: Network, example_shape: Shape, path: Path, precision: Precision, device: Device, *, whole: bool
) -> None:
    """Export a network with variable height and width."""
    import torch

    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is deprecated; its successor needs two more packages
        torch.onnx.export(
            network,
            (torch.zeros(example_shape),),
            path,
            dynamo=False,
            opset_version=_OPSET,
            input_names=["photo"],
            output_names=["inverse_depth"],
            dynamic_axes={"photo": {2: "height", 3: "width"}, "inverse_depth": {1: "height", 2: "width"}},
        )


def open_file(path: Path, threads: int, precision: Precision, content: bytes | None, device: Device) -> OnnxEngine:
    """Load an ONNX file, which has its own precision."""
    return OnnxEngine(path, threads, content)
