"""Commands go on, whatever the variables say, and say in one line what they did instead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from depthsvc import AsyncDepthClient, DepthClient
from depthsvc.errors import ConfigurationError, ServiceUnreachable
from tests.conftest import LIGHT, RunningService, StartService
from tests.outbound.servers import Serve, listening, says

JUNK = {
    "HTTP_PROXY": "http://[junk",
    "HTTPS_PROXY": "socks4://me:secret@proxy.test",
    "NO_PROXY": "[[,10.0.0.0/99",
    "SSL_CERT_FILE": "/no/such/file",
}


def depthsvc(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "depthsvc", *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **LIGHT, **variables}, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def photo_file(tmp_path: Path, photo_png: bytes) -> Path:
    path = tmp_path / "photos" / "cat.png"
    path.parent.mkdir()
    path.write_bytes(photo_png)
    return path


def refusing(asked: list[bytes]) -> Serve:
    """An HTTP proxy that refuses everything; it keeps the request lines."""
    refuse = says(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    def serve(reading: object, writing: object) -> None:
        asked.append(reading.readline())  # type: ignore[attr-defined]
        refuse(reading, writing)  # type: ignore[arg-type]

    return serve


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "SSL_CERT_FILE"])
def test_predict_falls_back_in_one_line_that_names_the_variable(
    photo_file: Path, tmp_path: Path, variable: str
) -> None:
    out = tmp_path / "out.png"
    result = depthsvc("predict", photo_file, "-o", out, DEPTHSVC_DOWNLOAD="true", **{variable: JUNK[variable]})
    warning, done = result.stderr.splitlines()
    assert f"MiDaS_small is not available: {variable}" in warning
    assert "FALLING BACK to the embedded model" in warning
    assert "secret" not in warning
    assert done.endswith("by embedded")


def test_weights_fetch_says_what_is_wrong_in_one_line() -> None:
    result = depthsvc("weights", "fetch", DEPTHSVC_DOWNLOAD="true", **JUNK)
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: HTTPS_PROXY is not the address of an http, https, socks5 or socks5h proxy")


def test_batch_sends_photos_to_a_service_of_this_machine(
    photo_file: Path, tmp_path: Path, embedded_service: RunningService
) -> None:
    result = depthsvc("batch", photo_file.parent, tmp_path / "out", "--url", embedded_service.url, **JUNK)
    assert result.returncode == 0
    assert (tmp_path / "out" / "cat.png.depth.png").exists()


@pytest.mark.parametrize(
    ("url", "variable"), [("http://depth.test", "HTTP_PROXY"), ("https://depth.test", "HTTPS_PROXY")]
)
def test_batch_through_a_proxy_that_is_none_says_so(photo_file: Path, tmp_path: Path, url: str, variable: str) -> None:
    result = depthsvc("batch", photo_file.parent, tmp_path / "out", "--url", url, **JUNK)
    assert result.returncode == 2
    [line] = result.stderr.splitlines()
    assert line.startswith(f"Error: {variable} is not the address of ")


def test_clients_can_be_made_whatever_the_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in JUNK.items():
        monkeypatch.setenv(name, value)
    AsyncDepthClient("https://depth.test")
    with DepthClient("https://depth.test") as client, pytest.raises(ConfigurationError, match=r"^HTTPS_PROXY is not"):
        client.health()


def test_client_does_not_retry_a_certificate_that_is_not_trusted(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it is tried again"))
    with DepthClient(server) as client, pytest.raises(ServiceUnreachable, match=r"not trusted .*set SSL_CERT_FILE"):
        client.models()


def test_serve_waits_once_for_what_cannot_be_reached_and_is_slow_once(
    start_service: StartService, tmp_path: Path
) -> None:
    asked: list[bytes] = []
    with listening(refusing(asked)) as port:
        variables = {
            "DEPTHSVC_DOWNLOAD": "true",
            "DEPTHSVC_CACHE_DIR": str(tmp_path / "cache"),
            "TMPDIR": str(tmp_path),  # where other tests may have left a prepared file
            "HTTPS_PROXY": f"http://127.0.0.1:{port}",
            "DEPTHSVC_ENGINE": "onnxruntime",  # which reports to its makers if it is not kept from it
        }
        first, second = (start_service("--workers", "1", environment=variables) for _ in range(2))
    assert asked == [b"CONNECT github.com:443 HTTP/1.1\r\n"] * 4  # the file has four addresses
    for service in (first, second):
        assert "FALLBACK" in service.announcement
        log = service.log.read_text()
        assert log.count("FALLING BACK") == 1
        assert "403 Forbidden (through the proxy in HTTPS_PROXY)" in log
        assert "depthsvc weights fetch at once" in log
        assert "Traceback" not in log
    assert "preparing embedded" in first.log.read_text()
    assert "preparing" not in second.log.read_text()
