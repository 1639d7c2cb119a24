"""A load of photos over plain sockets: cheap enough not to be what is measured."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

CONNECTION_LOST = 0
"""Stands for a status where there was no answer, or not a whole one."""
REFUSED = -1
"""Stands for a status where no one listened."""


@dataclass(frozen=True)
class Reply:
    """What became of one request."""

    status: int
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Tally:
    """What became of many."""

    replies: list[Reply] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def statuses(self) -> Counter[int]:
        return Counter(reply.status for reply in self.replies)

    def of(self, status: int) -> list[Reply]:
        return [reply for reply in self.replies if reply.status == status]

    @property
    def goodput(self) -> float:
        """Photos answered a second."""
        return len(self.of(200)) / self.seconds

    def longest(self, share: float) -> float:
        """The time within which this share of the answered photos was answered."""
        durations = sorted(reply.seconds for reply in self.of(200))
        return durations[min(len(durations) - 1, int(share * len(durations)))]


def request_bytes(body: bytes, path: str = "/upload", kind: str = "image/jpeg", headers: Iterable[str] = ()) -> bytes:
    """A whole POST request that asks for the connection to be closed after its answer."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: test",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def send(url: str, request: bytes) -> Reply:
    """Send one request over a connection of its own and read its answer."""
    host, port = url.removeprefix("http://").split(":")
    started = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return Reply(REFUSED, time.perf_counter() - started)
    try:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
    except (OSError, asyncio.IncompleteReadError):
        return Reply(CONNECTION_LOST, time.perf_counter() - started)
    finally:
        writer.close()
    return Reply(int(head[0].split()[1]), time.perf_counter() - started, headers, body)


async def closed_load(url: str, request: bytes, *, clients: int, seconds: float) -> Tally:
    """So many clients, each sending its next request when it has its last answer."""
    tally = Tally()
    started = time.perf_counter()

    async def client() -> None:
        while time.perf_counter() - started < seconds:
            tally.replies.append(await send(url, request))

    await asyncio.gather(*(client() for _ in range(clients)))
    tally.seconds = time.perf_counter() - started
    return tally


async def open_load(url: str, request: bytes, *, rate: float, seconds: float) -> Tally:
    """So many requests a second, whatever becomes of them. The tally's time is that in which they were sent."""
    tally = Tally(seconds=seconds)
    started = time.perf_counter()

    async def one() -> None:
        tally.replies.append(await send(url, request))

    async with asyncio.TaskGroup() as group:
        for number in range(round(rate * seconds)):
            await asyncio.sleep(started + number / rate - time.perf_counter())
            group.create_task(one())
    return tally
