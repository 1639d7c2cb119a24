"""uvicorn's HTTP/1.1 protocol, with limits on what a client may do before and after its request."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from depthsvc.errors import ClientTimeout, HeadersTooLarge, MalformedRequest, RequestError, Unavailable
from depthsvc.server.problems import MEDIA_TYPE, problem_headers, problem_of
from depthsvc.server.request_log import log_request
from depthsvc.server.security_headers import SECURITY_HEADERS

MAX_HEAD_BYTES = 32_768
"""Limit on the request line and headers together."""
LAST_CALL_S = 0.5
"""How long an idle connection stays open when the service stops, in seconds: a request may be on its way."""


class _Refused(Exception):
    """Raised in a callback to stop the parser."""


class _GentlyClosing:
    """A transport for one response, with another way to close the connection."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self.close = close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections that hold resources without sending a request, and serves one request at a time.

    A client that sends its next request before it has its response gets that response, and then the connection is
    closed, as HTTP allows. So `cycle`, uvicorn's latest request, is always the one being served. A request finds its
    connection's `abort()` in its scope's state.
    """

    stall_s: float
    """Time limit, in seconds, for a request's headers, for the rest of a request that already has its response, and for
    a client that does not read its response."""
    max_connections: int
    on_refusal: Callable[[str], None]
    retry_after_s: Callable[[], int]

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._in_head = False
        self._head_bytes = 0
        """Bytes of the head after the chunk in which it began."""
        self._receiving = False
        """Whether a request has started and its body has not ended."""
        self._deaf = False
        """Whether to close the connection after the current response and to drop further input."""
        self._closing = False
        """Whether the last response has been sent and only the rest of its request is awaited."""
        self._refusal: RequestError | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    @classmethod
    def bounded(
        cls,
        *,
        stall_s: float,
        max_connections: int,
        on_refusal: Callable[[str], None],
        retry_after_s: Callable[[], int],
    ) -> type[BoundedProtocol]:
        """The protocol for one service. `on_refusal` is called with the code of every error sent from here, and
        `retry_after_s` gives the seconds for Retry-After."""
        bounds = {
            "stall_s": stall_s,
            "max_connections": max_connections,
            "on_refusal": staticmethod(on_refusal),
            "retry_after_s": staticmethod(retry_after_s),
        }
        return type(cls.__name__, (cls,), bounds)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(Unavailable("The service has reached its connection limit. Try again later."))
        else:
            self._end_after(self.stall_s, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_never()
        self._take_again()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf or self.transport.is_closing():
            return
        if self._answered and not self._receiving and self._deadline is None:
            self._end_after(self.stall_s, self._too_slow)
        began_before = self._in_head
        super().data_received(data)
        if began_before and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_head_too_large())

    @property
    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def on_message_begin(self) -> None:
        if self._closing or not self._answered:
            raise _Refused
        super().on_message_begin()
        self.scope["state"]["abort"] = self.transport.abort
        self._in_head = self._receiving = True
        self._head_bytes = 0
        self._end_after(self.stall_s, self._too_slow)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            self._refusal = _head_too_large()
            raise _Refused
        upgrades = self.parser.should_upgrade()
        if upgrades and _has_body(self.headers):  # the parser would take the body for the other protocol
            self._refusal = MalformedRequest("This service speaks HTTP/1.1 only. Send it without Upgrade headers.")
            raise _Refused
        self._end_never()
        super().on_headers_complete()
        self.cycle.transport = cast(asyncio.Transport, _GentlyClosing(self.transport, self._close_gently))
        if upgrades or self.expect_100_continue:  # the client may or may not send a body after an early response
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._receiving = False
        super().on_message_complete()
        if self._closing:
            self.transport.close()
        elif self._answered:
            self._end_after(self.timeout_keep_alive, self.transport.close)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._receiving or self._deaf:
            self._end_after(self.stall_s, self.transport.close)

    def _close_gently(self) -> None:
        """Close once the client has sent everything. Closing earlier resets the connection, and a client that is still
        sending may then never see its response."""
        if (self._receiving or self._deaf) and self.transport.can_write_eof():
            self._closing = True
            self.transport.write_eof()
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """Finish the current request; a client that is still sending one gets its response."""
        if not self._answered:
            super().shutdown()
        elif not self._receiving:
            self._end_after(LAST_CALL_S, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._take_again()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not parse. uvicorn's `msg` says less."""
        self._refuse(
            self._refusal or MalformedRequest("This is not an HTTP/1.1 request. Is it HTTPS sent to an HTTP port?")
        )

    def _too_slow(self) -> None:
        if self._receiving:
            self._refuse(
                ClientTimeout(f"The request headers did not arrive within {self.stall_s:g} s. Send the request again.")
            )
        else:
            self.transport.close()

    def _refuse(self, error: RequestError) -> None:
        """Send an error for input that never becomes a request, and close the connection; a pending response goes
        first."""
        if self._closing:
            return
        if not self._answered and (self.cycle.response_started or not self._receiving):
            self.cycle.keep_alive = False
            self._deaf = True
            return
        problem = problem_of(error, uuid.uuid4().hex)
        body = problem.model_dump_json().encode()
        headers = {
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(len(body)),
            "X-Request-ID": problem.request_id,
            "Connection": "close",
            **SECURITY_HEADERS,
            **problem_headers(error, self.retry_after_s()),
        }
        lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
        lines += [f"{name.lower()}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.transport.close()
        self.on_refusal(error.code)
        log_request(error.status, self.client, request_id=problem.request_id, code=error.code)

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


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers)
