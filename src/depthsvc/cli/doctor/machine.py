"""Checks of this machine: software, processor, CPUs, memory and GPUs."""

from __future__ import annotations

import platform
import sys

from depthsvc.cli.doctor.configuration import Configuration
from depthsvc.cli.doctor.finding import Finding, fine, note
from depthsvc.machine.capacity import available_cpus, available_memory_bytes, visible_cpus
from depthsvc.model.choice import CPU
from depthsvc.model.engines.devices import Gpu, has_bf16, processor_flags, processor_name
from depthsvc.model.gpus import find_gpus
from depthsvc.pool.processes import run_in_child
from depthsvc.settings import Settings
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
    if _by_gpu_memory(settings):
        return fine(f"{available} CPUs{less}; workers: as many as fit into the GPU's memory, if there is a GPU")
    threads = settings.threads_per_worker
    known = f"{available} CPUs{less}; workers: {settings.workers}, threads of each: {threads}"
    if settings.workers * threads > available and not settings.ray:
        return note(f"{known}. These are more threads than CPUs: lower DEPTHSVC_WORKERS or DEPTHSVC_WORKER_THREADS.")
    return fine(known)


def _by_gpu_memory(settings: Settings) -> bool:
    """Whether a GPU's memory may decide the number of workers."""
    return settings.device != CPU and not settings.has_workers


def memory(configuration: Configuration) -> Finding:
    available, workers = available_memory_bytes() / _GIB, configuration.settings.workers
    if _by_gpu_memory(configuration.settings):
        return fine(f"{available:.1f} GiB")
    needed = _FIRST_WORKER_GIB + _FURTHER_WORKER_GIB * (workers - 1)
    if available < needed and not configuration.settings.ray:
        return note(
            f"{available:.1f} GiB. The largest photos may need {needed:.1f} GiB with {workers} workers: lower "
            "DEPTHSVC_WORKERS, or raise the limit."
        )
    return fine(f"{available:.1f} GiB")


def gpus(configuration: Configuration) -> Finding:
    found = run_in_child(find_gpus)
    found.chosen(configuration.settings.device)  # raises what is wrong
    driver = f"; the driver supports CUDA {found.driver}" if found.driver else ""
    return fine(("; ".join(map(_gpu_in_words, found.found)) or f"none: {found.missing}") + driver)


def _gpu_in_words(gpu: Gpu) -> str:
    size = f"{gpu.device} is a {gpu.name} with {gpu.total_bytes / _GIB:.1f} GiB"
    return (
        f"{size}, which PyTorch cannot use: {gpu.problem}"
        if gpu.problem
        else (f"{size}, {gpu.free_bytes / _GIB:.1f} GiB free")
    )
