"""ncnn on the CPU: the least processor time for small convolutional networks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from depthsvc.errors import ModelError
from depthsvc.imaging.spec import Shape
from depthsvc.model.choice import Device, Precision
from depthsvc.model.engines.base import Engine
from depthsvc.model.engines.ncnn_file import INPUT, OUTPUT

# Threads that spin while they wait take processor time from the other workers. ncnn's option openmp_blocktime has no
# effect on the OpenMP of its wheels (GCC's), which reads this variable once, when ncnn is imported. Other libraries
# bring an OpenMP of their own, so the variable is removed again.
_NOT_SPINNING = "OMP_WAIT_POLICY" not in os.environ
if _NOT_SPINNING:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
import ncnn  # noqa: E402

if _NOT_SPINNING:
    del os.environ["OMP_WAIT_POLICY"]

if TYPE_CHECKING:
    from depthsvc.model.networks.base import Network


class NcnnEngine(Engine):
    """A loaded network."""

    learns_shapes = False

    def __init__(self, path: Path, threads: int) -> None:
        self._pools = ncnn.PoolAllocator(), ncnn.PoolAllocator()
        self._network = ncnn.Net()
        options = self._network.opt
        options.num_threads = threads
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        options.use_bf16_storage = False
        if self._network.load_param(str(path)) or self._network.load_model(str(path.with_suffix(".bin"))):
            raise ModelError(f"{path} is refused: ncnn cannot load it.")

    def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            return self._depth(planes)
        finally:
            for pool in self._pools:  # else they keep what the largest input took, a gigabyte for 1024 x 2048
                pool.clear()

    def _depth(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        maps, workspace = self._pools
        extractor = self._network.create_extractor()
        extractor.set_blob_allocator(maps)
        extractor.set_workspace_allocator(workspace)
        extractor.input(INPUT, ncnn.Mat(np.ascontiguousarray(planes[0], np.float32)))
        failed, depth = extractor.extract(OUTPUT)
        if failed:
            raise RuntimeError("ncnn could not compute it, as it does if there is too little memory")
        return np.array(depth, np.float32)


def write(
    network: Network, example_shape: Shape, path: Path, precision: Precision, device: Device, *, whole: bool
) -> None:
    """Translate a trace of the network."""
    from depthsvc.model.engines.ncnn_layers import translated
    from depthsvc.model.engines.torchscript import trace

    translated(trace(network, example_shape)).write(path)


def open_file(path: Path, threads: int, precision: Precision, content: bytes | None, device: Device) -> NcnnEngine:
    """Load a file of ncnn's layers with the weights beside it."""
    return NcnnEngine(path, threads)
