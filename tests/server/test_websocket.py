"""WebSockets of clients that send too many frames, on a server of this process."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from depthsvc.server import websocket
from depthsvc.server.clients import TrustedProxies
from depthsvc.server.connection import BoundedProtocol
from depthsvc.server.roster import Roster
from depthsvc.server.websocket import BoundedWebSocket

HANDSHAKE = (
    b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(bytes(16)) + b"\r\n"
)
BEGINS, CONTINUES, ENDS, MESSAGE, PING, PONG = 0x02, 0x00, 0x80, 0x82, 0x89, 0x8A


def frame(kind: int, payload: bytes = b"") -> bytes:
    """A short frame whose mask is zero."""
    return bytes([kind, 0x80 | len(payload), 0, 0, 0, 0]) + payload


async def lengths(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers each message with its length."""
    session = WebSocket(scope, receive, send)
    await session.accept()
    with suppress(WebSocketDisconnect):
        while True:
            await session.send_text(str(len(await session.receive_bytes())))


@asynccontextmanager
async def connected(head: bytes = HANDSHAKE) -> AsyncIterator[tuple[str, asyncio.StreamReader, asyncio.StreamWriter]]:
    """The status line of the response to a handshake, and its connection."""
    protocol = BoundedProtocol.bounded(
        stall_s=30, roster=Roster(9, TrustedProxies("")), on_refusal=lambda code: None, retry_after_s=lambda: 1
    )
    websocket = BoundedWebSocket.bounded(stall_s=30)
    server = uvicorn.Server(uvicorn.Config(lengths, http=protocol, ws=websocket, lifespan="off", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        try:
            async with asyncio.timeout(20):
                writer.write(head + b"\r\n")
                answer = await reader.readuntil(b"\r\n\r\n")
                yield answer.decode().partition("\r\n")[0], reader, writer
        finally:
            writer.close()
            server.should_exit = True
            await serving


@pytest.mark.parametrize("kind", [CONTINUES, PONG, PING, MESSAGE])
def test_a_flood_of_empty_frames_is_cut_off(kind: int) -> None:
    async def flooded() -> None:
        async with connected() as (_, reader, writer):
            writer.write(frame(BEGINS) if kind == CONTINUES else b"")
            writer.write(frame(kind) * 10_000)
            with suppress(ConnectionResetError):
                while await reader.read(65536):
                    pass

    asyncio.run(flooded())


def test_who_still_sends_a_message_that_is_too_large_learns_that() -> None:
    async def told() -> bytes:
        async with connected() as (_, reader, writer):
            size = 64 << 20
            writer.write(bytes([MESSAGE, 0xFF]) + size.to_bytes(8, "big") + bytes(4))
            for _ in range(64):
                writer.write(bytes(size // 64))
                await writer.drain()
            return await reader.read()

    ending = asyncio.run(told())
    assert ending[0] == 0x88
    assert ending[2:4] == (1009).to_bytes(2, "big")


def test_what_is_sent_after_the_end_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "LAST_BYTES_S", 0.2)

    async def sent() -> None:
        async with connected() as (_, _, writer):
            writer.write(bytes([MESSAGE, 0xFF]) + (1 << 40).to_bytes(8, "big") + bytes(4))
            while True:
                writer.write(bytes(1 << 16))
                await writer.drain()

    with pytest.raises(ConnectionError):
        asyncio.run(sent())


def test_a_message_in_many_fragments_is_one_message() -> None:
    async def told() -> bytes:
        async with connected() as (_, reader, writer):
            writer.write(frame(BEGINS, b"a") + frame(CONTINUES, b"a" * 100) * 2000 + frame(ENDS, b"a"))
            return await reader.readexactly(8)

    assert asyncio.run(told()) == b"\x81\x06200002"


@pytest.mark.parametrize(("length", "status"), [(8182, "101"), (8183, "431"), (20_000, "431")])
def test_a_handshake_with_a_long_line_is_refused(length: int, status: str) -> None:
    async def told() -> str:
        async with connected(HANDSHAKE + b"Cookie: " + b"a" * length + b"\r\n") as (line, _, _):
            return line

    assert asyncio.run(told()).split()[1] == status
