"""This machine's processor and its capabilities."""

from __future__ import annotations

import platform
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Linux's names for Intel's and AMD's vector and matrix units, and for ARM's."""


def processor_name() -> str:
    """The processor's own name."""
    return _field("model name") or platform.processor() or platform.machine()


def processor_flags() -> frozenset[str]:
    """The processor's capabilities, by Linux's names; empty if they are unknown."""
    return frozenset((_field("flags") or _field("Features")).split())


def has_bf16() -> bool:
    """Whether the processor multiplies bf16 numbers; False if that is unknown."""
    return not _BF16_FLAGS.isdisjoint(processor_flags())


def _field(name: str) -> str:
    """The first value of this name in Linux's /proc/cpuinfo; empty if there is none."""
    try:
        lines = _CPU_INFO.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
