"""Part "workers": one worker per CPU against a single one, each with one thread, and the memory that each adds."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

from benchmarks.contenders import by_form
from benchmarks.load import closed_load, get_bytes, send
from benchmarks.machine import versions
from benchmarks.material import MIDDLE, Material, photo
from benchmarks.results import Part, Target, percentile, spread
from benchmarks.servers import free_port, running_service
from depthsvc.evaluation.table import Table
from depthsvc.machine.capacity import available_cpus

_SCALING = 0.95
"""Fraction of the ideal that several workers must reach: 1.9 times one worker for two."""
_ADDED_MB = 200.0
_HEALTH_PAUSE_S = 0.1


@dataclass(frozen=True)
class Round:
    """The measurements of one round."""

    one: float
    """Photos per second of one worker under one client."""
    every: float
    """Photos per second of one worker per CPU under as many clients."""
    health_s: list[float]
    """Durations of /health while all workers were busy."""

    @property
    def ratio(self) -> float:
        return self.every / self.one


def measure(material: Material) -> Part:
    workers = max(2, available_cpus())
    rounds, seconds = (2, 4.0) if material.quick else (5, 5.0)
    ports = free_port(), free_port()
    one_url, every_url = (f"http://127.0.0.1:{port}" for port in ports)
    with (
        running_service(_command(material, ports[0], 1), material) as one,
        running_service(_command(material, ports[1], workers), material) as every,
    ):
        for url, clients in ((one_url, 1), (every_url, workers)):
            asyncio.run(closed_load(by_form(url, photo(*MIDDLE)), clients=clients, seconds=2))
        measured = [asyncio.run(_round(one_url, every_url, workers, seconds)) for _ in range(rounds)]
        added_mb = (every.memory_mb() - one.memory_mb()) / (workers - 1)
        memory = [one.memory_mb(), every.memory_mb()]
    return _part(measured, workers, memory, added_mb)


def _command(material: Material, port: int, workers: int) -> list[str]:
    return material.service_command(
        sys.executable, "--port", str(port), "--workers", str(workers), "--worker-threads", "1"
    )


async def _round(one_url: str, every_url: str, workers: int, seconds: float) -> Round:
    data = photo(*MIDDLE)
    one = await closed_load(by_form(one_url, data), clients=1, seconds=seconds)
    health_s: list[float] = []
    watcher = asyncio.create_task(_watch(every_url, health_s))
    every = await closed_load(by_form(every_url, data), clients=workers, seconds=seconds)
    watcher.cancel()
    with suppress(asyncio.CancelledError):
        await watcher
    return Round(one.goodput, every.goodput, health_s)


async def _watch(url: str, seconds: list[float]) -> None:
    while True:
        begun = time.perf_counter()
        await send(url, get_bytes("/health"))
        seconds.append(time.perf_counter() - begun)
        await asyncio.sleep(_HEALTH_PAUSE_S)


def _part(measured: list[Round], workers: int, memory: list[float], added_mb: float) -> Part:
    ratios = [result.ratio for result in measured]
    health_ms = [1000 * seconds for result in measured for seconds in result.health_s]
    heads = ["workers", "photos/s", "ratio", "memory MB"]
    rows = [
        ["1", spread([result.one for result in measured], 2), "1", f"{memory[0]:.0f}"],
        [str(workers), spread([result.every for result in measured], 2), spread(ratios, 2), f"{memory[1]:.0f}"],
    ]
    health = [[f"{median(health_ms):.1f}", f"{percentile(health_ms, 0.99):.1f}", f"{max(health_ms):.1f}"]]
    wanted = _SCALING * workers
    return Part(
        title="Workers",
        explanation="1920 x 1080, every worker with one thread and as many clients as workers, in turns.",
        versions=versions(),
        tables=[
            Table("Workers", heads, rows),
            Table("/health while all are busy", ["median ms", "p99 ms", "longest ms"], health),
        ],
        targets=[
            Target(
                name=f"throughput of {workers} workers to one's",
                wanted=f">= {wanted:.2g}",
                measured=spread(ratios, 2),
                reached=median(ratios) >= wanted,
            ),
            Target(
                name="memory of an added worker (PSS)",
                wanted=f"<= {_ADDED_MB:.0f} MB",
                measured=f"{added_mb:.0f} MB",
                reached=added_mb <= _ADDED_MB,
            ),
        ],
    )
