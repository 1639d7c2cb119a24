"""Services under test: started on loopback, awaited, measured and ended by process id."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from benchmarks.material import Material

START_S = 180.0
"""How long to wait for a program's first response to a photo, in seconds."""
_READY = "depthsvc is ready at"
_END_S = 10.0
"""How long to wait for a program that was asked to end, in seconds."""


class ServerFailed(Exception):
    """A program ended or never responded; the message has the end of its output."""


class Server:
    """A running program and its descendants."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def check(self) -> None:
        """Raise ServerFailed if it has ended."""
        if self._process.poll() is not None:
            raise self.failure(f"ended with status {self._process.returncode}")

    def failure(self, what: str) -> ServerFailed:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return ServerFailed(f"{what}: {' / '.join(lines[-3:])}")

    def family(self) -> list[psutil.Process]:
        """Its process and descendants."""
        with suppress(psutil.NoSuchProcess):
            me = psutil.Process(self._process.pid)
            return [me, *me.children(recursive=True)]
        return []

    def memory_mb(self) -> float:
        """Memory of all its processes, with shared pages counted once, in 10^6 bytes."""
        total = 0
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
        return total / 1e6

    def cpu_s(self) -> float:
        """CPU time of its processes so far, in seconds."""
        total = 0.0
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def end(self) -> None:
        family = self.family()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()


@contextmanager
def started(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[Server]:
    """Start a program, with its output in a file, and end it and all its processes afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **environment}
        )
    server = Server(process, log)
    try:
        yield server
    finally:
        server.end()


@contextmanager
def running_service(command: Sequence[str], material: Material) -> Iterator[Server]:
    """depthsvc, once it is ready. Raises ServerFailed."""
    log = material.folder / "service.log"
    with started(command, material.environment, log) as server:
        _wait_until_printed(_READY, server, log)
        yield server


@contextmanager
def service(*options: str) -> Iterator[str]:
    """The address of depthsvc with these options and the environment's, once it is ready. Raises ServerFailed."""
    command = [sys.executable, "-m", "depthsvc", "serve", "--log-level", "warning", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = re.search(r"http://\S+", process.stdout.readline())
        if address is None:
            raise ServerFailed(f"depthsvc ended with status {process.wait()}")
        yield address.group()
    finally:
        process.terminate()
        process.wait()


def seconds_until_ready(command: Sequence[str], material: Material) -> float:
    """Seconds from starting depthsvc until it reports that it is ready; then it is ended. Raises ServerFailed."""
    begun = time.perf_counter()
    with running_service(command, material):
        return time.perf_counter() - begun


def _wait_until_printed(text: str, server: Server, log: Path) -> None:
    ends = time.monotonic() + START_S
    while text not in log.read_text(errors="replace"):
        server.check()
        if time.monotonic() > ends:
            raise server.failure(f"did not print {text!r}")
        time.sleep(0.01)


def free_port() -> int:
    """A TCP port of loopback that is free now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port
