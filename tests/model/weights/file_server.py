"""A server for files on the loopback, with the faults that a test asks for."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Route:
    """How one address answers, and what was asked of it."""

    content: bytes = b""
    status: int = 200
    location: str | None = None
    """Where a redirect leads."""
    supports_ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    """Bytes after which each connection in turn is cut; later ones are not."""
    held: bool = False
    """Whether nothing is answered before `release`."""
    ranges_asked: list[str | None] = field(default_factory=list)
    """The Range header of each request, in order."""
    bytes_sent: int = 0
    asked: threading.Event = field(default_factory=threading.Event)
    """Set once a request has come in."""
    _released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        self._released.set()

    def wait_for_release(self) -> None:
        if self.held:
            self._released.wait()


class FileServer:
    """Serves routes until it is closed."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        routes = self._routes

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _answer(self, routes[self.path])

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def add(self, path: str, route: Route) -> str:
        """Serve a route at this path; gives its address."""
        self._routes[path] = route
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def close(self) -> None:
        for route in self._routes.values():
            route.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def unreachable_address() -> str:
    """An address at which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/file"


def join_abandoned_downloads() -> None:
    """Wait for the threads of downloads that were given up; their server must have answered."""
    for thread in threading.enumerate():
        if thread.name == "download":
            thread.join()


def _answer(request: BaseHTTPRequestHandler, route: Route) -> None:
    asked = request.headers.get("Range")
    route.ranges_asked.append(asked)
    route.asked.set()
    route.wait_for_release()
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and route.supports_ranges else 0
    status = route.status
    if status == 200 and start:
        status = 206 if start < len(route.content) else 416
    body = b"" if status == 416 else route.content[start:]
    try:
        request.send_response(status)
        if route.location:
            request.send_header("Location", route.location)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        part = body[: route.cuts.pop(0)] if route.cuts else body
        request.wfile.write(part)
    except OSError:  # the client has gone
        return
    if status < 300:
        route.bytes_sent += len(part)
