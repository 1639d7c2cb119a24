"""HTTP/1.1 on one connection: uvicorn's, with bounds on what a client may do before and after its request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from depthsvc.errors import ClientTimeout, HeadersTooLarge, MalformedRequest, RequestError, Unavailable

MAX_HEAD_BYTES = 32_768
"""Longest request line and headers together."""
LAST_CALL_S = 0.5
"""Longest time for which an idle connection stays open when the service ends: a request may be on its way."""


class _HeadTooLarge(Exception):
    """Leaves the parser as its callback's error."""


class _GentlyClosing:
    """A transport for one answer, whose end closes the connection in another way."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self.close = close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """Ends connections that hold resources without a request to show for it.

    A request finds its connection's `abort()` in its scope's state.
    """

    stall_s: float
    """Longest time for a request's headers, for the rest of a request that has been answered already, and in which a
    client may take nothing of its answer."""
    max_connections: int
    on_refusal: Callable[[str], None]

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._in_head = False
        self._receiving = False
        """Whether a request has begun and its body has not ended."""
        self._closing = False
        """Whether the answer was the last one and only the rest of its request is waited for."""
        self._parsed_head_bytes = 0
        self._head_bytes = 0
        """Those of the pieces after the one in which the request began."""
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    @classmethod
    def bounded(
        cls, *, stall_s: float, max_connections: int, on_refusal: Callable[[str], None]
    ) -> type[BoundedProtocol]:
        """The protocol for one service. `on_refusal` is told the code of every error that is answered here."""
        bounds = {"stall_s": stall_s, "max_connections": max_connections, "on_refusal": staticmethod(on_refusal)}
        return type(cls.__name__, (cls,), bounds)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(Unavailable("The service has as many connections as it takes. Try again later."))
        else:
            self._end_after(self.stall_s, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_never()
        self._take_again()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._idle and self._deadline is None:
            self._end_after(self.stall_s, self._too_slow)
        began_before = self._in_head
        super().data_received(data)
        if began_before and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_head_too_large())

    @property
    def _idle(self) -> bool:
        return not self._receiving and self._answered

    @property
    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["abort"] = self.transport.abort
        self._in_head = self._receiving = True
        self._parsed_head_bytes = self._head_bytes = 0
        self._end_after(self.stall_s, self._too_slow)

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._closing:  # a further request after the last answer
            return
        self._end_never()
        super().on_headers_complete()
        self.cycle.transport = cast(asyncio.Transport, _GentlyClosing(self.transport, self._close_gently))

    def on_message_complete(self) -> None:
        self._receiving = False
        super().on_message_complete()
        if self._closing:
            self.transport.close()
        elif self._answered:
            self._end_after(self.timeout_keep_alive, self.transport.close)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._receiving and self._answered:
            self._end_after(self.stall_s, self.transport.close)

    def _close_gently(self) -> None:
        """Close once the request is here to its end. Closing earlier resets the connection, and a client that is
        still sending may then never see its answer."""
        if self._receiving and self.transport.can_write_eof():
            self._closing = True
            self.transport.write_eof()
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """Finish what is under way; a client that is just sending a request still gets an answer."""
        if self._idle:
            self._end_after(LAST_CALL_S, self.transport.close)
        elif not self._answered:
            super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._take_again()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser has given up on. `msg` is uvicorn's, and says less."""
        if self._parsed_head_bytes > MAX_HEAD_BYTES:
            self._refuse(_head_too_large())
        else:
            self._refuse(MalformedRequest("This is not an HTTP/1.1 request. Is it HTTPS sent to an HTTP port?"))

    def _count_head(self, count: int) -> None:
        self._parsed_head_bytes += count
        if self._parsed_head_bytes > MAX_HEAD_BYTES:
            raise _HeadTooLarge

    def _too_slow(self) -> None:
        if self._receiving:
            self._refuse(ClientTimeout(f"The request's headers did not arrive within {self.stall_s:g} s."))
        else:
            self.transport.close()

    def _refuse(self, error: RequestError) -> None:
        """Answer what never becomes a request, and close the connection."""
        problem = {
            "type": "about:blank",
            "title": error.title,
            "status": error.status,
            "code": error.code,
            "detail": str(error),
            "request_id": "",
        }
        body = json.dumps(problem).encode()
        lines = [
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
            "content-type: application/problem+json",
            f"content-length: {len(body)}",
            *(["retry-after: 1"] if isinstance(error, Unavailable) else []),
            "connection: close",
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.transport.close()
        self.on_refusal(error.code)

    def _end_after(self, seconds: float, end: Callable[[], None]) -> None:
        self._end_never()
        self._deadline = self.loop.call_later(seconds, end)

    def _end_never(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _take_again(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


def _head_too_large() -> HeadersTooLarge:
    return HeadersTooLarge(f"The request line and the headers are over {MAX_HEAD_BYTES} bytes. Send fewer headers.")
