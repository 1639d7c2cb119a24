"""Clients of live sessions that mean harm: they may end their own session, and no other."""

from __future__ import annotations

import base64
import os
import random
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from tests.conftest import RunningService, until
from tests.live import FRAMES, answer, asked, opened, send, session
from tests.security.files import BOMBS, WHOLE

KEY = base64.b64encode(bytes(16)).decode()
HANDSHAKE = (
    "GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
).encode()
MASK = b"\1\2\3\4"


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, bits: int = 0, masked: bool = True) -> bytes:
    """A frame of RFC 6455, as it should be or not."""
    length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack(">H", len(payload))
    head = bytes([final << 7 | bits << 4 | opcode, length[0] | masked << 7]) + length[1:]
    return head + (MASK + bytes(byte ^ MASK[i % 4] for i, byte in enumerate(payload)) if masked else payload)


OPTIONS = frame(1, b"{}")
HUGE = b"\x82\xff" + struct.pack(">Q", 2**62) + MASK
WIRE: dict[str, list[bytes]] = {
    "no key": [HANDSHAKE.replace(b"Sec-WebSocket-Key", b"X")],
    "a short key": [HANDSHAKE.replace(KEY.encode(), b"AAAA")],
    "another version": [HANDSHAKE.replace(b"Version: 13", b"Version: 8")],
    "two upgrades": [HANDSHAKE.replace(b"Upgrade: websocket", b"Upgrade: websocket\r\nUpgrade: h2c")],
    "a body": [HANDSHAKE.replace(b"Host: x", b"Host: x\r\nContent-Length: 5") + b"hello"],
    "a post": [HANDSHAKE.replace(b"GET", b"POST")],
    "HTTP/1.0": [HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0")],
    "another path": [HANDSHAKE.replace(b"/live", b"/no/live")],
    "everything at once": [HANDSHAKE + OPTIONS + frame(2, b"\0\0\0\0")],
    "rubbish after the handshake": [HANDSHAKE + bytes(range(256))],
    "not masked": [HANDSHAKE, frame(1, b"{}", masked=False)],
    "reserved bits": [HANDSHAKE, frame(1, b"{}", bits=7)],
    "an unknown opcode": [HANDSHAKE, frame(3, b"{}")],
    "a ping in pieces": [HANDSHAKE, OPTIONS, frame(9, b"x", final=False)],
    "a long ping": [HANDSHAKE, OPTIONS, frame(9, bytes(200))],
    "a continuation of nothing": [HANDSHAKE, OPTIONS, frame(0, b"x")],
    "a message in a message": [HANDSHAKE, OPTIONS, frame(2, b"x", final=False), frame(2, b"x")],
    "no UTF-8": [HANDSHAKE, frame(1, b"\xff\xfe{}")],
    "two exabytes": [HANDSHAKE, OPTIONS, HUGE],
    "more than the limit in pieces": [HANDSHAKE, OPTIONS, frame(2, bytes(60_000), final=False)]
    + 40 * [frame(0, bytes(60_000), final=False)],
    "a close of one byte": [HANDSHAKE, OPTIONS, frame(8, b"x")],
    "a close with a wrong code": [HANDSHAKE, OPTIONS, frame(8, struct.pack(">H", 1005))],
    "a flood of pings": [HANDSHAKE, OPTIONS, frame(9) * 20_000],
    "a flood of pongs": [HANDSHAKE, OPTIONS, frame(10) * 20_000],
    "empty frames": [HANDSHAKE, OPTIONS, frame(2) * 100],
    "half a frame": [HANDSHAKE, OPTIONS, frame(2, bytes(5000))[:3000]],
    "half a handshake": [HANDSHAKE[:100]],
}
"""What is sent piece by piece."""
FIRST = ["", "null", "[]", "{" * 5000, '{"every": 1e400}', '{"format": "\\u0000"}', '{"smooth": NaN}', "9" * 5000]
FRAMES_OF_ALL_KINDS = [
    *WHOLE.values(),
    *filter(lambda bomb: len(bomb) < 2_000_000, (make() for make, _ in BOMBS.values())),
    *(FRAMES[0][:cut] for cut in range(0, len(FRAMES[0]), max(1, len(FRAMES[0]) // 80))),
]


@contextmanager
def hostile(service: RunningService, pieces: list[bytes]) -> Iterator[socket.socket]:
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        with suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.01)
        yield connection


@contextmanager
def somebody_else(service: RunningService) -> Iterator[list[float]]:
    """A client that uses its session meanwhile: the seconds that each of its answers took."""
    waits: list[float] = []
    over = threading.Event()
    failures: list[BaseException] = []

    def use() -> None:
        try:
            with session(service) as theirs:
                while not over.is_set():
                    began = time.monotonic()
                    header, _ = asked(theirs, len(waits), FRAMES[len(waits) % len(FRAMES)])
                    assert header["id"] == len(waits), header
                    waits.append(time.monotonic() - began)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()
    assert failures == []


def test_hostile_messages_end_no_session_but_their_own(target: RunningService) -> None:
    before = target.memory()
    with somebody_else(target) as waits:
        for name, pieces in WIRE.items():
            with hostile(target, pieces) as connection, suppress(OSError):
                connection.settimeout(0.1)
                assert connection.recv(100)[:9] in (b"", b"HTTP/1.1 "), name
        for text in FIRST:
            with opened(target) as theirs, suppress(ConnectionClosed):
                theirs.send(text)
                assert answer(theirs)[0]["error"]["code"] == "invalid_parameter"
        codes = set()
        with session(target, {"format": "none"}) as theirs:
            for number, picture in enumerate(FRAMES_OF_ALL_KINDS):
                header, _ = asked(theirs, number, picture)
                assert header["id"] == number
                codes.add(header["error"]["code"] if "error" in header else "answered")
        assert {"answered", "not_an_image", "broken_image", "too_many_pixels", "unsupported_media_type"} <= codes
        assert "internal_error" not in codes
        answers = len(waits)
        until(lambda: len(waits) > answers + 3)
    assert target.memory() < before + 150e6
    with target.client() as client:
        until(lambda: "depthsvc_live_sessions 0.0" in client.get("/metrics").text)
        assert client.get("/health").json()["workers"]["restarts"] == 0


def test_whoever_does_not_read_holds_little_memory(target: RunningService) -> None:
    server = psutil.Process(target.process.pid)
    before = server.memory_info().rss
    with hostile(target, [HANDSHAKE, frame(1, b'{"format": "raw"}')]) as connection:
        connection.settimeout(3)
        with suppress(OSError):
            for number in range(600):
                connection.sendall(frame(2, struct.pack("<I", number) + FRAMES[number % len(FRAMES)]))
                time.sleep(0.005)
        assert server.memory_info().rss < before + 40e6


@pytest.mark.long
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGSEGV])
def test_workers_that_die_every_second_end_no_session(target: RunningService, kill: signal.Signals) -> None:
    ends = time.monotonic() + 30
    with session(target) as mine:
        killer: Callable[[], None] = lambda: os.kill(random.choice(target.workers()), kill)  # noqa: E731
        answered = number = 0
        while time.monotonic() < ends:
            killer()
            soon = time.monotonic() + 1
            while time.monotonic() < soon:
                send(mine, number, FRAMES[number % len(FRAMES)])
                header, _ = answer(mine)
                assert header["id"] == number
                answered += "error" not in header
                number += 1
        print(answered, "of", number, "answered")
        assert answered > 0.8 * number
