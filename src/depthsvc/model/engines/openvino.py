"""OpenVINO on the CPU. It runs its own format (.xml with a .bin next to it) and ONNX files.

A compiled network names the version and the instructions it is for; OpenVINO refuses those that are not its own.
"""

from __future__ import annotations

import errno
import math
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

# On import OpenVINO forks a process that sends telemetry; blocking this package stops it.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402
from openvino import properties  # noqa: E402

from depthsvc.errors import ModelError  # noqa: E402
from depthsvc.imaging.spec import Shape  # noqa: E402
from depthsvc.model.choice import Device, Precision  # noqa: E402
from depthsvc.model.engines.base import Engine  # noqa: E402

if TYPE_CHECKING:
    from depthsvc.model.networks.base import Network

_SMALL_BYTES = 100_000_000
"""Weights up to which a network may be in memory twice."""
_WEIGHTS_SUFFIX, _COMPILED_SUFFIX = ".bin", ".blob"
"""Of the files beside a network: its weights, and the network as it was compiled, without them."""
_WITHOUT_WEIGHTS = {"CACHE_MODE": "OPTIMIZE_SIZE"}
_HINTS = {Precision.FP32: openvino.Type.f32, Precision.BF16: openvino.Type.bf16}


class OpenVinoEngine(Engine):
    """A file loaded and compiled for this processor."""

    def __init__(self, path: Path, threads: int, precision: Precision, content: bytes | None) -> None:
        self._configuration = _configuration(threads, precision)
        try:
            core = openvino.Core()
            compiled = _imported(core, path, self._configuration) if content is None else None
            if compiled is None:
                network = core.read_model(path if content is None else content)
                compiled = core.compile_model(network, "CPU", self._configuration)
        except RuntimeError as error:
            raise ModelError(f"{path} is refused: OpenVINO cannot load it ({error}).") from error
        number = compiled.input(0).element_type
        if number not in (openvino.Type.f32, openvino.Type.f16):
            raise ModelError(f"{path} is refused: its input is {number.get_type_name()}, not float32.")
        self._request = compiled.create_infer_request()
        self._path = path if content is None else None
        self._special: tuple[tuple[int, ...], openvino.InferRequest] | None = None

    def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        request = self._special[1] if self._special and self._special[0] == planes.shape else self._request
        return np.asarray(request.infer([planes], share_inputs=True)[0], np.float32)

    def specialise(self, shape: tuple[int, ...]) -> None:
        """A small network whose shapes are known takes 0.94 of the time, and the memory of another one."""
        if self._path is None or (self._special and self._special[0] == shape):
            return
        if not _is_small(self._path):
            return
        with suppress(RuntimeError):  # the network goes on as it is
            core = openvino.Core()
            model = core.read_model(self._path)
            model.reshape(list(shape))
            self._special = shape, core.compile_model(model, "CPU", self._configuration).create_infer_request()


def _configuration(threads: int, precision: Precision) -> dict[str, Any]:
    return {
        properties.inference_num_threads(): threads,
        properties.num_streams(): 1,
        properties.hint.performance_mode(): properties.hint.PerformanceMode.LATENCY,
        properties.hint.inference_precision(): _HINTS[precision],
        "CPU_RUNTIME_CACHE_CAPACITY": "0",  # it would keep memory for every size of input
        # With pinning, all workers would choose the same CPUs.
        properties.hint.enable_cpu_pinning(): False,
    }


def _imported(core: openvino.Core, path: Path, configuration: dict[str, Any]) -> openvino.CompiledModel | None:
    """The network as it was compiled before; None if it was not, or by another OpenVINO or for another processor."""
    with suppress(OSError, RuntimeError):
        compiled = path.with_suffix(_COMPILED_SUFFIX).read_bytes()
        weights = {"WEIGHTS_PATH": str(path.with_suffix(_WEIGHTS_SUFFIX))}
        return core.import_model(compiled, "CPU", {**configuration, **_WITHOUT_WEIGHTS, **weights})
    return None


def _compile(path: Path, precision: Precision, example_shape: Shape) -> None:
    """Keep a small network as this processor runs it beside its file, so that loading does not compile it again.

    Not if it computes something else when it is loaded: OpenVINO loses the shapes of some transformers' outputs.
    """
    if not _is_small(path):
        return
    core, configuration = openvino.Core(), _configuration(1, precision)
    try:
        compiled = core.compile_model(path, "CPU", {**configuration, **_WITHOUT_WEIGHTS})
        path.with_suffix(_COMPILED_SUFFIX).write_bytes(compiled.export_model().getvalue())
        planes = np.linspace(-1, 1, math.prod(example_shape), dtype=np.float32).reshape(example_shape)
        imported = _imported(core, path, configuration)
        is_same = imported is not None and np.array_equal(imported(planes)[0], compiled(planes)[0])
    except RuntimeError:
        is_same = False
    if not is_same:  # it is compiled whenever it is loaded
        path.with_suffix(_COMPILED_SUFFIX).unlink(missing_ok=True)


def _is_small(path: Path) -> bool:
    return path.with_suffix(_WEIGHTS_SUFFIX).stat().st_size <= _SMALL_BYTES


def write(
    network: Network, example_shape: Shape, path: Path, precision: Precision, device: Device, *, whole: bool
) -> None:
    """Convert a network and write it; its precision is chosen when it is loaded.

    Unless it is to be `whole`, for other programs, what this processor makes of it is kept with it.
    """
    # The front end is used directly because openvino.convert_model sends telemetry for each conversion.
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    from depthsvc.model.engines.torchscript import trace

    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(trace(network.for_inference(), example_shape))  # must outlive the conversion
    model = frontend.convert(frontend.load(decoder))
    model.reshape(openvino.PartialShape([1, 3, -1, -1]))
    try:
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:
        raise OSError(errno.EIO, f"OpenVINO cannot write it ({error})", str(path)) from error
    if not whole:
        _compile(path, precision, example_shape)


def open_file(path: Path, threads: int, precision: Precision, content: bytes | None, device: Device) -> OpenVinoEngine:
    """Load an OpenVINO or ONNX file."""
    return OpenVinoEngine(path, threads, precision, content)
