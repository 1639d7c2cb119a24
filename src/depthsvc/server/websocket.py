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
"""How long a client may take to read the end of a session, and to send what it had begun to, in seconds."""
_MOST_PINGS = 1000
"""Of one session within `_PINGS_S`; beyond that it is a flood."""
_PINGS_S = 10.0
_MOST_FRAMES = 4000
"""Of RFC 6455, in a second: messages, their fragments, pings and pongs. Each takes about 20 us of the event loop, and
of empty ones a megabyte has 170,000."""
_FRAMES_AT_ONCE = 6000
_PIECE = 4096
"""Bytes that are parsed between two looks at how many frames they were."""
MAX_LINE_BYTES = 8190
"""Longest line of a handshake's head that the parser of websockets takes, without its end."""
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
    """Ends sessions of clients that do not read, or that flood it with frames, and sees to it that others learn why."""

    stall_s: float
    """Time limit, in seconds, for a client that does not read."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.logger = logger
        self.on_lost: Callable[[], None] = lambda: None
        """Called when the connection is gone."""
        self._stalled: asyncio.TimerHandle | None = None
        self._deaf = False
        self._pings = 0
        self._pings_since = 0.0
        self._frames_left = float(_FRAMES_AT_ONCE)
        self._last_frames = 0.0

    @classmethod
    def bounded(cls, *, stall_s: float) -> type[BoundedWebSocket]:
        """The protocol for one service."""
        return type(cls.__name__, (cls,), {"stall_s": stall_s})

    def data_received(self, data: bytes) -> None:
        if self.handshake_initiated and not self.handshake_complete:  # it has to wait until the session is open
            self.transport.abort()
            return
        if self._deaf:
            return
        now = self.loop.time()
        self._frames_left = min(_FRAMES_AT_ONCE, self._frames_left + (now - self._last_frames) * _MOST_FRAMES)
        self._last_frames = now
        for start in range(0, len(data), _PIECE):
            super().data_received(data[start : start + _PIECE])
            if self._deaf or self.transport.is_closing():
                return

    def handle_events(self) -> None:
        self._frames_left -= len(self.conn.events)
        if self._frames_left < 0:
            self.transport.abort()
        else:
            super().handle_events()

    def handle_parser_exception(self) -> None:
        """Say why the session ends and close once the client has sent everything. Closing earlier resets the
        connection, and a client that is still sending may then never see it."""
        closing = self.conn.close_sent
        if closing is None or not self.transport.can_write_eof():
            super().handle_parser_exception()
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": closing.code, "reason": closing.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.write_eof()
        self.close_sent = self.disconnected = self._deaf = True
        self.close_timer = self.loop.call_later(LAST_BYTES_S, self.transport.abort)

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
