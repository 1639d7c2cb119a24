"""Part "engines": the network alone, engines by precision by threads by input size, as `depthsvc bench` measures it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import versions
from benchmarks.material import Material
from benchmarks.results import Part, Target, spread
from depthsvc.evaluation.speed import Times, forward, times_in_turns
from depthsvc.evaluation.table import Table
from depthsvc.model.architecture import MIDAS_SMALL
from depthsvc.model.choice import EngineName, Precision, WeightsLocations
from depthsvc.model.engines.cache import artefact
from depthsvc.model.engines.kinds import KINDS
from depthsvc.model.engines.torchscript import trace
from depthsvc.model.networks.checkpoint import load_network
from depthsvc.model.resolve import resolve
from depthsvc.model.spec import ResolvedModel
from depthsvc.model.weights.files import sha256_of

_SHAPES = ((1, 3, 192, 256), (1, 3, 256, 256))
_PLAIN = "plain trace"
_PRODUCT = """\
import statistics, time
import numpy
side = 1536
a = numpy.ones((side, side), numpy.float32)
def rate():
    begun = time.perf_counter()
    a @ a
    return 2 * side**3 / (time.perf_counter() - begun)
print(statistics.median(rate() for _ in range(15)))
"""
"""Prints the floating-point operations per second of NumPy's matrix product."""


def measure(material: Material) -> Part:
    cache = material.folder / "cache"
    weights = WeightsLocations(cache, explicit=material.weights, sha256=sha256_of(material.weights))
    sizes, rounds = ((256,), 5) if material.quick else ((256, 384), 10)
    model = resolve("midas_small", weights)
    part = Part(
        title="Engines",
        explanation="The forward pass alone; `ratio` is to the first row of the same size. The bound is the time that "
        "as many floating-point operations take in a large matrix product (NumPy's OpenBLAS).",
        versions=versions(),
        tables=[forward(model, cache, sizes=sizes, rounds=rounds)],
    )
    for shape in _SHAPES:
        table, targets = _against_each_other(model, cache, shape, 3 * rounds)
        part.tables.append(table)
        part.targets += targets
    return part


def _against_each_other(
    model: ResolvedModel, cache: Path, shape: tuple[int, int, int, int], rounds: int
) -> tuple[Table, list[Target]]:
    """Matrix products, the trace as PyTorch makes it, and each installed engine: fp32, one thread."""
    planes = np.zeros(shape, np.float32)
    calls: dict[str, Callable[[], object]] = {_PLAIN: _plain_trace(model, planes)}
    for kind in KINDS.values():
        if kind.can_write():
            path = artefact(model, kind, Precision.FP32, cache).path
            calls[kind.name] = partial(kind.open(path, 1, Precision.FP32).infer, planes)
    for call in [*calls.values()] * 3:
        call()
    before = _product_flops()
    times = dict(zip(calls, times_in_turns(list(calls.values()), rounds), strict=True))
    bound_s = _flop(model, shape) / ((before + _product_flops()) / 2)
    rows = [["matrix product", f"{1000 * bound_s:.1f}", "", ""]]
    for name, taken in times.items():
        ratio = spread(_ratios(taken, times[_PLAIN]), 2)
        rows.append([name, f"{1000 * median(taken.cpu_s):.1f}", ratio, f"{median(taken.cpu_s) / bound_s:.2f}"])
    _, _, height, width = shape
    title = f"{width} x {height}, fp32, one thread, processor time"
    heads = ["what", "CPU ms", "to the plain trace", "to the bound"]
    return Table(title, heads, rows), _targets(f"{width} x {height}", times)


def _plain_trace(model: ResolvedModel, planes: NDArray[np.float32]) -> Callable[[], object]:
    """The network traced and frozen, with PyTorch's own convolutions."""
    network = load_network(MIDAS_SMALL, model.file)
    traced = trace(network.for_inference(), planes.shape)

    def run() -> object:
        torch.set_num_threads(1)
        with torch.inference_mode():
            return traced(torch.from_numpy(planes))

    return run


def _targets(size: str, times: Mapping[str, Times]) -> list[Target]:
    """What the engines promise; of OpenVINO only if it was measured."""
    plain, default = times[_PLAIN], times[EngineName.TORCHSCRIPT]
    fastest = min((name for name in times if name != _PLAIN), key=lambda name: median(times[name].cpu_s))
    found = [
        _target(f"{size}: the default engine's time to the plain trace's", 0.88, _ratios(default, plain)),
        _target(f"{size}: the fastest engine's ({fastest})", 0.77, _ratios(times[fastest], plain)),
    ]
    if openvino := times.get(EngineName.OPENVINO):
        ratios = _ratios(times[fastest], openvino)
        found.append(_target(f"{size}: the fastest engine's to OpenVINO's ({fastest})", 0.88, ratios))
    return found


def _ratios(mine: Times, other: Times) -> list[float]:
    return [one / two for one, two in zip(mine.cpu_s, other.cpu_s, strict=True)]


def _target(name: str, most: float, ratios: Sequence[float]) -> Target:
    return Target(name=name, wanted=f"<= {most:g}", measured=spread(ratios, 2), reached=median(ratios) <= most)


def _flop(model: ResolvedModel, shape: tuple[int, int, int, int]) -> int:
    """Floating-point operations of one forward pass: two per multiply-add."""
    network = load_network(MIDAS_SMALL, model.file)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(shape))
    return int(counter.get_total_flops())


def _product_flops() -> float:
    """FLOP/s of one thread, in a separate process, because NumPy fixes its number of threads on import."""
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _PRODUCT]
    return float(subprocess.run(command, env=one_thread, capture_output=True, text=True, check=True).stdout)
