"""Throughput of two one-worker services behind nginx against that of the same two asked directly.

    python -m benchmarks.proxy [--model NAME] [--rounds N] [--seconds S] [--clients N]

Every worker has one thread, and the clients keep both busy. Direct and proxied runs take turns: A, B, B, A, ... The
figures are ratios within one round, because a machine's speed drifts; the median round is the result. nginx's share of
all CPU time shows its cost even on a shared machine. Every response must be a 200: anything else ends the measurement.
nginx.conf is used with its limits, so every client has its own address.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.material import photo
from benchmarks.nginx import configured
from benchmarks.servers import service


@dataclass(frozen=True)
class Load:
    """The outcome of some seconds of load."""

    photos: int
    seconds: float
    processor_s: float
    """CPU time of services, nginx and clients."""
    nginx_s: float
    """CPU time of nginx."""

    @property
    def rate(self) -> float:
        return self.photos / self.seconds

    @property
    def nginx_share(self) -> float:
        return self.nginx_s / self.processor_s


@dataclass(frozen=True)
class Round:
    """The measurements of one round."""

    direct: Load
    proxied: Load

    @property
    def ratio(self) -> float:
        return self.proxied.rate / self.direct.rate


def load(urls: Sequence[str], data: bytes, clients: int, seconds: float, nginx: psutil.Process) -> Load:
    """Clients spread evenly over the URLs, each sending its next photo when it has the last response."""
    counts = [0] * clients
    before, nginx_before = processor_s(psutil.Process()), processor_s(nginx)
    started = time.perf_counter()

    def busy(index: int) -> None:
        transport = httpx.HTTPTransport(local_address=f"127.0.1.{index + 1}")
        with httpx.Client(base_url=urls[index % len(urls)], transport=transport, timeout=60) as client:
            while time.perf_counter() < started + seconds:
                client.post("/upload?palette=true", files={"image": data}).raise_for_status()
                counts[index] += 1

    threads = [threading.Thread(target=busy, args=(index,)) for index in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(
        photos=sum(counts),
        seconds=time.perf_counter() - started,
        processor_s=processor_s(psutil.Process()) - before,
        nginx_s=processor_s(nginx) - nginx_before,
    )


def processor_s(process: psutil.Process) -> float:
    """CPU time of a process and its descendants so far."""
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return float(sum(spent.user + spent.system for spent in times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="other settings come from DEPTHSVC_* variables")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=16)
    arguments = parser.parse_args()
    data = photo(1280, 960)
    options = ["--model", arguments.model, "--workers", "1", "--worker-threads", "1"]
    with ExitStack() as stack:
        urls = [stack.enter_context(service(*options)) for _ in range(2)]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        edge = configured(folder, [url.removeprefix("http://") for url in urls])
        nginx = psutil.Process(stack.enter_context(edge.running()))

        def measured(addresses: Sequence[str]) -> Load:
            return load(addresses, data, arguments.clients, arguments.seconds, nginx)

        measured(urls)
        rounds = []
        for number in range(arguments.rounds):
            if number % 2 == 0:
                direct, proxied = measured(urls), measured([edge.url])
            else:
                proxied, direct = measured([edge.url]), measured(urls)
            rounds.append(Round(direct, proxied))
    print(
        "| round | direct | through nginx | ratio | nginx, a photo | of all processor time |\n|---|---|---|---|---|---|"
    )
    for number, result in enumerate(rounds, 1):
        direct, proxied = result.direct, result.proxied
        print(
            f"| {number} | {direct.rate:.1f}/s | {proxied.rate:.1f}/s | {result.ratio:.3f} "
            f"| {1000 * proxied.nginx_s / proxied.photos:.2f} ms | {proxied.nginx_share:.2%} |"
        )
    print("\nmedian ratio", spread([result.ratio for result in rounds], ".3f"))
    print("median share of nginx", spread([result.proxied.nginx_share for result in rounds], ".2%"))


def spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


if __name__ == "__main__":
    main()
