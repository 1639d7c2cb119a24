from __future__ import annotations

from pathlib import Path

import pytest

from depthsvc.errors import ConfigurationError
from depthsvc.model.choice import AUTO_DEVICE, CPU, Device
from depthsvc.model.engines import devices
from depthsvc.model.engines.devices import Gpus, has_bf16, processor_name
from tests.model.gpus import gpu


@pytest.mark.parametrize(
    ("lines", "name", "bf16"),
    [
        ("processor\t: 0\nmodel name\t: Some Xeon\nflags\t\t: fpu avx512f avx512_bf16 amx_tile\n", "Some Xeon", True),
        ("model name\t: Some EPYC\nflags\t\t: fpu avx2 fma\n", "Some EPYC", False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n", None, True),
        ("", None, False),
    ],
)
def test_processor_is_described_as_linux_does(
    lines: str, name: str | None, bf16: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(lines)
    monkeypatch.setattr(devices, "_CPU_INFO", tmp_path / "cpuinfo")
    assert has_bf16() is bf16
    assert processor_name() == name or (name is None and processor_name())


def test_other_systems_have_no_such_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_CPU_INFO", tmp_path / "none")
    assert not has_bf16()
    assert processor_name()


TWO = Gpus((gpu(0, free_gb=10), gpu(1, free_gb=30)))
NONE = Gpus((), "PyTorch finds no GPU", "Buy one.")


@pytest.mark.parametrize(
    ("gpus", "device"),
    [
        (TWO, "cuda:1"),
        (Gpus((gpu(0, free_gb=10), gpu(1, free_gb=10))), "cuda:0"),
        (Gpus((gpu(0, free_gb=10), gpu(1, free_gb=30, problem="no kernel image"))), "cuda:0"),
        (Gpus((gpu(0, problem="no kernel image"),)), "cpu"),
        (NONE, "cpu"),
    ],
)
def test_auto_is_the_usable_gpu_with_the_most_free_memory(gpus: Gpus, device: str) -> None:
    assert gpus.chosen(AUTO_DEVICE) == device


def test_a_device_that_is_there_is_taken_as_named() -> None:
    assert TWO.chosen(Device("cuda")) == "cuda:0"
    assert TWO.chosen(Device("cuda:1")) == "cuda:1"
    assert TWO.chosen(CPU) == NONE.chosen(CPU) == "cpu"


@pytest.mark.parametrize(
    ("gpus", "device", "sentence"),
    [
        (NONE, "cuda", "device cuda:0 is not available: PyTorch finds no GPU. Buy one."),
        (TWO, "cuda:2", "device cuda:2 is not available: this machine has cuda:0 (Fake 0), cuda:1 (Fake 1)."),
        (
            Gpus((gpu(0, problem="no kernel image"),)),
            "cuda",
            "device cuda:0 is not available: PyTorch cannot compute on the Fake 0 (no kernel image).",
        ),
    ],
)
def test_a_gpu_that_is_asked_for_and_absent_is_an_error(gpus: Gpus, device: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        gpus.chosen(Device(device))
    assert str(refused.value) == sentence
