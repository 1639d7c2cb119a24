"""A load generator over plain sockets, cheap enough not to distort the measurement."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

CONNECTION_LOST = 0
"""Status of a request that got no response, or an incomplete one."""
REFUSED = -1
"""Status of a request whose connection was refused."""
GIVEN_UP = -2
"""Status of a request whose client gave up waiting."""


@dataclass(frozen=True)
class Reply:
    """The outcome of one request."""

    status: int
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Ask = Callable[[], Awaitable[Reply]]
"""Sends one photo and waits for the response."""


@dataclass
class Tally:
    """The outcomes of many requests."""

    replies: list[Reply] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def statuses(self) -> Counter[int]:
        return Counter(reply.status for reply in self.replies)

    def of(self, status: int) -> list[Reply]:
        return [reply for reply in self.replies if reply.status == status]

    @property
    def goodput(self) -> float:
        """Successful responses per second."""
        return len(self.of(200)) / self.seconds

    def longest(self, share: float) -> float:
        """The time within which this fraction of the successful responses arrived."""
        durations = sorted(reply.seconds for reply in self.of(200))
        return durations[min(len(durations) - 1, int(share * len(durations)))]


def request_bytes(body: bytes, path: str = "/upload", kind: str = "image/jpeg", headers: Iterable[str] = ()) -> bytes:
    """A complete POST request that asks to close the connection after the response."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: test",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def get_bytes(path: str) -> bytes:
    """A complete GET request of the same kind."""
    return f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode()


def form_request_bytes(photo: bytes, path: str = "/upload", name: str = "image") -> bytes:
    """A complete POST request that sends a JPEG in a form field, as programs and web pages do."""
    boundary = "boundary-of-the-form"
    head = f'Content-Disposition: form-data; name="{name}"; filename="photo.jpg"\r\nContent-Type: image/jpeg'
    body = f"--{boundary}\r\n{head}\r\n\r\n".encode() + photo + f"\r\n--{boundary}--\r\n".encode()
    return request_bytes(body, path, f"multipart/form-data; boundary={boundary}")


async def send(url: str, request: bytes) -> Reply:
    """Send one request over its own connection and read the response."""
    host, port = url.removeprefix("http://").split(":")
    started = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return Reply(REFUSED, time.perf_counter() - started)
    try:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = _headers(head[1:])
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        else:
            body = await reader.read()
    except (OSError, asyncio.IncompleteReadError):
        return Reply(CONNECTION_LOST, time.perf_counter() - started)
    finally:
        writer.close()
    return Reply(int(head[0].split()[1]), time.perf_counter() - started, headers, body)


def send_alone(url: str, request: bytes) -> Reply:
    """The same from a blocking client, which takes a millisecond less than an event loop."""
    host, port = url.removeprefix("http://").split(":")
    started = time.perf_counter()
    with socket.create_connection((host, int(port))) as connection, connection.makefile("rb") as reader:
        connection.sendall(request)
        head = [line.decode("latin-1").rstrip() for line in iter(reader.readline, b"\r\n")]
        headers = _headers(head[1:])
        body = reader.read(int(headers["content-length"]))
        return Reply(int(head[0].split()[1]), time.perf_counter() - started, headers, body)


def _headers(lines: Iterable[str]) -> dict[str, str]:
    """The headers of a response, with names in lower case."""
    return dict(line.lower().split(": ", 1) for line in lines if line)


async def closed_load(ask: Ask, *, clients: int, seconds: float) -> Tally:
    """`clients` clients, each sending its next photo when it has the last response."""
    tally = Tally()
    started = time.perf_counter()

    async def client() -> None:
        while time.perf_counter() - started < seconds:
            tally.replies.append(await ask())

    await asyncio.gather(*(client() for _ in range(clients)))
    tally.seconds = time.perf_counter() - started
    return tally


async def open_load(ask: Ask, *, rate: float, seconds: float) -> Tally:
    """`rate` photos per second, regardless of their outcomes. The tally's time is how long they were sent."""
    tally = Tally(seconds=seconds)
    started = time.perf_counter()

    async def one() -> None:
        tally.replies.append(await ask())

    async with asyncio.TaskGroup() as group:
        for number in range(round(rate * seconds)):
            await asyncio.sleep(started + number / rate - time.perf_counter())
            group.create_task(one())
    return tally


def patient(ask: Ask, seconds: float) -> Ask:
    """The same from a client that gives up after `seconds`."""

    async def waiting() -> Reply:
        try:
            async with asyncio.timeout(seconds):
                return await ask()
        except TimeoutError:
            return Reply(GIVEN_UP, seconds)

    return waiting
