"""What is found on a machine with GPUs, and what an engine does on one, with a CPU that stands in for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from depthsvc.errors import DeviceLost, ModelError
from depthsvc.imaging.spec import InputSpec
from depthsvc.model.choice import Device, EngineChoice, Precision
from depthsvc.model.engines import cuda
from depthsvc.model.engines.kinds import TORCHSCRIPT
from depthsvc.model.engines.torchscript import TorchScriptEngine
from depthsvc.model.gpus import find_gpus
from depthsvc.model.loaded import Model
from depthsvc.model.networks.base import Network
from depthsvc.model.registry import registered
from depthsvc.model.spec import PreparedModel, VerifiedFile
from tests.model.gpus import Pretended

PLANES = np.random.default_rng(0).normal(size=(1, 3, 32, 64)).astype(np.float32)


class _Conv(Network):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        depth: Tensor = self.conv(x).squeeze(1)
        return depth


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes this a machine with GPUs, as far as PyTorch tells."""

    def make(*capabilities: tuple[int, int], driver: str = "12.8", build: str | None = "12.6") -> None:
        found = [SimpleNamespace(name="Fake", total_memory=40, major=one, minor=two) for one, two in capabilities]
        monkeypatch.setattr(torch.version, "cuda", build)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(found))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: found[device.gpu])
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (30 + device.gpu, 40))
        monkeypatch.setattr(torch, "ones", lambda size, device: torch.zeros(size))
        monkeypatch.setattr(cuda, "_driver_version", lambda: driver)

    return make


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    return Pretended()


def test_each_gpu_is_found_with_its_memory_and_whether_it_has_bf16(machine: Callable[..., None]) -> None:
    machine((9, 0), (7, 5))
    found = find_gpus()
    assert [(gpu.device, gpu.free_bytes, gpu.has_bf16, gpu.problem) for gpu in found.found] == [
        ("cuda:0", 30, True, ""),
        ("cuda:1", 31, False, ""),
    ]
    assert (found.driver, found.missing) == ("12.8", "")


def test_a_gpu_on_which_pytorch_cannot_compute_is_found_with_the_reason(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_kernel(size: int, device: Device) -> Tensor:
        raise RuntimeError(
            "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors ..."
        )

    machine((5, 0))
    monkeypatch.setattr(torch, "ones", no_kernel)
    [found] = find_gpus().found
    assert found.problem == "CUDA error: no kernel image is available for execution on the device"


@pytest.mark.parametrize(
    ("driver", "build", "missing", "advice"),
    [
        ("12.8", None, "this PyTorch has no CUDA", "pip install --force-reinstall torch torchvision --index-url https"),
        ("12.8", "13.0", "the driver supports CUDA 12.8, and this PyTorch needs 13.0", "Update the driver"),
        ("12.4", "12.6", "PyTorch finds no GPU", "nvidia-smi"),
        ("", "12.6", "PyTorch finds no GPU", "--gpus all"),
    ],
)
def test_where_there_is_no_gpu_the_reason_is_said(
    driver: str, build: str | None, missing: str, advice: str, machine: Callable[..., None]
) -> None:
    machine(driver=driver, build=build)
    gpus = find_gpus()
    assert (gpus.found, gpus.missing) == ((), missing)
    assert advice in gpus.advice


@pytest.mark.parametrize(("precision", "error"), [("fp32", 0), ("fp16", 2e-3), ("bf16", 2e-2)])
def test_a_network_is_traced_in_each_precision_of_a_gpu(
    precision: str, error: float, gpu: Pretended, tmp_path: Path
) -> None:
    network = _Conv().eval()
    exact = network(torch.from_numpy(PLANES)).detach().numpy()
    path, spec = tmp_path / "net.ts", registered("embedded").spec.input
    TORCHSCRIPT.write(network, spec, path, Precision(precision), gpu)
    computed = TORCHSCRIPT.open(path, 1, Precision(precision), device=gpu).infer(PLANES)
    assert computed.dtype == np.float32
    assert np.abs(computed - exact).max() <= error * np.abs(exact).max()
    assert error == 0 or not np.array_equal(computed, exact)


def test_on_a_gpu_float32_is_multiplied_as_such(gpu: Pretended, tmp_path: Path) -> None:
    _engine(tmp_path, gpu)
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_on_the_cpu_the_process_keeps_its_own_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    _engine(tmp_path, Device("cpu")).infer(PLANES)
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("failed in the interpreter: out of memory")]
)
def test_a_gpu_without_room_for_an_input_says_what_to_lower(error: Exception, gpu: Pretended, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"fails on input .*too little free memory. Lower DEPTHSVC_WORKERS"):
        _failing(tmp_path, gpu, error).depth(PLANES)


def test_a_failure_that_spares_the_gpu_is_the_models(gpu: Pretended, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"fails on input .*: shapes do not match"):
        _failing(tmp_path, gpu, RuntimeError("shapes do not match")).depth(PLANES)


def test_a_gpu_that_is_lost_is_not_the_models_fault(
    gpu: Pretended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(device: Device) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with ...")

    monkeypatch.setattr(torch.cuda, "synchronize", lost)
    with pytest.raises(DeviceLost, match="an illegal memory access was encountered"):
        _failing(tmp_path, gpu, RuntimeError("CUDA error: an illegal memory access")).depth(PLANES)


def _engine(folder: Path, device: Device) -> TorchScriptEngine:
    spec: InputSpec = registered("embedded").spec.input
    TORCHSCRIPT.write(_Conv().eval(), spec, folder / "net.ts", Precision.FP32, device)
    return TorchScriptEngine(folder / "net.ts", 1, device=device)


def _failing(folder: Path, device: Device, error: Exception) -> Model:
    """A model whose network raises this error."""

    def fail(_: Tensor) -> Tensor:
        raise error

    engine = _engine(folder, device)
    engine._module = fail
    return Model(PreparedModel(registered("embedded").spec, VerifiedFile(folder, ""), EngineChoice()), engine)
