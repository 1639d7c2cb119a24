"""uvicorn's HTTP/1.1 protocol, with limits on what a client may do before and after its request."""

from __future__ import annotations

import asyncio
import fcntl
import termios
import uuid
from array import array
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from depthsvc.errors import (
    ClientTimeout,
    HeadersTooLarge,
    InvalidParameter,
    MalformedRequest,
    RequestError,
    Unavailable,
)
from depthsvc.server.problems import MEDIA_TYPE, problem_headers, problem_of
from depthsvc.server.request_log import log_request
from depthsvc.server.roster import Roster
from depthsvc.server.security_headers import SECURITY_HEADERS
from depthsvc.server.websocket import MAX_LINE_BYTES, BoundedWebSocket, opens_websocket

MAX_HEAD_BYTES = 32_768
"""Limit on the request line and headers together."""
MAX_HEADERS = 100
MAX_PARAMETERS = 100
"""Of a query. Each takes microseconds of the event loop, and thousands of them fit into MAX_HEAD_BYTES."""
FIRST_CALL_S = 2.0
"""How long a connection without any request stays open when the service stops, in seconds: one is on its way."""
LAST_CALL_S = 0.5
"""How long another idle connection stays open, in seconds: a request may be on its way."""
LAST_BYTES_S = 60.0
"""How long a client may take to read the end of a response that is too short for `pause_writing`, in seconds."""
_FLUSH_S = 0.1
"""How long a client may take to read the last bytes when its connection makes room for another one, in seconds."""
PROBES = {b"/health", b"/health/live", b"/health/ready", b"/metrics"}
"""Paths that a service without room for another connection still serves."""


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
    connection's `abort()` and `unsent()` in its scope's state.

    A handshake for a live session hands the connection over to `BoundedWebSocket`. All other offers to change to
    another protocol, such as h2c, are ignored, as RFC 9110 (7.8) allows.

    At its limit on connections the service closes idle ones for new ones; see `Roster`.
    """

    stall_s: float
    """Time limit, in seconds, for a request's headers, for the rest of a request that already has its response, and for
    a client that does not read its response."""
    roster: Roster
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
        self._lost = False
        self._refusal: RequestError | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    @classmethod
    def bounded(
        cls,
        *,
        stall_s: float,
        roster: Roster,
        on_refusal: Callable[[str], None],
        retry_after_s: Callable[[], int],
    ) -> type[BoundedProtocol]:
        """The protocol for one service. `on_refusal` is called with the code of every error sent from here, and
        `retry_after_s` gives the seconds for Retry-After."""
        bounds = {
            "stall_s": stall_s,
            "roster": roster,
            "on_refusal": staticmethod(on_refusal),
            "retry_after_s": staticmethod(retry_after_s),
        }
        return type(cls.__name__, (cls,), bounds)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.roster.admit(self):
            self._end_after(self.stall_s, self._too_slow)
        else:
            self._refuse(_no_room())

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self.roster.leave(self)
        self._end_never()
        self._take_again()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf or self.transport.is_closing():
            return
        if self._answered and not self._receiving and self._deadline is None:
            self._end_after(self.stall_s, self._too_slow)
        began_before = self._in_head
        self._unset_keepalive_if_required()
        self._parse(data)
        if began_before and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_head_too_large())

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            rest = data[offer.args[0] :]
            parser = self.parser
            if not rest and opens_websocket(parser.get_method(), self.url, parser.get_http_version(), self.headers):
                self._hand_over()
            else:
                self._parse_again(rest)
        except HttpParserError:
            self._refuse(self._refusal or _not_http())

    def _hand_over(self) -> None:
        """Have a WebSocket's protocol serve this connection, from the head of its request on."""
        self._in_head = self._receiving = False
        self._end_never()
        self._take_again()
        if not self.roster.begin(self):
            self._refuse(_no_room())
            return
        lines = [b"GET %s HTTP/1.1" % self.url, *(b"%s: %s" % field for field in self.headers)]
        if max(map(len, lines)) > MAX_LINE_BYTES:
            self._refuse(HeadersTooLarge(f"A line of the handshake is over {MAX_LINE_BYTES} bytes. Send shorter ones."))
            return
        self.connections.discard(self)
        protocol = cast(type[BoundedWebSocket], self.config.ws_protocol_class)(
            self.config, self.server_state, self.app_state
        )
        protocol.on_lost = lambda: self.roster.leave(self)
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        protocol.data_received(b"\r\n".join([*lines, b"", b""]))

    def _parse_again(self, rest: bytes) -> None:
        """Parse a head with an offer again, without its Upgrade header: llhttp takes what follows such a head for the
        other protocol. `rest` is what has been received of that.

        The new head is made of what the parser has read, not of the client's bytes, so it cannot be read differently.
        """
        parser = self.parser
        request_line = b"%s %s HTTP/%s" % (parser.get_method(), self.url, parser.get_http_version().encode())
        fields = [b"%s: %s" % field for field in self.headers if field[0] != b"upgrade"]
        self.parser = _parser(self)  # the old one reads no further if the connection is to be closed
        self._parse(b"\r\n".join([request_line, *fields, b"", rest]))

    @property
    def host(self) -> str:
        """The address of the peer, or "" if it is unknown."""
        return self.client[0] if self.client else ""

    def make_room(self) -> None:
        """Close this idle connection at once; a request that is on its way gets an error."""
        if self._in_head:
            self._refuse(_no_room())
        self.transport.close()
        self._end_after(_FLUSH_S, self.transport.abort)

    def _unsent(self) -> int:
        """Bytes of responses that have not reached the client yet: they wait here or in the system's send buffer."""
        if self._lost:
            return 0
        queued = array("i", [0])
        fcntl.ioctl(self.transport.get_extra_info("socket"), termios.TIOCOUTQ, queued)
        return self.transport.get_write_buffer_size() + queued[0]

    @property
    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def on_message_begin(self) -> None:
        if self._closing or not self._answered:
            raise _Refused
        super().on_message_begin()
        self.scope["state"].update(abort=self.transport.abort, unsent=self._unsent)
        self._in_head = self._receiving = True
        self._head_bytes = 0
        self._end_after(self.stall_s, self._too_slow)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            self._refusal = _head_too_large()
            raise _Refused
        if len(self.headers) > MAX_HEADERS:
            self._refusal = HeadersTooLarge(f"The request has more than {MAX_HEADERS} headers. Send fewer.")
            raise _Refused
        if self.url.count(b"&") >= MAX_PARAMETERS:
            self._refusal = InvalidParameter(f"The query has more than {MAX_PARAMETERS} parameters. Send fewer.")
            raise _Refused
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":  # after which the parser always expects a tunnel
                self._refusal = MalformedRequest("This service is not a proxy. Send the request to the server itself.")
                raise _Refused
            self._in_head = True  # `_hand_over` or `_parse_again` follows
            return
        guest = not self.roster.begin(self)
        if guest and not self._asks_for_health():
            self._refusal = _no_room()
            raise _Refused
        self._end_never()
        super().on_headers_complete()
        self.cycle.transport = cast(asyncio.Transport, _GentlyClosing(self.transport, self._close_gently))
        if self.expect_100_continue:  # the client may or may not send a body after an early response
            self.cycle.keep_alive = False
        if guest:
            self.cycle.keep_alive = False

    def _asks_for_health(self) -> bool:
        is_get = self.parser.get_method() in (b"GET", b"HEAD")
        return is_get and self.url.partition(b"?")[0] in PROBES and not _has_body(self.headers)

    def on_message_complete(self) -> None:
        if self._in_head:  # `_hand_over` or `_parse_again` follows
            return
        self._receiving = False
        super().on_message_complete()
        if self._closing:
            self._close()
        elif self._answered:
            self._end_after(self.timeout_keep_alive, self._close)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.roster.end(self)
        if self._receiving or self._deaf:
            self._end_after(self.stall_s, self._close)

    def _close_gently(self) -> None:
        """Close once the client has sent everything. Closing earlier resets the connection, and a client that is still
        sending may then never see its response."""
        if (self._receiving or self._deaf) and self.transport.can_write_eof():
            self._closing = True
            self.transport.write_eof()
        else:
            self._close()

    def _close(self) -> None:
        """Close the connection once the client has read everything, or has not done so for too long."""
        self.transport.close()
        if self._stalled is None and self.transport.get_write_buffer_size():
            self._end_after(LAST_BYTES_S, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """uvicorn's timer, which runs beside the one from here."""
        self._close()

    def shutdown(self) -> None:
        """Finish the current request; a client that is still sending one gets its response."""
        if not self._answered:
            super().shutdown()
        elif not self._receiving:
            self._end_after(LAST_CALL_S if self.cycle else FIRST_CALL_S, self._close)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._take_again()
        if self.transport.is_closing():
            self._close()

    def _too_slow(self) -> None:
        if self._receiving:
            self._refuse(
                ClientTimeout(f"The request headers did not arrive within {self.stall_s:g} s. Send the request again.")
            )
        else:
            self._close()

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
        self._close()
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


def _parser(protocol: HttpToolsProtocol) -> HttpRequestParser:
    """A parser with uvicorn's leniency: a response goes out even if more data follows the last request."""
    parser = HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def _not_http() -> MalformedRequest:
    return MalformedRequest("This is not an HTTP/1.1 request. Is it HTTPS sent to an HTTP port?")


def _no_room() -> Unavailable:
    return Unavailable("The service has reached its connection limit. Try again later.")


def _head_too_large() -> HeadersTooLarge:
    return HeadersTooLarge(f"The request line and the headers are over {MAX_HEAD_BYTES} bytes. Send fewer headers.")


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers)
