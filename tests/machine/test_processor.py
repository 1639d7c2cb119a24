"""What the processor can do is what PyTorch finds, and is known without it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from depthsvc.machine import processor
from depthsvc.machine.processor import has_avx512


@pytest.mark.skipif(not processor._CPUINFO.exists(), reason="only Linux tells without PyTorch")
def test_it_is_what_pytorch_finds() -> None:
    assert has_avx512() == ("AVX512" in torch.backends.cpu.get_cpu_capability())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512bw avx512dq avx512vl\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd\n", False),
        (None, False),
    ],
)
def test_all_of_its_extensions_are_needed(
    text: str | None, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    if text:
        file.write_text(text)
    monkeypatch.setattr(processor, "_CPUINFO", file)
    assert has_avx512.__wrapped__() is expected
