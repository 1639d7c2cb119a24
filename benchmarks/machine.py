"""The machine and the software of a measurement."""

from __future__ import annotations

import json
import os
import subprocess
from importlib.metadata import distributions
from pathlib import Path

import psutil

from depthsvc.machine.capacity import available_cpus
from depthsvc.model.engines.devices import processor_flags, processor_name

_WATCHED_S = 2.0
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8")
_OWN = ("torch", "openvino", "opencv-python-headless", "pillow", "fastapi", "uvicorn")
_OTHERS = ("torch", "transformers", "litserve", "bentoml", "gradio", "pillow", "fastapi", "uvicorn")


def machine() -> str:
    """Processor, available CPUs, relevant instruction sets, and memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    flags = ", ".join(flag for flag in _FLAGS if flag in processor_flags()) or "none of " + ", ".join(_FLAGS)
    return f"{processor_name()}, {available_cpus()} CPUs ({flags}), {memory:.0f} GB"


def load() -> float:
    """How many processors other programs keep busy, over two seconds in which this one does nothing.

    The system's load average would count what an earlier part of a run has done itself.
    """
    return float(psutil.cpu_percent(interval=_WATCHED_S)) / 100 * (os.cpu_count() or 1)


def versions() -> str:
    """Versions of depthsvc's libraries."""
    installed = {found.metadata["Name"].lower(): found.version for found in distributions()}
    return _text(_OWN, installed)


def versions_of_alternatives(python: Path) -> str:
    """Versions of the alternatives' libraries; empty without them."""
    if not python.exists():
        return ""
    command = [str(python), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return _text(_OTHERS, {package["name"].lower(): package["version"] for package in listed})


def _text(names: tuple[str, ...], installed: dict[str, str]) -> str:
    return ", ".join(f"{name} {installed[name]}" for name in names if name in installed)
