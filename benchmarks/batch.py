"""Throughput of `depthsvc batch` against that of the bare pipeline, in one run.

    python -m benchmarks.batch [--model NAME] [--photos N] [--rounds N]

In every round: one process with one single-threaded pipeline, then as many of them at once as there are CPUs, then the
command over all photos with as many workers. The command's time begins when its workers are warm. Its ratio to one
pipeline times the CPUs is what the docs claim; its ratio to the pipelines at once is what the command itself costs,
without what CPUs lose to each other.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

from benchmarks.material import photo
from depthsvc.machine.capacity import available_cpus
from depthsvc.options import HeatmapOptions
from depthsvc.pipeline.stages import Pipeline
from depthsvc.pool.config import WorkerConfig
from depthsvc.pool.launch import pool_config
from depthsvc.pool.processes import kill_children
from depthsvc.settings import Settings

_process: tuple[Pipeline, Barrier] | None = None
"""State of a measuring process."""


def _open(config: WorkerConfig, barrier: Barrier) -> None:
    global _process
    pipeline = Pipeline.open(config.models[0], max_pixels=config.max_pixels, max_input_size=config.max_input_size)
    pipeline.model.warm()
    _process = pipeline, barrier


def _rate(paths: list[Path]) -> float:
    """Photos per second of this process, timed from when all processes are ready."""
    assert _process is not None
    pipeline, barrier = _process
    options = HeatmapOptions(palette=True)
    pipeline.answer(paths[0].read_bytes(), options)
    barrier.wait()
    started = time.perf_counter()
    for path in paths:
        pipeline.answer(path.read_bytes(), options)
    return len(paths) / (time.perf_counter() - started)


@contextmanager
def pipelines(config: WorkerConfig, count: int) -> Iterator[ProcessPoolExecutor]:
    """`count` processes with one pipeline each."""
    context = get_context("spawn")
    barrier = context.Barrier(count)
    with ProcessPoolExecutor(count, mp_context=context, initializer=_open, initargs=(config, barrier)) as executor:
        yield executor


def pipeline_rate(executor: ProcessPoolExecutor, count: int, paths: list[Path]) -> float:
    """Photos per second of all processes together; each processes equally many."""
    return sum(executor.map(_rate, [paths] * count))


def batch_rate(folder: Path, model: str) -> float:
    """Photos per second of the command once its workers are warm."""
    with tempfile.TemporaryDirectory() as output:
        result = subprocess.run(
            [sys.executable, "-m", "depthsvc", "batch", str(folder), output, "--model", model, "--worker-threads", "1"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "DEPTHSVC_LOG_LEVEL": "warning"},
        )
    done = re.search(r"(\d+) done in ([\d.]+) s", result.stderr)
    assert done, result.stderr
    return int(done[1]) / float(done[2])


@dataclass(frozen=True)
class Round:
    """Photos per second."""

    one: float
    """One pipeline."""
    at_once: float
    """One pipeline on every CPU."""
    batch: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="other settings come from DEPTHSVC_* variables")
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    cpus = available_cpus()
    config = pool_config(Settings(**{"model": arguments.model})).worker
    with tempfile.TemporaryDirectory() as name, pipelines(config, 1) as one, pipelines(config, cpus) as every:
        folder, data = Path(name), photo(1280, 960)
        paths = [folder / f"{number:04}.jpg" for number in range(arguments.photos)]
        for path in paths:
            path.write_bytes(data)
        some = paths[: max(1, arguments.photos // (2 * cpus))]
        rounds = [
            Round(
                pipeline_rate(one, 1, some),
                pipeline_rate(every, cpus, some),
                batch_rate(folder, arguments.model),
            )
            for _ in range(arguments.rounds)
        ]
    kill_children()
    print(f"| round | 1 pipeline | {cpus} pipelines | batch | of 1 x {cpus} | of {cpus} at once |")
    print("|---|---|---|---|---|---|")
    for number, result in enumerate(rounds, 1):
        print(
            f"| {number} | {result.one:.1f}/s | {result.at_once:.1f}/s | {result.batch:.1f}/s "
            f"| {result.batch / (cpus * result.one):.2f} | {result.batch / result.at_once:.2f} |"
        )
    of_one = statistics.median(result.batch / (cpus * result.one) for result in rounds)
    at_once = statistics.median(result.batch / result.at_once for result in rounds)
    print(f"\nmedian ratio {of_one:.2f} of one pipeline x {cpus}, {at_once:.2f} of {cpus} pipelines at once")


if __name__ == "__main__":
    main()
