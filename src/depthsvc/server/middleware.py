"""ASGI middleware around every request and live session: an id, a log line, headers, and a limit on the body."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Collection
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from depthsvc.errors import BodyTooLarge, ClientDisconnected, RequestError
from depthsvc.server.clients import client_of
from depthsvc.server.prefix import route_path
from depthsvc.server.problems import error_response, missing, unforeseen
from depthsvc.server.request_log import log_request
from depthsvc.server.security_headers import SECURITY_HEADERS
from depthsvc.server.service import Service

logger = logging.getLogger(__name__)

REQUEST_ID = "X-Request-ID"
_ACCEPTABLE_ID = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)

_LOGGED_PATH = 256
"""Maximum length of a path in the log."""

_BEGINNINGS = {
    "http.response.start": None,
    "websocket.http.response.start": None,
    "websocket.accept": HTTPStatus.SWITCHING_PROTOCOLS.value,
}
"""Messages that begin a response, and the status of those that have none of their own."""
_STATIC = "static"
"""The label of all static files."""
_ROUTINE = {_STATIC, "/health", "/health/live", "/health/ready"}
"""Labels of requests that are only worth a line in the log if they fail."""


class RequestMiddleware:
    """Gives every request an id, the client's own if that is harmless, and logs and counts it when it is over.

    Whatever routes and error handlers bind to structlog's context variables ends up in the request's log line.
    """

    def __init__(self, app: ASGIApp, service: Service, photo_paths: Collection[str]) -> None:
        self.app = app
        self.service = service
        self.photo_paths = photo_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        # We never serve partial content; drop Range, whose errors would bypass problem+json.
        scope["headers"] = [header for header in scope["headers"] if header[0] != b"range"]
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _ACCEPTABLE_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        clear_contextvars()
        bind_contextvars(request_id=request_id)
        with self.service.metrics.in_progress.track_inprogress():
            await self._run(scope, receive, send, request_id)

    async def _run(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        path = route_path(scope)
        status: int | None = None
        sent = 0

        async def counting_send(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "websocket.close" and status is None:  # no route has this path
                await missing(HTTPConnection(scope))(scope, receive, counting_send)
                return
            if message["type"] in _BEGINNINGS:
                status = message.get("status", _BEGINNINGS[message["type"]])
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                self._set_headers(headers)
            await send(message)
            sent += len(message.get("body") or message.get("bytes") or b"")

        started = time.perf_counter()
        try:
            await self.app(scope, receive, counting_send)
        except Exception:
            logger.exception("failed")
            if status is not None:
                raise
            await unforeseen(HTTPConnection(scope))(scope, receive, counting_send)
        finally:
            spent_s = time.perf_counter() - started
            self._account(scope, self._label(scope, path), status or ClientDisconnected.status, sent, spent_s)

    def _set_headers(self, headers: MutableHeaders) -> None:
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        if self.service.draining:
            headers["Connection"] = "close"

    def _account(self, scope: Scope, label: str, status: int, sent: int, seconds: float) -> None:
        method = scope.get("method", "GET")
        if status != HTTPStatus.SWITCHING_PROTOCOLS:  # a session's length says nothing of the service
            code = get_contextvars().get("code")
            self.service.metrics.observe_request(method, label, status, seconds, code)
        log_request(
            status,
            scope.get("client"),
            routine=label in _ROUTINE,
            method=method,
            path=scope.get("raw_path", b"").decode("latin-1")[:_LOGGED_PATH],
            duration_ms=round(1000 * seconds, 1),
            bytes_sent=sent,
        )

    def _label(self, scope: Scope, path: str) -> str:
        """Where a request went, as a metrics label: clients must not be able to invent new ones."""
        if "route" in scope or path in self.photo_paths:
            return path
        return _STATIC if "endpoint" in scope else "unmatched"


class AdmissionMiddleware:
    """Refuses a photo before reading any of it if there is no room for it.

    The route would refuse it too, but an overloaded service refuses more photos than it accepts, so that must be cheap.
    """

    def __init__(self, app: ASGIApp, service: Service, photo_paths: Collection[str]) -> None:
        self.app = app
        self.service = service
        self.photo_paths = photo_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and route_path(scope) in self.photo_paths:
            try:
                self.service.check_room(client_of(scope))
            except RequestError as error:
                await error_response(Request(scope), error)(scope, receive, send)
                return
        await self.app(scope, receive, send)


class BodyLimitMiddleware:
    """Refuses a body over the limit: by its Content-Length before reading any of it, or as soon as it exceeds it."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("Content-Length", "")
        if declared.isdecimal() and int(declared) > self.max_bytes:
            receive = self._refusing
        received = 0

        async def counting_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise self._too_large()
            return message

        await self.app(scope, counting_receive, send)

    async def _refusing(self) -> Message:
        raise self._too_large()

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(
            f"The body is larger than {self.max_bytes / 1e6:g} MB. Send a smaller or more compressed photo."
        )
