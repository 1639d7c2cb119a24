"""The service and the batch on Ray against those with worker processes, in turns within one run.

    python -m benchmarks.ray [serve|batch] [--model NAME] [--rounds N] [--seconds S] [--photos N]

serve: a service with two workers, then one with two replicas, and so on, each freshly started, alone on the machine and
under four busy clients; their results for fifty photos are compared byte for byte. batch: `depthsvc batch` over the
same photos with two workers, then with two actors, and so on; the clock starts when a tenth of the photos is reported,
which leaves out the start, reported separately. Figures are ratios within one round, because a machine's speed drifts.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from benchmarks.load import closed_load, form_request_bytes, send
from benchmarks.material import photo
from benchmarks.servers import service

_CLIENTS = 4
_TWO = ("--workers", "2", "--worker-threads", "1")
_COMPARED = 50


def small_photo(seed: int) -> bytes:
    """A 640 x 480 JPEG of coloured blobs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def heatmaps(url: str) -> list[bytes]:
    with httpx.Client(base_url=url, timeout=60) as client:
        photos = ({"image": small_photo(seed)} for seed in range(_COMPARED))
        return [client.post("/upload", files=files).raise_for_status().content for files in photos]


def rate(seconds: float, model: str, *options: str) -> tuple[float, list[bytes]]:
    """Photos per second of a service at saturation, and its heatmaps."""
    with service("--model", model, *_TWO, *options) as url:
        made = heatmaps(url)  # also warms it
        ask = partial(send, url, form_request_bytes(photo(1280, 960), "/upload?palette=true"))
        return asyncio.run(closed_load(ask, clients=_CLIENTS, seconds=seconds)).goodput, made


def compare_services(model: str, rounds: int, seconds: float) -> None:
    differing = 0

    def measured() -> tuple[float, float]:
        nonlocal differing
        plain, expected = rate(seconds, model)
        on_ray, made = rate(seconds, model, "--ray")
        differing += sum(a != b for a, b in zip(expected, made, strict=True))
        return plain, on_ray

    show("2 workers", "2 replicas", (measured() for _ in range(rounds)))
    print(f"{differing} of {rounds * _COMPARED} heatmaps differ")


@dataclass(frozen=True)
class Run:
    """One batch."""

    rate: float
    """Photos per second once it has started."""
    start_s: float
    """Seconds until the first photos are reported."""


def batch(model: str, folder: Path, *options: str) -> Run:
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-m", "depthsvc", "batch", str(folder), output, "--model", model]
        began = time.perf_counter()
        process = subprocess.Popen(
            [*command, *_TWO, "--log-level", "warning", *options],
            stderr=subprocess.DEVNULL,
        )
        photos = len(list(folder.iterdir()))
        seen: list[tuple[float, int]] = []
        while not seen or seen[-1][1] < photos:
            if process.poll() is not None:
                raise SystemExit("the batch did not process all photos")
            time.sleep(0.02)
            report = Path(output, "report.jsonl")
            seen.append((time.perf_counter(), report.read_bytes().count(b"\n") if report.exists() else 0))
        process.wait()
    first = next(when for when, done in seen if done)
    since, before = next((when, done) for when, done in seen if done >= photos / 10)
    return Run((photos - before) / (seen[-1][0] - since), first - began)


def compare_batches(model: str, rounds: int, photos: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(photos):
            (folder / f"{number:04}.jpg").write_bytes(small_photo(number))
        starts: list[tuple[float, float]] = []

        def measured() -> tuple[float, float]:
            plain, on_ray = batch(model, folder), batch(model, folder, "--ray")
            starts.append((plain.start_s, on_ray.start_s))
            return plain.rate, on_ray.rate

        show("2 workers", "2 actors", (measured() for _ in range(rounds)))
    plain_s, ray_s = (statistics.median(start[index] for start in starts) for index in (0, 1))
    print(f"seconds until the first photo: median {plain_s:.1f} with workers, {ray_s:.1f} with actors")


def show(plain: str, on_ray: str, rounds: Iterator[tuple[float, float]]) -> None:
    """Print each round's photos per second as it ends, then the median ratio."""
    print(f"| round | {plain} | {on_ray} | ratio |\n|---|---|---|---|", flush=True)
    ratios = []
    for number, (without, with_ray) in enumerate(rounds, 1):
        ratios.append(with_ray / without)
        print(f"| {number} | {without:.1f}/s | {with_ray:.1f}/s | {ratios[-1]:.2f} |", flush=True)
    print(f"\nmedian ratio {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["serve", "batch"], nargs="?")
    parser.add_argument("--model", default="embedded", help="other settings come from DEPTHSVC_* variables")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--photos", type=int, default=500)
    arguments = parser.parse_args()
    if arguments.what != "batch":
        compare_services(arguments.model, arguments.rounds, arguments.seconds)
    if arguments.what != "serve":
        compare_batches(arguments.model, arguments.rounds, arguments.photos)


if __name__ == "__main__":
    main()
