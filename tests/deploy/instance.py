"""Stands in for a service behind nginx: notes what it is sent, and does with it as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    """One request, with the whole of its body."""

    method: str
    path: str
    headers: Message
    body: bytes
    connection: tuple[str, int]


class Request(BaseHTTPRequestHandler):
    """One that is to be answered, or not."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


Behaviour = Callable[[Request], None]


def answer(request: Request) -> None:
    request.answer(200, {"X-Request-ID": request.headers["X-Request-ID"]}, b"answer")


def refuse(request: Request) -> None:
    request.answer(503, {"Retry-After": "7"}, b"busy")


def hang_up(request: Request) -> None:
    request.close_connection = True


class _Server(ThreadingHTTPServer):
    request_queue_size = 128


class Instance:
    """Serves on a port of the loopback, by default a free one, until it is closed."""

    def __init__(self, behaviour: Behaviour = answer, port: int = 0) -> None:
        received: list[Received] = []
        self.received = received
        begun: list[str] = []
        self.begun = begun
        """Methods of the requests whose headers have come, if not yet their bodies."""
        self.closing = threading.Event()

        class Handler(Request):
            def handle_one(self) -> None:
                begun.append(self.command)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                received.append(Received(self.command, self.path, self.headers, body, self.client_address))
                behaviour(self)

            do_GET = do_POST = handle_one  # noqa: N815  # http.server's names

        self._server = _Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
