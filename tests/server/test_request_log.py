from __future__ import annotations

import logging

import pytest

from tests.server.conftest import FailingPool, answered, ask


def level_of(caplog: pytest.LogCaptureFixture, pool: FailingPool, method: str, path: str) -> int:
    """The level of the line that a request leaves in the log."""
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "depthsvc.server.request_log"):
        ask(pool, method, path, root_path="/prefix")
    [record] = [record for record in caplog.records if record.name == "depthsvc.server.request_log"]
    return record.levelno


@pytest.mark.parametrize("path", ["/static/page.js", "/swagger/swagger-ui.css", "/health/live", "/prefix/health/live"])
def test_static_files_and_health_checks_are_logged_at_debug(caplog: pytest.LogCaptureFixture, path: str) -> None:
    assert level_of(caplog, answered(), "GET", path) == logging.DEBUG


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/depth"), ("GET", "/"), ("GET", "/models"), ("GET", "/nothing"), ("GET", "/static/nothing")],
)
def test_everything_else_is_logged_at_info(caplog: pytest.LogCaptureFixture, method: str, path: str) -> None:
    assert level_of(caplog, answered(), method, path) == logging.INFO


def test_a_health_check_that_fails_is_logged_at_info(caplog: pytest.LogCaptureFixture) -> None:
    """One worker of two is warm."""
    assert level_of(caplog, FailingPool(), "GET", "/health") == logging.INFO
