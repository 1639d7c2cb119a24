from __future__ import annotations

from pathlib import Path

import pytest

from depthsvc.model.engines import devices
from depthsvc.model.engines.devices import has_bf16, processor_name


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
