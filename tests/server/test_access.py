from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from depthsvc.errors import ConfigurationError, QueueFull
from depthsvc.server.keys import api_keys
from depthsvc.settings import Settings
from tests.server.conftest import FailingPool, answered, ask

KEYS: dict[str, Any] = {"api_keys": "first-key, second-key"}


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Bearer first-key"}, {"X-API-Key": "second-key"}, {"authorization": "bearer first-key"}],
)
def test_a_key_opens_the_service(headers: dict[str, str]) -> None:
    assert ask(answered(), headers=headers, **KEYS).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer third-key"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic Zmlyc3Qta2V5"},
        {"X-API-Key": "first-key, second-key"},
        {"X-API-Key": "clé"},
    ],
)
@pytest.mark.parametrize("path", ["/upload", "/depth", "/models", "/metrics"])
def test_without_a_key_there_is_a_401(headers: dict[str, str], path: str) -> None:
    method = "GET" if path in {"/models", "/metrics"} else "POST"
    response = ask(answered(), method, path, {k: v.encode() for k, v in headers.items()}, **KEYS)
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/", "/health", "/health/live", "/static/page.js", "/docs"])
def test_page_health_and_documentation_need_no_key(path: str) -> None:
    assert ask(answered(), "GET", path, **KEYS).status_code in {200, 503}


def test_keys_of_a_file_count_as_well(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# for the batch\n  # indented\n file-key\n\n")
    keys = api_keys(Settings(api_keys="first-key", api_keys_file=file))
    assert len(keys) == 2
    assert "file-key" in keys
    assert "first-key" in keys
    assert "# indented" not in keys


def test_a_key_that_no_header_can_carry_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ASCII"):
        api_keys(Settings(api_keys="schlüssel"))


@pytest.mark.parametrize("content", [None, b"# nothing\n", b"\xff\xfe"])
def test_a_file_without_keys_does_not_leave_the_service_open(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="API key file"):
        api_keys(Settings(api_keys_file=file))


def test_keys_are_not_shown() -> None:
    assert "first-key" not in repr(Settings(**KEYS))


def test_other_origins_are_refused_unless_they_are_named() -> None:
    origin = {"Origin": "https://example.org"}
    assert "Access-Control-Allow-Origin" not in ask(answered(), headers=origin).headers
    allowed = ask(answered(), headers=origin, cors_origins="https://example.org")
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://example.org"
    assert "X-Depth-Shape" in allowed.headers["Access-Control-Expose-Headers"]
    other = ask(answered(), headers={"Origin": "https://evil.example"}, cors_origins="https://example.org")
    assert "Access-Control-Allow-Origin" not in other.headers
    busy = ask(FailingPool(QueueFull("Busy.")), headers=origin, cors_origins="*")
    assert (busy.status_code, busy.headers["Access-Control-Allow-Origin"]) == (503, "*")
    ask_first = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "Authorization"}
    assert ask(answered(), "OPTIONS", headers=ask_first, cors_origins="https://example.org").status_code == 200


@pytest.mark.parametrize(("setting", "paths"), [("docs", ["/docs", "/openapi.json"]), ("metrics", ["/metrics"])])
def test_documentation_and_metrics_can_be_switched_off(setting: str, paths: list[str]) -> None:
    off: dict[str, Any] = {setting: False}
    for path in paths:
        assert ask(answered(), "GET", path).status_code == 200
        assert ask(answered(), "GET", path, **off).status_code == 404


def test_every_answer_carries_the_security_headers() -> None:
    for path in ("/health/live", "/nothing", "/", "/docs", "/static/page.js"):
        headers = ask(answered(), "GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
