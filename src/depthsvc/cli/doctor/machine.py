"""Checks of this machine: software, processor, CPUs and memory."""

from __future__ import annotations

import platform
import sys

from depthsvc.cli.doctor.configuration import Configuration
from depthsvc.cli.doctor.finding import Finding, fine, note
from depthsvc.machine.capacity import available_cpus, available_memory_bytes, visible_cpus
from depthsvc.model.engines.devices import has_bf16, processor_flags, processor_name
from depthsvc.version import __version__

_GIB = 1 << 30
_FIRST_WORKER_GIB, _FURTHER_WORKER_GIB = 1.15, 0.85
"""Memory for the largest photos, as docs/operations.md says."""
_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "VNNI",
    "amx_tile": "AMX",
    "asimd": "NEON",
    "sve": "SVE",
}
"""Linux's name -> everybody's."""


def version(_: Configuration) -> Finding:
    return fine(f"depthsvc {__version__}")


def python(_: Configuration) -> Finding:
    return fine(f"Python {platform.python_version()} at {sys.executable}, on {platform.platform()}")


def processor(_: Configuration) -> Finding:
    flags = processor_flags()
    features = [name for flag, name in _FEATURES.items() if flag in flags] + (["bf16"] if has_bf16() else [])
    known = f"{processor_name()}: {', '.join(features) or 'no vector instructions are known'}"
    if flags and "avx2" not in flags and platform.machine() == "x86_64":
        return note(f"{known}. Without AVX2, networks run several times slower.")
    return fine(known)


def cpus(configuration: Configuration) -> Finding:
    settings, available = configuration.settings, available_cpus()
    less = f" of {visible_cpus()}, by the quota of the control group" if available < visible_cpus() else ""
    threads = settings.threads_per_worker
    known = f"{available} CPUs{less}; workers: {settings.workers}, threads of each: {threads}"
    if settings.workers * threads > available and not settings.ray:
        return note(f"{known}. These are more threads than CPUs: lower DEPTHSVC_WORKERS or DEPTHSVC_WORKER_THREADS.")
    return fine(known)


def memory(configuration: Configuration) -> Finding:
    available, workers = available_memory_bytes() / _GIB, configuration.settings.workers
    needed = _FIRST_WORKER_GIB + _FURTHER_WORKER_GIB * (workers - 1)
    if available < needed and not configuration.settings.ray:
        return note(
            f"{available:.1f} GiB. The largest photos may need {needed:.1f} GiB with {workers} workers: lower "
            "DEPTHSVC_WORKERS, or raise the limit."
        )
    return fine(f"{available:.1f} GiB")
