"""For capacity planning: the CPU time and bytes of one photo, and the memory of one worker.

    python -m benchmarks.capacity [--model NAME] [--photos N] [--workers N ...]

CPU time is that of all processes of the service. Unlike throughput, it hardly depends on the machine's other load, and
its inverse is the photos per second of one core. Memory is the proportional set size when idle.
"""

from __future__ import annotations

import argparse
import io

import httpx
import numpy as np
import psutil
from PIL import Image

from benchmarks.memory import memory, service

SIZES = ((1280, 960), (4032, 3024))
ROUTES = (
    "/upload?palette=true",
    "/upload",
    "/depth?size=model",
    "/depth",
    "/pointcloud",
    "/bokeh",
    "/stereo",
    "/normals",
    "/mesh",
)


def photo(width: int, height: int) -> bytes:
    """A JPEG with smooth shapes and some noise, about as large as a camera's."""
    y, x = np.mgrid[:height, :width].astype(np.float32) / height
    waves = np.stack([np.sin(11 * x + c) * np.cos(13 * y - c) for c in range(3)], axis=2)
    noise = np.random.default_rng(0).normal(0, 6, waves.shape).astype(np.float32)
    buffer = io.BytesIO()
    Image.fromarray((128 + 90 * waves + noise).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def processor_s(process: psutil.Process) -> float:
    """CPU seconds of a process and its descendants so far."""
    times = [one.cpu_times() for one in [process, *process.children(recursive=True)]]
    return float(sum(one.user + one.system for one in times))


def cost(client: httpx.Client, process: psutil.Process, route: str, data: bytes, photos: int) -> tuple[float, int]:
    """CPU seconds and response bytes for one photo on this route."""

    def send(count: int) -> int:
        for _ in range(count):
            answer = client.post(route, content=data, headers={"Content-Type": "image/jpeg"}).raise_for_status()
        return len(answer.content)

    send(3)
    before = processor_s(process)
    size = send(photos)
    return (processor_s(process) - before) / photos, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="other settings come from DEPTHSVC_* variables")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    arguments = parser.parse_args()
    options = ["--model", arguments.model, "--worker-threads", "1", "--workers"]
    print("| route | photo | processor time | photos/s of a core | in | out |\n|---|---|---|---|---|---|")
    with service([*options, "1"], None) as (url, process), httpx.Client(base_url=url, timeout=None) as client:
        for width, height in SIZES:
            data = photo(width, height)
            for route in ROUTES:
                seconds, size = cost(client, process, route, data, arguments.photos)
                figures = (
                    f"{1000 * seconds:.0f} ms | {1 / seconds:.1f} | {len(data) / 1e6:.2f} MB | {size / 1e6:.2f} MB"
                )
                print(f"| {route} | {width} x {height} | {figures} |", flush=True)
    print("\n| workers | idle memory |\n|---|---|")
    for workers in arguments.workers:
        with service([*options, str(workers)], None) as (_, process):
            print(f"| {workers} | {memory(process) / 2**20:.0f} MiB |", flush=True)


if __name__ == "__main__":
    main()
