"""What a normal client still gets while others attack: readers who are slow, and photos that cost much.

    python -m benchmarks.attacks readers [--rate MB/S] [--clients 60] [--seconds 60] [--nginx]
    python -m benchmarks.attacks flood [--addresses 1] [--clients 16] [--seconds 60] [--nginx]

The normal client has a loopback address of its own. Readers ask for the largest result, 100 MB, and read it at a fixed
rate; the flood sends the photos that cost most. All ask again as soon as they have an answer or are refused.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import json
import math
import socket
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from multiprocessing import get_context
from pathlib import Path

import httpx
import numpy as np
import psutil
from PIL import Image

from benchmarks.load import CONNECTION_LOST, Reply, Tally, request_bytes
from benchmarks.material import interlaced_png, photo
from benchmarks.memory import memory, service
from benchmarks.nginx import configured

_OPTIONS = ("--model", "embedded", "--workers", "2", "--worker-threads", "1", "--deadline-s", "30")
_SIDE = 7071
"""Side of a square photo of just under 50 megapixels."""
_BASELINE_S = 5.0
_PAUSE_S = 0.02
"""Seconds after which an attacker asks again."""
_RETRY_S = 0.1
"""Seconds after which the normal client asks again when it has been refused."""
_NORMAL = "127.0.0.9"
"""Address of the normal client."""
_REFUSALS = (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


def largest_jpeg() -> bytes:
    """A flat JPEG of 50 megapixels in 0.8 MB."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((_SIDE, _SIDE, 3), 128, np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def dearest() -> list[bytes]:
    """Requests that cost as much as one may, and some that cost more."""
    flat = np.full((_SIDE, _SIDE, 3), 99, np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(flat).save(buffer, "JPEG", progressive=True, subsampling=0)
    png, progressive = interlaced_png(flat), buffer.getvalue()
    return [
        request_bytes(png, "/bokeh?input_size=1024", "image/png"),
        request_bytes(png, "/bokeh", "image/png"),
        request_bytes(png, "/depth?input_size=1024&size=model", "image/png"),
        request_bytes(progressive, "/bokeh", "image/jpeg"),
        request_bytes(progressive, "/upload?refine=true&input_size=768", "image/jpeg"),
        request_bytes(photo(4032, 3024), "/bokeh?input_size=768&full_size=true", "image/jpeg"),
    ]


async def ask(url: str, request: bytes, address: str, *, rate: float = 0) -> Reply:
    """One request from an address. The time is from its last byte to the response's first. `rate`: bytes per second
    at which the response is read; 0 is as fast as it comes."""
    host, port = url.removeprefix("http://").split(":")
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.bind((address, 0))
        if rate:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        try:
            await loop.sock_connect(connection, (host, int(port)))
            await loop.sock_sendall(connection, request)
            sent = time.perf_counter()
            head = await loop.sock_recv(connection, 1 << 16)
            seconds = time.perf_counter() - sent
            status = int(head.split(b" ", 2)[1]) if head else CONNECTION_LOST
            began, count = time.perf_counter(), 0
            while piece := await loop.sock_recv(connection, 1 << 16):
                count += len(piece)
                if rate:
                    await asyncio.sleep(began + count / rate - time.perf_counter())
        except OSError:
            return Reply(CONNECTION_LOST, 0.0)
        return Reply(status, seconds)


Requests = Iterator[tuple[bytes, str, float]]
"""An attacker's requests without end, each with its address and the rate at which the response is read."""


@dataclass
class Watch:
    """Peaks of memory, in bytes, while it runs."""

    family: psutil.Process
    main: int = 0
    """Resident memory of the server process."""
    everything: int = 0
    """Proportional set size of all processes."""
    _ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._ended.wait(0.2):
            with suppress(psutil.NoSuchProcess):
                self.main = max(self.main, self.family.memory_info().rss)
                self.everything = max(self.everything, memory(self.family))

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()


def attacked(url: str, attackers: list[Requests], seconds: float) -> dict[str, Tally]:
    """Run attackers, and return what each address got."""
    tallies: dict[str, Tally] = defaultdict(Tally)

    async def attacker(requests: Requests) -> None:
        for request, address, rate in requests:
            tallies[address].replies.append(await ask(url, request, address, rate=rate))
            await asyncio.sleep(_PAUSE_S)

    async def all_of_them() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*map(attacker, attackers))

    asyncio.run(all_of_them())
    return dict(tallies)


async def normal_client(url: str, seconds: float) -> Tally:
    """One client that sends normal photos, one after the other."""
    tally, request = Tally(), request_bytes(photo(1280, 960))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        tally.replies.append(await ask(url, request, _NORMAL))
        if tally.replies[-1].status != HTTPStatus.OK:
            await asyncio.sleep(_RETRY_S)
    return tally


def attack(url: str, seconds: float, attacker: Callable[[], list[Requests]]) -> None:
    """Run attackers, in a process of their own, beside a normal client."""
    alone = asyncio.run(normal_client(url, _BASELINE_S))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        attack = processes.submit(_attack, url, attacker, seconds)
        beside = asyncio.run(normal_client(url, seconds))
        tallies = attack.result()
    rates = len(alone.of(200)) / _BASELINE_S, len(beside.of(200)) / seconds
    print(f"normal client: {dict(beside.statuses)}, p95 {beside.longest(0.95):.2f} s (alone {alone.longest(0.95):.2f})")
    print(f"  {rates[1]:.1f} photos/s, {rates[1] / rates[0]:.0%} of {rates[0]:.1f} alone")
    for address, tally in sorted(tallies.items()):
        refusals = sorted(reply.seconds for reply in tally.replies if reply.status in _REFUSALS)
        late = f", refusals p95 {1000 * refusals[int(0.95 * len(refusals))]:.0f} ms" if refusals else ""
        print(f"attacker {address}: {dict(sorted(tally.statuses.items()))}{late}")


def _attack(url: str, attackers: Callable[[], list[Requests]], seconds: float) -> dict[str, Tally]:
    return attacked(url, attackers(), seconds)


def readers(count: int, addresses: list[str], rate: float) -> list[Requests]:
    """Clients that read the largest results slowly; `rate` in 10^6 bytes per second."""
    request = request_bytes(largest_jpeg(), "/depth")
    return [
        itertools.repeat((request, address, 1e6 * rate))
        for address in itertools.islice(itertools.cycle(addresses), count)
    ]


def flood(count: int, addresses: list[str]) -> list[Requests]:
    """So many clients for each address that send what costs most."""
    requests = dearest()

    def client(address: str, first: int) -> Requests:
        for number in itertools.count(first):
            yield requests[number % len(requests)], address, 0.0

    return [client(address, number) for address in addresses for number in range(count)]


def positive(text: str) -> float:
    """An argument above 0. Raises ValueError."""
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attack", choices=("readers", "flood"))
    parser.add_argument("--rate", type=positive, default=1.05, help="of each reader, in MB/s; 1.05 if left out")
    parser.add_argument("--addresses", type=int, default=1, help="that attack; 1 if left out")
    parser.add_argument("--clients", type=int, help="in all (readers, 60) or for each address (flood, 16)")
    parser.add_argument("--seconds", type=positive, default=60.0, help="of attack; 60 if left out")
    parser.add_argument("--nginx", action="store_true", help="through this repository's nginx.conf")
    arguments = parser.parse_args()
    addresses = [f"127.0.0.{11 + number}" for number in range(arguments.addresses)]
    with ExitStack() as stack:
        url, process = stack.enter_context(service(list(_OPTIONS), None))
        inside = url
        if arguments.nginx:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            proxy = configured(folder, [url.removeprefix("http://")])
            stack.enter_context(proxy.running())
            url = proxy.url
        watch = Watch(process)
        if arguments.attack == "readers":
            attackers = partial(readers, arguments.clients or 60, addresses, arguments.rate)
        else:
            attackers = partial(flood, arguments.clients or 16, addresses)
        with watch.running():
            attack(url, arguments.seconds, attackers)
        metrics = httpx.get(f"{inside}/metrics").text.splitlines()
        restarts = Counter({line.split()[0]: float(line.split()[1]) for line in metrics if "restarts_total{" in line})
        print(f"memory: server {watch.main / 2**20:.0f} MiB, all {watch.everything / 2**20:.0f} MiB")
        print(f"workers replaced: {json.dumps(+restarts)}")


if __name__ == "__main__":
    main()
