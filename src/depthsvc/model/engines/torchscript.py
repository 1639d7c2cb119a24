"""TorchScript in PyTorch, on the CPU and on GPUs.

optimize_for_inference and oneDNN-graph fusion are not used: measured, they are slower, or slower for sizes that were
not warmed. docs/decisions.md has the figures.
"""

from __future__ import annotations

import errno
import io
import os
import resource
import shutil
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# oneDNN keeps memory for every layer and size of input, 1024 of them unless told otherwise before PyTorch is imported.
# MiDaS_small has about 80 layers.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")

import torch
from torch import Tensor, nn

from depthsvc.errors import ModelError
from depthsvc.imaging.spec import Shape
from depthsvc.model.choice import CPU, Device, Precision
from depthsvc.model.engines import cuda
from depthsvc.model.engines.base import Engine
from depthsvc.model.engines.convolutions import arranged, is_wide, with_fast_convolutions
from depthsvc.model.networks.base import Network

_PIECE_BYTES = 1 << 20
_WEIGHTS_SUFFIX, _WIDE_SUFFIX = ".pt", ".wide.pt"
_LEAST_BYTES = 1 << 14
"""Bytes of a constant that becomes one of the weights; smaller ones stay in the code."""
_HALVES = {Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}


@contextmanager
def _unheard_deprecation() -> Iterator[None]:
    """Keep TorchScript's age from users' logs: a DeprecationWarning up to PyTorch 2.13, a FutureWarning after it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


class TorchScriptEngine(Engine):
    """A loaded TorchScript file. If it has its weights beside it, processes share the memory of those."""

    def __init__(self, path: Path, threads: int, content: bytes | None = None, device: Device = CPU) -> None:
        self._threads = threads
        self._device = device
        torch.set_num_threads(threads)  # loading uses them too
        if device.is_cuda:
            cuda.compute_exactly()
        source = str(path) if content is None else io.BytesIO(content)
        try:
            with _unheard_deprecation():
                self._module = torch.jit.load(source, map_location=device).eval()  # type: ignore[no-untyped-call]
            self._weights = _weights_beside(path, device) if content is None else []
        except (RuntimeError, ValueError, OSError) as error:
            if device.is_cuda and _is_out_of_memory(error):
                raise ModelError(f"{device} has too little free memory for {path}. {_ADVICE}") from error
            raise ModelError(f"{path} is refused: PyTorch cannot load it as TorchScript.") from error

    def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        torch.set_num_threads(self._threads)  # a setting of the whole process, and free to set
        try:
            with torch.inference_mode(), _optimized_for(self._device):
                output = self._module(torch.from_numpy(planes).to(self._device), *self._weights)
                if isinstance(output, (list, tuple)):
                    output = output[0]
                result: NDArray[np.float32] = output.float().cpu().numpy()
        except RuntimeError as error:
            if not self._device.is_cuda:
                raise
            if _is_out_of_memory(error):
                raise RuntimeError(f"{self._device} has too little free memory. {_ADVICE}") from error
            cuda.raise_if_lost(self._device)
            raise
        return result


_ADVICE = "Lower DEPTHSVC_WORKERS or DEPTHSVC_MAX_INPUT_SIZE, choose fp16, or end other programs that use the GPU."


def _is_out_of_memory(error: Exception) -> bool:
    """Whether the GPU's memory is full. TorchScript raises its own error for that, with PyTorch's in its text."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)


def _optimized_for(device: Device) -> AbstractContextManager[None]:
    """Off on GPUs, where TorchScript would compile kernels during the first two photos of each size."""
    optimized: AbstractContextManager[None] = torch.jit.optimized_execution(False)  # type: ignore[attr-defined]
    return optimized if device.is_cuda else nullcontext()


class _InHalfPrecision(nn.Module):
    """A network that computes in 16 bits, with float32 inputs and outputs."""

    def __init__(self, network: nn.Module, precision: Precision) -> None:
        super().__init__()
        self._type = _HALVES[precision]
        self.network = network.to(self._type)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.network(x.to(self._type))
        return output.float()


def trace(network: nn.Module, example_shape: Shape, device: Device = CPU) -> torch.jit.ScriptModule:
    """A frozen TorchScript trace of a network in evaluation mode, valid for all of its input sizes.

    It runs on this device only: a trace keeps the device of every tensor that the network makes.
    """
    with torch.inference_mode(), _unheard_deprecation():
        example = torch.zeros(example_shape, device=device)
        traced: torch.jit.ScriptModule = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
        frozen: torch.jit.ScriptModule = torch.jit.freeze(traced)
        return frozen


def write(
    network: Network, example_shape: Shape, path: Path, precision: Precision, device: Device = CPU, *, whole: bool
) -> None:
    """Trace a network and write it in the precision and for the device in which it will compute.

    Unless it is to be `whole`, for other programs, its weights get a file of their own, which can be mapped.
    """
    if device.is_cuda:
        cuda.compute_exactly()  # constants, such as normalised filters, are computed here
    module = network.for_inference()
    if precision in _HALVES:
        module = _InHalfPrecision(module, precision).eval()
    traced = trace(module.to(device), example_shape, device)
    if whole:
        with _unheard_deprecation():
            _save(traced, path)
    else:
        fast = precision is Precision.FP32 and not device.is_cuda
        _save_apart(with_fast_convolutions(traced) if fast else traced.graph.copy(), path)


def _save_apart(graph: torch._C.Graph, path: Path) -> None:
    """Write the graph of a frozen trace as code that receives its weights after the photo, and these next to it."""
    module, *_ = graph.inputs()
    large = [node for node in graph.nodes() if _is_large(node)]
    wide = [node for node in large if is_wide(node)]
    weights = [_received(graph, node) for node in large if node not in wide]
    wide_weights = [_received(graph, node) for node in wide]
    assert not module.uses()
    graph.eraseInput(0)
    path.write_bytes(torch._C._create_function_from_graph("forward", graph).save_to_buffer({}))
    _save_tensors(weights, path.with_suffix(_WEIGHTS_SUFFIX))
    if wide_weights:
        _save_tensors(wide_weights, path.with_suffix(_WIDE_SUFFIX))


def _is_large(node: torch._C.Node) -> bool:
    """Whether a node is a constant that becomes one of the weights."""
    if node.kind() != "prim::Constant" or not node.hasAttribute("value") or node.kindOf("value") != "t":
        return False
    return bool(node.t("value").nbytes >= _LEAST_BYTES)


def _received(graph: torch._C.Graph, node: torch._C.Node) -> Tensor:
    """The value of a constant, which is an input from now on, the last one."""
    constant: Tensor = node.t("value")
    received = graph.addInput()
    received.setType(node.output().type())
    node.output().replaceAllUsesWith(received)
    node.destroy()
    return constant


def _save_tensors(weights: list[Tensor], path: Path) -> None:
    with path.open("wb") as file:
        try:
            torch.save(weights, file)
        except RuntimeError as error:
            file.write(bytes(_PIECE_BYTES))  # which fails as well, and tells why: PyTorch does not
            raise OSError(errno.EIO, f"PyTorch cannot write it ({error})", str(path)) from error


def _weights_beside(path: Path, device: Device) -> list[Tensor]:
    """The weights of a file that has them beside it: on the CPU, pages in the memory that all processes share.

    Wide ones are arranged for this processor, which takes memory of this process.
    """
    weights: list[Tensor] = []
    if (mapped := path.with_suffix(_WEIGHTS_SUFFIX)).exists():
        weights = torch.load(mapped, map_location=device, mmap=True, weights_only=True)
    if (wide := path.with_suffix(_WIDE_SUFFIX)).exists():
        weights += map(arranged, torch.load(wide, map_location=device, mmap=True, weights_only=True))
    return weights


def _save(traced: torch.jit.ScriptModule, path: Path) -> None:
    """Write a trace by way of memory: PyTorch aborts the whole process if it fails to write a file, as on a full disk.

    Linux has files in memory, which take the trace's size once, as a buffer takes it three times. They count where the
    size of files is limited.
    """
    if not hasattr(os, "memfd_create") or resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY:
        buffer = io.BytesIO()
        torch.jit.save(traced, buffer)
        path.write_bytes(buffer.getbuffer())
        return
    with os.fdopen(os.memfd_create(path.name), "rb") as memory, path.open("wb") as file:
        torch.jit.save(traced, f"/proc/self/fd/{memory.fileno()}")
        shutil.copyfileobj(memory, file, _PIECE_BYTES)


def open_file(
    path: Path, threads: int, precision: Precision, content: bytes | None, device: Device
) -> TorchScriptEngine:
    """Load a TorchScript file, which has its own precision."""
    return TorchScriptEngine(path, threads, content, device)
