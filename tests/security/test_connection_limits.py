"""More connections than the service accepts: idle, busy, and all of one client."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import psutil
import pytest

from depthsvc.server.roster import MAX_GUESTS
from tests.conftest import RunningService, services, until
from tests.security.test_connections import answers_of, everything, post, problem

LIMIT = 20
SHARE = 5
PROXY, CLIENT, OTHER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
"""Addresses of this machine; the service trusts the first."""
FULL = (503, "unavailable")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that accepts few connections."""
    with services(tmp_path_factory) as start:
        options = ("--model", "embedded", "--workers", "1", "--worker-threads", "1")
        yield start(*options, "--max-connections", str(LIMIT))


@pytest.fixture
def crowd(small: RunningService) -> Iterator[Crowd]:
    with contextlib.ExitStack() as stack:
        yield Crowd(small, stack)
    until(lambda: connections_of(small) == 0)


class Crowd:
    """Connections to a service."""

    def __init__(self, service: RunningService, stack: contextlib.ExitStack) -> None:
        self.address = service.url.removeprefix("http://").split(":")
        self.stack = stack

    def connect(self, sent: bytes = b"", host: str = PROXY) -> socket.socket:
        connected = self.stack.enter_context(
            socket.create_connection((self.address[0], int(self.address[1])), 30, (host, 0))
        )
        connected.sendall(sent)
        return connected

    def idle(self, count: int, host: str = PROXY) -> list[socket.socket]:
        return [self.connect(host=host) for _ in range(count)]

    def busy(self, count: int, host: str = PROXY) -> list[socket.socket]:
        """Connections in the middle of their request, which the service has begun to read."""
        connections = [
            self.connect(post("Content-Type: image/png\r\nExpect: 100-continue\r\nContent-Length: 99"), host)
            for _ in range(count)
        ]
        for connected in connections:
            assert connected.recv(99) == b"HTTP/1.1 100 Continue\r\n\r\n"
        return connections

    def ask(self, path: str, method: str = "GET", headers: str = "", host: str = PROXY) -> bytes:
        """The response to a request on a new connection."""
        return everything(self.connect(request(path, method, f"Connection: close\r\n{headers}"), host))


def request(path: str, method: str = "GET", headers: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode()


def connections_of(service: RunningService) -> int:
    """How many connections a service has open."""
    connections = psutil.Process(service.process.pid).net_connections("tcp")
    return sum(each.status != psutil.CONN_LISTEN for each in connections)


def is_open(connected: socket.socket) -> bool:
    connected.setblocking(False)
    try:
        return connected.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    finally:
        connected.settimeout(30)


def is_ok(answer: bytes) -> bool:
    return answer.startswith(b"HTTP/1.1 200 ")


def one_answer(connected: socket.socket) -> bytes:
    """The whole answer to GET /health/live on a connection that stays open."""
    received = b""
    while not received.endswith(b'{"status":"ok"}'):
        piece = connected.recv(9999)
        if not piece:
            break
        received += piece
    return received


def test_idle_connections_crowd_no_one_out(small: RunningService, crowd: Crowd) -> None:
    idle = crowd.idle(10 * LIMIT)
    assert is_ok(crowd.ask("/health/live"))
    assert is_ok(crowd.ask("/"))
    assert connections_of(small) <= LIMIT
    assert [is_open(connected) for connected in idle[-LIMIT:]].count(True) == LIMIT - 1
    assert not any(is_open(connected) for connected in idle[:-LIMIT])


def test_who_asked_last_stays_longest(crowd: Crowd) -> None:
    first, second, *_ = crowd.idle(LIMIT)
    first.sendall(request("/health/live"))
    assert is_ok(one_answer(first))
    crowd.connect()
    assert everything(second) == b""
    first.sendall(request("/health/live"))
    assert is_ok(one_answer(first))


def test_a_head_that_has_begun_makes_room_with_an_error(crowd: Crowd) -> None:
    slow = crowd.connect(b"GET /health HTTP/1.1\r\nHo")
    assert is_ok(crowd.ask("/health/live"))  # by now it has arrived
    crowd.idle(LIMIT)
    assert problem(everything(slow)) == FULL


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics", "/health?verbose=1"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_probes_are_answered_whatever_happens(crowd: Crowd, method: str, path: str) -> None:
    crowd.busy(LIMIT)
    answer = everything(crowd.connect(request(path, method)))
    assert answers_of(answer) == [405 if (method, path) == ("HEAD", "/metrics") else 200]
    assert b"connection: close" in answer.lower()


def test_everything_else_is_refused_while_all_are_busy(crowd: Crowd) -> None:
    busy = crowd.busy(LIMIT)
    asked = [crowd.ask("/"), crowd.ask("/health/live/"), crowd.ask("/health/live", "DELETE")]
    asked += [crowd.ask("/upload", "POST"), crowd.ask("/health/live", headers="Content-Length: 9\r\n")]
    assert [problem(answer) for answer in asked] == [FULL] * 5
    waiting = crowd.connect()
    busy[0].close()
    until(lambda: is_ok(crowd.ask("/")))
    waiting.sendall(request("/", headers="Connection: close\r\n"))
    assert is_ok(everything(waiting))


def test_connections_beyond_the_limit_are_bounded(small: RunningService, crowd: Crowd) -> None:
    crowd.busy(LIMIT)
    crowd.idle(3 * MAX_GUESTS)
    assert is_ok(crowd.ask("/health/live"))
    assert connections_of(small) <= LIMIT + MAX_GUESTS


def test_a_client_that_opens_too_many_closes_its_own(crowd: Crowd) -> None:
    others = crowd.idle(1, OTHER)
    own = crowd.idle(3 * SHARE, CLIENT)
    assert is_ok(crowd.ask("/health/live", host=CLIENT))
    assert [is_open(connected) for connected in own].count(True) == SHARE - 1
    assert is_open(others[0])


def test_a_client_keeps_no_one_out(crowd: Crowd) -> None:
    crowd.busy(SHARE, CLIENT)
    assert problem(crowd.ask("/", host=CLIENT)) == FULL
    assert is_ok(crowd.ask("/health/live", host=CLIENT))
    assert is_ok(crowd.ask("/", host=OTHER))
    assert is_ok(crowd.ask("/"))
