"""Throughput of two workers under two busy clients against one worker under one, and /health meanwhile.

    python -m benchmarks.throughput [--model NAME] [--rounds N] [--seconds S]

Both services run side by side on this machine, every worker with one thread, and take turns: A, B, A, B, ... The
figures are ratios within one round, because the speed of a machine drifts; the median round is the result.
"""

from __future__ import annotations

import argparse
import io
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Round:
    """What one round measured."""

    one: float
    """Photos a second of one worker under one client."""
    two: float
    """Photos a second of two workers under two clients."""
    health_s: list[float]
    """Durations of /health while both workers were busy."""

    @property
    def ratio(self) -> float:
        return self.two / self.one


@contextmanager
def service(workers: int, model: str) -> Iterator[str]:
    """The address of a running service with this many single-threaded workers."""
    options = ["--model", model, "--port", "0", "--workers", str(workers), "--worker-threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "depthsvc", "serve", "--log-level", "warning", *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        address = re.search(r"http://\S+", process.stdout.readline())
        if address is None:
            raise SystemExit("the service did not start")
        yield address.group()
    finally:
        process.terminate()
        process.wait()


def photo() -> bytes:
    """A JPEG of 1280 x 960 with smooth shapes and some noise."""
    y, x = np.mgrid[:960, :1280]
    waves = np.stack([np.sin(x / 90 + c) * np.cos(y / 70 - c) for c in range(3)], axis=2)
    noise = np.random.default_rng(0).normal(0, 6, waves.shape)
    pixels = (128 + 90 * waves + noise).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def throughput(url: str, data: bytes, clients: int, seconds: float) -> float:
    """Photos a second that so many clients get, each sending its next photo when it has its last answer."""
    end = time.perf_counter() + seconds
    counts = [0] * clients

    def busy(index: int) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while time.perf_counter() < end:
                client.post("/upload?palette=true", files={"image": data}).raise_for_status()
                counts[index] += 1

    started = time.perf_counter()
    threads = [threading.Thread(target=busy, args=(index,)) for index in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


def measured_round(one_worker: str, two_workers: str, data: bytes, seconds: float) -> Round:
    one = throughput(one_worker, data, 1, seconds)
    health_s: list[float] = []
    finished = threading.Event()

    def watch() -> None:
        with httpx.Client(base_url=two_workers, timeout=60) as client:
            while not finished.wait(0.05):
                started = time.perf_counter()
                client.get("/health")
                health_s.append(time.perf_counter() - started)

    watcher = threading.Thread(target=watch)
    watcher.start()
    two = throughput(two_workers, data, 2, seconds)
    finished.set()
    watcher.join()
    return Round(one, two, health_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="DEPTHSVC_* variables say the rest")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    data = photo()
    with service(1, arguments.model) as one_worker, service(2, arguments.model) as two_workers:
        for url in (one_worker, two_workers):
            throughput(url, data, 2, 2.0)
        rounds = [measured_round(one_worker, two_workers, data, arguments.seconds) for _ in range(arguments.rounds)]
    print("| round | 1 worker, 1 client | 2 workers, 2 clients | ratio |\n|---|---|---|---|")
    for number, result in enumerate(rounds, 1):
        print(f"| {number} | {result.one:.1f}/s | {result.two:.1f}/s | {result.ratio:.2f} |")
    health_ms = sorted(1000 * seconds for result in rounds for seconds in result.health_s)
    print(f"\nmedian ratio {statistics.median(result.ratio for result in rounds):.2f}")
    print(f"/health while busy: median {statistics.median(health_ms):.1f} ms, longest {health_ms[-1]:.1f} ms")


if __name__ == "__main__":
    main()
