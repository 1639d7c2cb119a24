"""uvicorn's WebSocket protocol, with limits on what a client may do: what `connection.py` is for HTTP."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

LAST_BYTES_S = 10.0
"""How long a client may take to read the end of a session, in seconds."""
_MOST_PINGS = 1000
"""Of one session within `_PINGS_S`; beyond that it is a flood."""
_PINGS_S = 10.0
_KEY_BYTES = 16

logger = logging.getLogger(__name__)
logger.setLevel(logging.CRITICAL)  # what it has to say is in the line of the request


def opens_websocket(method: bytes, url: bytes, version: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request is a complete handshake (RFC 6455, 4.2.1) for a live session, under any prefix.

    Any other is served as if it offered nothing, and gets an answer that says what is wrong.
    """
    if method != b"GET" or version != "1.1" or not url.partition(b"?")[0].endswith(b"/live"):
        return False
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name, []).append(value.strip())
    once = {name: values[0] for name, values in fields.items() if len(values) == 1}
    return (
        once.get(b"upgrade", b"").lower() == b"websocket"
        and once.get(b"sec-websocket-version") == b"13"
        and _is_key(once.get(b"sec-websocket-key", b""))
        and b"transfer-encoding" not in fields
        and once.get(b"content-length", b"0") == b"0"
    )


def _is_key(value: bytes) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """Ends sessions of clients that do not read, or that flood it with pings."""

    stall_s: float
    """Time limit, in seconds, for a client that does not read."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.logger = logger
        self.on_lost: Callable[[], None] = lambda: None
        """Called when the connection is gone."""
        self._stalled: asyncio.TimerHandle | None = None
        self._pings = 0
        self._pings_since = 0.0

    @classmethod
    def bounded(cls, *, stall_s: float) -> type[BoundedWebSocket]:
        """The protocol for one service."""
        return type(cls.__name__, (cls,), {"stall_s": stall_s})

    def data_received(self, data: bytes) -> None:
        if self.handshake_initiated and not self.handshake_complete:  # it has to wait until the session is open
            self.transport.abort()
        else:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._take_again()
        self.on_lost()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Nothing more is read from a client that does not read: what it sends may need an answer."""
        super().pause_writing()
        self.transport.pause_reading()
        self._stalled = self.loop.call_later(self.stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._take_again()
        if not self.read_paused:
            self.transport.resume_reading()

    def handle_ping(self) -> None:
        now = self.loop.time()
        if now - self._pings_since > _PINGS_S:
            self._pings, self._pings_since = 0, now
        self._pings += 1
        if self._pings > _MOST_PINGS:
            self.transport.abort()
        else:
            super().handle_ping()

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if self.initial_response:  # a refusal, which completes the handshake as well
            self.handshake_complete = True
        if message["type"] in ("websocket.close", "websocket.http.response.body"):
            self.loop.call_later(LAST_BYTES_S, self.transport.abort)

    def _take_again(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
