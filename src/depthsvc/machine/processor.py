"""What this machine's processor can do, without importing PyTorch."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_AVX512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}


@cache
def has_avx512() -> bool:
    """Whether PyTorch computes with AVX-512 here. False also where that cannot be told: not on Linux."""
    try:
        lines = _CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return set(flags) >= _AVX512
