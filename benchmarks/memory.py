"""Memory of a whole service under the largest photos that it accepts: every format on every route, then all at once.

    python -m benchmarks.memory [--model NAME] [--workers N] [--seconds S] [--routes ROUTE ...] [--cgroup FOLDER]

Photos with the most pixels and with the most bytes are sent, one per worker at once, each with the largest
`input_size`; then a flood of all of them keeps the queue full. Memory is the proportional set size of all processes:
shared pages count once. `--cgroup` names an empty memory cgroup with a limit (version 1 or 2), for example one made by
mkdir; the service then runs in it, and the kernel's count is printed as well.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import random
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

_SAMPLE_S = 0.1
_WIDTH, _HEIGHT = 8192, 6100
"""Just under 50 megapixels."""
_MAX_BYTES = 9_990_000

ROUTES = (
    "/upload?size=source",
    "/upload?palette=true",
    "/upload?side_by_side=true",
    "/depth?format=f16",
    "/depth?format=npy&normalize=true",
    "/depth?format=png16",
    "/depth?refine=true",
    "/pointcloud?stride=1",
    "/bokeh?strength=1",
    "/stereo",
    "/normals",
    "/mesh",
)


@dataclass
class Peak:
    """The highest memory seen, in bytes, since the last `take`."""

    family: psutil.Process
    bytes: int = 0
    finished: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self.finished.wait(_SAMPLE_S):
            self.bytes = max(self.bytes, memory(self.family))

    def take(self) -> int:
        peak, self.bytes = self.bytes, 0
        return peak


def memory(process: psutil.Process) -> int:
    """Proportional set size of a process and its descendants, in bytes."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += one.memory_full_info().pss
    return total


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _smooth(width: int, height: int) -> NDArray[np.uint8]:
    """A picture that compresses well, RGB."""
    across, down = np.arange(width, dtype=np.uint16) // 32, np.arange(height, dtype=np.uint16)[:, None] // 24
    return np.stack([(across + down) % 256, (2 * across + down) % 256, (across + 3 * down) % 256], -1).astype(np.uint8)


def _noise(pixels: int) -> Image.Image:
    side = int(pixels**0.5)
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))


def photos() -> dict[str, bytes]:
    """The largest photos of every kind, each within the default limits on bytes and pixels."""
    large = Image.fromarray(_smooth(_WIDTH, _HEIGHT))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    see_through = large.convert("RGBA")
    see_through.putalpha(128)
    grey16 = Image.fromarray(_smooth(_WIDTH, _HEIGHT)[..., 0].astype(np.uint16) * 257)
    long = Image.fromarray(_smooth(65_472, 762))
    made = {
        "JPEG, progressive": _encoded(large, "JPEG", progressive=True, quality=75),
        "JPEG, CMYK, turned": _encoded(large.convert("CMYK"), "JPEG", quality=60, exif=exif),
        "JPEG of 65472 x 762": _encoded(long, "JPEG"),
        "JPEG of 10 MB": _encoded(_noise(16_000_000), "JPEG", quality=75),
        "PNG": _encoded(large, "PNG", compress_level=6),
        "PNG, RGBA": _encoded(see_through, "PNG", compress_level=6),
        "PNG, palette": _encoded(large.quantize(64, method=Image.Quantize.FASTOCTREE), "PNG", compress_level=6),
        "PNG, 16-bit grey": _encoded(grey16, "PNG", compress_level=6),
        "PNG of 10 MB": _encoded(_noise(3_250_000), "PNG", compress_level=1),
        "WebP": _encoded(large, "WEBP", quality=60, method=0),
        "WebP, lossless, turned": _encoded(large, "WEBP", lossless=True, method=0, exif=exif),
        "WebP of 10 MB": _encoded(_noise(17_000_000), "WEBP", quality=60, method=0),
    }
    for name, data in made.items():
        assert len(data) <= _MAX_BYTES, f"{name} has {len(data)} bytes"
    return made


@contextmanager
def service(options: list[str], cgroup: Path | None) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a running service, and its main process."""
    command = [sys.executable, "-m", "depthsvc", "serve", "--port", "0", "--log-level", "warning"]
    command += ["--deadline-s", "600", *options]  # time on a busy machine does not matter here
    if cgroup is not None:
        command = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(cgroup), *command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = re.search(r"http://\S+", process.stdout.readline())
        if address is None:
            raise SystemExit("the service did not start")
        yield address.group(), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


async def together(client: httpx.AsyncClient, path: str, data: bytes, count: int) -> list[int]:
    """The statuses of `count` identical concurrent requests."""

    async def one() -> int:
        return (await client.post(path, content=data, headers={"Content-Type": "image/jpeg"})).status_code

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def flood(client: httpx.AsyncClient, some: list[tuple[str, bytes]], clients: int, seconds: float) -> Counter[int]:
    """The statuses that `clients` busy clients get, with any photo on any route; 0 for a closed connection."""
    statuses: Counter[int] = Counter()
    chance = random.Random(0)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds

    async def busy() -> None:
        while loop.time() < end:
            try:
                [status] = await together(client, *chance.choice(some), 1)
            except httpx.TransportError:
                status = 0
            statuses[status] += 1

    await asyncio.gather(*(busy() for _ in range(clients)))
    return statuses


def kernel_peak(cgroup: Path) -> int:
    """The peak bytes of a cgroup, including page cache that the kernel can reclaim."""
    for name in ("memory.peak", "memory.max_usage_in_bytes"):
        if (cgroup / name).exists():
            return int((cgroup / name).read_text())
    raise SystemExit(f"{cgroup} does not count memory. Choose a cgroup with the memory controller.")


def path_of(route: str, photo: str) -> str:
    """The route, with the largest input size that this photo's shape allows."""
    return route if "65472" in photo else f"{route}&input_size=1024"


async def measure(url: str, peak: Peak, routes: list[str], workers: int, seconds: float) -> None:
    inputs = photos()
    pairs = [(path_of(route, name), data) for route, (name, data) in itertools.product(routes, inputs.items())]
    async with httpx.AsyncClient(base_url=url, timeout=None, limits=httpx.Limits(max_connections=None)) as client:
        peak.take()
        await asyncio.sleep(5 * _SAMPLE_S)
        print(f"idle: {peak.take() / 2**20:.0f} MiB\n\n| route | peak | at | answers |\n|---|---|---|---|", flush=True)
        for route in routes:
            peaks: dict[str, int] = {}
            statuses: Counter[int] = Counter()
            for name, data in inputs.items():
                statuses.update(await together(client, path_of(route, name), data, workers))
                peaks[name] = peak.take()
            worst = max(peaks, key=peaks.__getitem__)
            print(f"| {route} | {peaks[worst] / 2**20:.0f} MiB | {worst} | {dict(statuses)} |", flush=True)
        statuses = await flood(client, pairs, 80, seconds)
        print(f"| all of them, queue full | {peak.take() / 2**20:.0f} MiB | | {dict(statuses)} |")
        print(f"\nworkers restarted: {(await client.get('/health')).json()['workers']['restarts']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="other settings come from DEPTHSVC_* variables")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the flood")
    parser.add_argument("--routes", nargs="+", default=list(ROUTES), metavar="ROUTE", help="paths with a query")
    parser.add_argument("--cgroup", type=Path)
    arguments = parser.parse_args()
    options = ["--model", arguments.model, "--workers", str(arguments.workers), "--worker-threads", "1"]
    with service(options, arguments.cgroup) as (url, process):
        peak = Peak(process)
        watcher = threading.Thread(target=peak.watch)
        watcher.start()
        try:
            asyncio.run(measure(url, peak, arguments.routes, arguments.workers, arguments.seconds))
        finally:
            peak.finished.set()
            watcher.join()
        if arguments.cgroup is not None:
            print(f"the kernel's peak: {kernel_peak(arguments.cgroup) / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
