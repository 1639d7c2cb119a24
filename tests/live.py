"""A client of live sessions, for tests."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.conftest import RunningService, encoded
from tests.parity import photo

FRAMES = [encoded(np.roll(photo(120, 160), 3 * step, axis=1), "JPEG", quality=95) for step in range(12)]
"""A picture that moves sideways."""
WAIT_S = 60


@contextmanager
def session(service: RunningService, first: Any = None, **arguments: Any) -> Iterator[ClientConnection]:
    """A session whose first message has been sent and answered."""
    with opened(service, **arguments) as socket:
        socket.send(json.dumps({"format": "raw"} if first is None else first))
        assert "model" in json.loads(socket.recv(WAIT_S))
        yield socket


def opened(service: RunningService, **arguments: Any) -> ClientConnection:
    arguments |= {"compression": None, "max_size": None, "open_timeout": WAIT_S, "proxy": None}
    connection: ClientConnection = connect(service.url.replace("http", "ws") + "/live", **arguments)
    return connection


def send(socket: ClientConnection, number: int, picture: bytes) -> None:
    socket.send(struct.pack("<I", number) + picture)


def answer(socket: ClientConnection) -> tuple[dict[str, Any], bytes]:
    message = socket.recv(WAIT_S)
    if isinstance(message, str):
        return json.loads(message), b""
    (length,) = struct.unpack_from("<I", message)
    return json.loads(message[4 : 4 + length]), message[4 + length :]


def asked(socket: ClientConnection, number: int, picture: bytes) -> tuple[dict[str, Any], bytes]:
    send(socket, number, picture)
    return answer(socket)


def values_of(header: dict[str, Any], payload: bytes) -> np.ndarray:
    return np.frombuffer(payload, header["dtype"]).reshape(header["shape"])


def ending(socket: ClientConnection) -> tuple[int, str]:
    """The code and the reason with which the service ends a session."""
    with suppress(ConnectionClosed):
        while True:
            socket.recv(WAIT_S)
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or ""
