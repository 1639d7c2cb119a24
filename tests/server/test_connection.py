from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from depthsvc.server import connection
from depthsvc.server.clients import TrustedProxies
from depthsvc.server.connection import BoundedProtocol
from depthsvc.server.roster import Roster


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Responds with the method, the path and the body of a request, and which Upgrade it offers."""
    request = Request(scope, receive)
    facts = [request.method, request.url.path, request.headers.get("Upgrade", "none"), (await request.body()).hex()]
    await Response(" ".join(facts))(scope, receive, send)


@asynccontextmanager
async def connected(
    app: ASGIApp = echo,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server of this process."""
    protocol = BoundedProtocol.bounded(
        stall_s=30, roster=Roster(9, TrustedProxies("")), on_refusal=lambda code: None, retry_after_s=lambda: 1
    )
    server = uvicorn.Server(uvicorn.Config(app, http=protocol, ws="none", lifespan="off", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        try:
            async with asyncio.timeout(30):
                yield reader, writer
        finally:
            writer.close()
            server.should_exit = True
            await serving


async def response_of(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Status and body of the next response."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"content-length: (\d+)", head)
    body = await reader.readexactly(int(length.group(1))) if length else b""
    return int(head.split()[1]), body.decode()


SMUGGLED = b"GET /other HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
"""A body that would be a request, if it were taken for one."""
BODIES = {
    "length": (b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED),
    "chunked": (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
}
OFFERS = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    b"connection:upgrade\r\nupgrade:h2c\r\n",
    b"CONNECTION:\t keep-alive , uPgRaDe \r\nUPGRADE: \tTLS/1.0, h2c\r\n",
    b"Upgrade: websocket\r\nConnection: keep-alive\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nX-Empty:\r\n",
    b"Connection: keep-alive\r\nUpgrade: h2c\r\n",
]
PIECES = [1, 7, 1 << 16]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("framing", BODIES)
def test_an_offer_of_another_protocol_is_ignored(framing: str, offer: bytes, piece: int) -> None:
    """The body is the request's, whatever it looks like and however it arrives, and the connection stays."""
    header, body = BODIES[framing]
    sent = b"POST /photo HTTP/1.1\r\nHost: x\r\n" + offer + header + b"\r\n" + body

    async def scenario() -> None:
        async with connected() as (reader, writer):
            for _ in range(2):
                for start in range(0, len(sent), piece):
                    writer.write(sent[start : start + piece])
                    await writer.drain()
                    await asyncio.sleep(0)
                status, text = await response_of(reader)
                assert (status, text.split()[:2], text.split()[3]) == (200, ["POST", "/photo"], SMUGGLED.hex())
            writer.write(b"GET /next HTTP/1.1\r\nHost: x\r\n" + offer + b"\r\n")
            status, text = await response_of(reader)
            assert (status, text.split()[:2]) == (200, ["GET", "/next"])

    asyncio.run(scenario())


@pytest.mark.parametrize("first_line", [b"POST / HTTP/1.0\r\n", b"POST / HTTP/1.1\r\nConnection: close\r\n"])
def test_an_offer_does_not_keep_a_connection_that_is_to_be_closed(first_line: bytes) -> None:
    async def scenario() -> None:
        async with connected() as (reader, writer):
            writer.write(first_line + b"Host: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc")
            assert await response_of(reader) == (200, "POST / none 616263")
            assert await reader.read() == b""

    asyncio.run(scenario())


def test_a_client_with_an_offer_that_waits_to_send_its_body_is_told_to() -> None:
    async def scenario() -> None:
        async with connected() as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + OFFERS[0])
            writer.write(b"Content-Length: 3\r\n\r\n")
            assert await response_of(reader) == (100, "")
            writer.write(b"abc")
            assert await response_of(reader) == (200, "POST / none 616263")

    asyncio.run(scenario())


def test_a_request_sent_too_early_after_an_offer_ends_the_connection() -> None:
    async def scenario() -> None:
        async with connected() as (reader, writer):
            writer.write((b"GET / HTTP/1.1\r\nHost: x\r\n" + OFFERS[0] + b"\r\n") * 3)
            assert await response_of(reader) == (200, "GET / none ")
            assert await reader.read() == b""

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Content-Length: 3\r\nX: a\r\n folded: b\r\n",
        b"Content-Length: +3\r\n",
    ],
)
def test_an_offer_does_not_make_a_request_valid(head: bytes) -> None:
    async def scenario() -> None:
        async with connected() as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n" + OFFERS[0] + head + b"\r\nabc")
            status, text = await response_of(reader)
            assert (status, "malformed_request" in text) == (400, True)
            assert await reader.read() == b""

    asyncio.run(scenario())


@pytest.mark.parametrize("target", [b"x:443", b"/upload"])
def test_a_tunnel_is_refused(target: bytes) -> None:
    async def scenario() -> None:
        async with connected() as (reader, writer):
            writer.write(b"CONNECT " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n" + SMUGGLED)
            status, text = await response_of(reader)
            assert (status, "not a proxy" in text) == (400, True)
            assert await reader.read() == b""

    asyncio.run(scenario())


@pytest.mark.parametrize("header", [b"", b"Connection: close\r\n"])
def test_who_does_not_read_the_last_bytes_is_cut_off(header: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system holds a few bytes of the response and the service the rest: too few to wait before it sends more."""
    monkeypatch.setattr(connection, "LAST_BYTES_S", 0.2)
    protocol = BoundedProtocol.bounded(
        stall_s=30, roster=Roster(9, TrustedProxies("")), on_refusal=lambda code: None, retry_after_s=lambda: 1
    )
    config = uvicorn.Config(
        Response(bytes(40_000)), http=protocol, ws="none", lifespan="off", timeout_keep_alive=0, log_config=None
    )

    async def scenario() -> None:
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            serving = asyncio.create_task(server.serve([listening]))
            await asyncio.to_thread(client.connect, listening.getsockname())
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n")
            async with asyncio.timeout(10):
                while not server.server_state.connections:
                    await asyncio.sleep(0.01)
                while server.server_state.connections:
                    await asyncio.sleep(0.01)
            server.should_exit = True
            await serving

    asyncio.run(scenario())
