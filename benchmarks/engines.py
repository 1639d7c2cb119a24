"""Part "engines": the network alone, engines by precision by threads by input size, as `depthsvc bench` measures it."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import versions
from benchmarks.material import Material
from benchmarks.results import Part, Target
from depthsvc.evaluation.speed import forward, seconds_in_turns
from depthsvc.evaluation.table import Table
from depthsvc.model.architecture import MIDAS_SMALL
from depthsvc.model.choice import EngineName, Precision, WeightsLocations
from depthsvc.model.engines.cache import artefact
from depthsvc.model.engines.kinds import KINDS
from depthsvc.model.networks.checkpoint import load_network
from depthsvc.model.resolve import resolve
from depthsvc.model.spec import ResolvedModel
from depthsvc.model.weights.files import sha256_of

_SHAPE = (1, 3, 256, 256)
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
    bound, targets = _against_each_other(model, cache, 3 * rounds)
    part.tables.append(bound)
    part.targets = targets
    return part


def _against_each_other(model: ResolvedModel, cache: Path, rounds: int) -> tuple[Table, list[Target]]:
    """TorchScript, OpenVINO and matrix products: fp32, one thread, 256 x 256."""
    kinds = [KINDS[EngineName.TORCHSCRIPT], KINDS[EngineName.OPENVINO]]
    planes = np.zeros(_SHAPE, np.float32)
    calls = []
    for kind in kinds:
        path = artefact(model, kind, Precision.FP32, cache).path
        calls.append(partial(kind.open(path, 1, Precision.FP32).infer, planes))
    for call in calls * 3:
        call()
    before = _product_flops()
    torchscript, openvino = seconds_in_turns(calls, rounds)
    bound_s = _flop(model) / ((before + _product_flops()) / 2)
    rows = [["matrix product", f"{1000 * bound_s:.1f}", "1.00"]]
    for kind, seconds in zip(kinds, (torchscript, openvino), strict=True):
        rows.append([str(kind.name), f"{1000 * median(seconds):.1f}", f"{median(seconds) / bound_s:.2f}"])
    ratio = median(mine / other for mine, other in zip(torchscript, openvino, strict=True))
    speed = bound_s / median(openvino)
    return Table("256 x 256, fp32, one thread", ["what", "ms", "to the bound"], rows), [
        Target(
            name="TorchScript's time to OpenVINO's, fp32, one thread",
            wanted="<= 1.25",
            measured=f"{ratio:.2f}",
            reached=ratio <= 1.25,
        ),
        Target(
            name="OpenVINO's speed to that of a matrix product",
            wanted=">= 0.9",
            measured=f"{speed:.2f}",
            reached=speed >= 0.9,
        ),
    ]


def _flop(model: ResolvedModel) -> int:
    """Floating-point operations of one forward pass: two per multiply-add."""
    network = load_network(MIDAS_SMALL, model.file)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(_SHAPE))
    return int(counter.get_total_flops())


def _product_flops() -> float:
    """FLOP/s of one thread, in a separate process, because NumPy fixes its number of threads on import."""
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _PRODUCT]
    return float(subprocess.run(command, env=one_thread, capture_output=True, text=True, check=True).stdout)
