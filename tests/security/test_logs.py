"""Clients that write into the log what a terminal would obey, or an address that is not theirs."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator

import pytest

from depthsvc.cli.logs import configure
from depthsvc.settings import LogFormat
from tests.conftest import RunningService, services, until
from tests.security.conftest import OPTIONS
from tests.security.test_connections import connection, everything

HARMFUL = "a\x9b31m\x1b]0;x\x07\r\nb\u202ec\u200bd\ue000"


@pytest.fixture(scope="module", params=["console", "json"])
def logging_service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    with services(tmp_path_factory) as start:
        service = start(*OPTIONS, "--log-format", request.param)
        until(lambda: "ready at" in service.log.read_text())
        yield service


def logged(service: RunningService, path: bytes, headers: bytes) -> str:
    """What a request adds to the log."""
    before = len(service.log.read_text())
    with connection(service) as connected:
        connected.sendall(b"GET /" + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n")
        everything(connected)
    until(lambda: "status" in service.log.read_text()[before:])
    return service.log.read_text()[before:].removesuffix("\n")


@pytest.mark.parametrize(
    "forged", [b"\x9b31mforged", b"fe80::1%\x9b31mforged", b"forged", "\u202eforged".encode(), b"203.0.113.7, forged"]
)
def test_no_client_forges_its_address(logging_service: RunningService, forged: bytes) -> None:
    line = logged(logging_service, b"", b"X-Forwarded-For: " + forged + b"\r\n")
    assert "127.0.0.1" in line
    assert "forged" not in line
    assert "203.0.113.7" not in line
    assert line.isprintable()


def test_an_address_that_a_proxy_forwards_is_logged(logging_service: RunningService) -> None:
    line = logged(logging_service, b"", b"X-Forwarded-For: 198.51.100.1, [2001:DB8::1]:5000\r\n")
    assert "2001:db8::1" in line
    assert "198.51.100.1" not in line
    assert "127.0.0.1" not in line


@pytest.mark.parametrize("harmful", [b"\x9b31m", b"\xc2\x9b31m", "\u202e".encode(), b"\xff"])
def test_a_path_and_an_id_are_logged_in_printable_characters(logging_service: RunningService, harmful: bytes) -> None:
    line = logged(logging_service, b"x" + harmful, b"X-Request-ID: " + harmful + b"\r\n")
    assert line.isprintable()
    with contextlib.suppress(json.JSONDecodeError):
        assert json.loads(line).get("path", "").isprintable()


@pytest.fixture
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]


@pytest.mark.usefixtures("_restored_logging")
@pytest.mark.parametrize("format", [LogFormat.CONSOLE, LogFormat.JSON])
def test_whatever_is_logged_is_printable(format: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", format)
    logging.getLogger("x").info("of %s", HARMFUL, extra={"name_of_it": HARMFUL})
    try:
        raise ValueError(HARMFUL.replace("\r\n", ""))
    except ValueError:
        logging.getLogger("x").exception("failed")
    lines = capsys.readouterr().err.split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    assert lines[0].count("31m") == 2
    assert len(lines) == (3 if format is LogFormat.JSON else 7)
