"""Proxies and a TLS server on the loopback, each of which answers requests itself and remembers what it was asked."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nfound"

Serve = Callable[[BinaryIO, BinaryIO], None]
"""Handles one connection, given what can be read from it and what can be written to it."""


@contextmanager
def listening(serve: Serve, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve connections, with TLS if there is a context; gives the port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            serve(self.rfile, self.wfile)  # type: ignore[arg-type]  # they are, in fact

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, object]:
            connection, client = super().get_request()
            if context:
                connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            return connection, client

        def handle_error(self, *_: object) -> None:
            """A client that refuses our certificate is no error here."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def says(content: bytes) -> Serve:
    """Writes this and reads nothing."""

    def serve(_: BinaryIO, writing: BinaryIO) -> None:
        writing.write(content)

    return serve


def http_proxy(asked: list[bytes]) -> Serve:
    """An HTTP proxy that answers what it is asked to forward; it keeps the request line and Proxy-Authorization."""

    def serve(reading: BinaryIO, writing: BinaryIO) -> None:
        lines = _head(reading)
        asked.append(lines[0])
        asked.extend(line for line in lines if line.lower().startswith(b"proxy-authorization"))
        writing.write(ANSWER)

    return serve


def socks_proxy(asked: list[bytes]) -> Serve:
    """A SOCKS 5 proxy (RFC 1928, 1929) that answers in place of the server; it keeps login and host name."""

    def serve(reading: BinaryIO, writing: BinaryIO) -> None:
        _, count = reading.read(2)
        method = max(reading.read(count))
        writing.write(bytes([5, method]))
        if method == 2:
            reading.read(1)
            asked.append(_counted(reading) + b":" + _counted(reading))
            writing.write(b"\x01\x00")
        assert reading.read(4) == b"\x05\x01\x00\x03", "the proxy is to resolve the name"
        asked.append(_counted(reading))
        reading.read(2)
        writing.write(b"\x05\x00\x00\x01" + bytes(6))
        _head(reading)
        writing.write(ANSWER)

    return serve


def web_server(reading: BinaryIO, writing: BinaryIO) -> None:
    """Answers one request."""
    _head(reading)
    writing.write(ANSWER)


def _counted(reading: BinaryIO) -> bytes:
    return reading.read(reading.read(1)[0])


def _head(reading: BinaryIO) -> list[bytes]:
    return list(iter(lambda: reading.readline().strip(), b""))
