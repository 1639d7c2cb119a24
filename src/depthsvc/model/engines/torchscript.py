"""TorchScript in PyTorch, on the CPU.

optimize_for_inference and oneDNN-graph fusion are not used: measured, they are slower, or slower for sizes that were
not warmed. docs/decisions.md has the figures.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from depthsvc.errors import ModelError
from depthsvc.imaging.spec import Shape
from depthsvc.model.choice import Precision
from depthsvc.model.networks.base import Network


@contextmanager
def _unheard_deprecation() -> Iterator[None]:
    """Keep TorchScript's age from users' logs: a DeprecationWarning up to PyTorch 2.13, a FutureWarning after it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


class TorchScriptEngine:
    """A loaded TorchScript file."""

    def __init__(self, path: Path, threads: int, content: bytes | None = None) -> None:
        self._threads = threads
        torch.set_num_threads(threads)  # loading uses them too
        source = str(path) if content is None else io.BytesIO(content)
        try:
            with _unheard_deprecation():
                self._module = torch.jit.load(source, map_location="cpu").eval()  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(f"{path} is refused: PyTorch cannot load it as TorchScript.") from error

    def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        torch.set_num_threads(self._threads)  # a setting of the whole process, and free to set
        with torch.inference_mode():
            output = self._module(torch.from_numpy(planes))
        if isinstance(output, (list, tuple)):
            output = output[0]
        result: NDArray[np.float32] = output.float().numpy()
        return result


class _InBfloat16(nn.Module):
    """A network that computes in bfloat16, with float32 inputs and outputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.network(x.bfloat16())
        return output.float()


def trace(network: nn.Module, example_shape: Shape) -> torch.jit.ScriptModule:
    """A frozen TorchScript trace of a network in evaluation mode, valid for all of its input sizes."""
    with torch.inference_mode(), _unheard_deprecation():
        traced: torch.jit.ScriptModule = torch.jit.trace(network, torch.zeros(example_shape), check_trace=False)  # type: ignore[no-untyped-call]
        frozen: torch.jit.ScriptModule = torch.jit.freeze(traced)
        return frozen


def write(network: Network, example_shape: Shape, path: Path, precision: Precision) -> None:
    """Trace a network and write it in the precision in which it will compute."""
    module = network.for_inference()
    if precision is Precision.BF16:
        module = _InBfloat16(module).eval()
    traced = trace(module, example_shape)
    # PyTorch aborts the whole process if it fails to write a file itself, as on a full disk.
    serialized = io.BytesIO()
    with _unheard_deprecation():
        torch.jit.save(traced, serialized)
    path.write_bytes(serialized.getbuffer())


def open_file(path: Path, threads: int, precision: Precision, content: bytes | None) -> TorchScriptEngine:
    """Load a TorchScript file, which has its own precision."""
    return TorchScriptEngine(path, threads, content)
