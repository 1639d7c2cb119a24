"""The service as a whole: health, models, documentation, page, start and end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from depthsvc.model.registry import MODELS
from depthsvc.version import __version__
from tests.conftest import Checkpoint, RunningService, StartService, encoded, until
from tests.parity import photo

ONE_WORKER = ("--workers", "1", "--worker-threads", "1")


def test_health_tells_the_whole_state(client: httpx.Client) -> None:
    response = client.get("/health")
    health = response.json()
    assert response.status_code == 200
    assert health.pop("uptime_s") > 0
    restarts = health["workers"].pop("restarts")
    assert restarts >= 0
    assert health == {
        "status": "ok",
        "reason": None,
        "version": __version__,
        "model": "midas_small",
        "degraded": False,
        "engine": "torchscript",
        "precision": "fp32",
        "device": "cpu",
        "workers": {"configured": 2, "warm": 2},
        "queue": {"waiting": 0, "in_flight": 0, "limit": 64},
    }


def test_probes(client: httpx.Client) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}
    assert client.get("/health/ready").json()["status"] == "ok"
    assert client.head("/health").status_code == 200


def test_models_lists_the_registry_and_the_one_in_use(client: httpx.Client) -> None:
    models = client.get("/models").json()
    assert (models["in_use"], models["degraded"]) == ("midas_small", False)
    entries = {model["name"]: model for model in models["models"]}
    assert list(entries) == list(MODELS)
    assert entries["midas_small"]["in_use"]
    assert not entries["embedded"]["in_use"]
    assert "not MiDaS" in entries["embedded"]["description"]
    assert entries["midas_small"]["input"]["size"] == 256


def test_openapi_documents_routes_parameters_and_errors(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    upload = document["paths"]["/upload"]["post"]
    assert {parameter["name"] for parameter in upload["parameters"]} == {
        "model",
        "size",
        "refine",
        "input_size",
        "colormap",
        "invert",
        "palette",
        "side_by_side",
        "full_size",
    }
    assert set(upload["responses"]) == {"200", "400", "401", "408", "413", "415", "422", "429", "500", "503", "504"}
    form = upload["requestBody"]["content"]["multipart/form-data"]
    assert form["encoding"]["image"]["contentType"].split(", ")[:2] == ["image/jpeg", "image/png"]
    problem = upload["responses"]["503"]["content"]["application/problem+json"]["schema"]
    assert problem == {"$ref": "#/components/schemas/Problem"}
    assert {"status", "code", "detail"} <= set(document["components"]["schemas"]["Problem"]["required"])
    assert "`queue_full`" in upload["responses"]["503"]["description"]


def test_the_server_process_does_not_hold_an_engine(service: RunningService) -> None:
    maps = Path(f"/proc/{service.process.pid}/maps").read_text()
    assert [library for library in ("libtorch", "openvino", "onnxruntime", "ncnn") if library in maps] == []


def test_engine_auto_is_chosen_and_named_without_the_server_holding_it(start_service: StartService) -> None:
    service = start_service("--model", "embedded", "--engine", "auto", "--precision", "auto", *ONE_WORKER)
    chosen = re.search(r"engine   (\w+), fp32  \(the fastest: (.*)\)", service.announcement)
    assert chosen is not None, service.announcement
    assert chosen[2].startswith(f"{chosen[1]} ")
    assert set(re.findall(r"([a-z]+) \d+ ms", chosen[2])) == {"torchscript", "openvino", "onnxruntime", "ncnn"}
    assert f"engine auto is {chosen[1]}, fp32" in service.log.read_text()
    with service.client() as client:
        assert client.post("/depth", files={"image": encoded(photo(60, 80))}).status_code == 200
        for document in (client.get("/health").json(), client.get("/models").json()):
            assert (document["engine"], document["precision"]) == (chosen[1], "fp32")
    maps = Path(f"/proc/{service.process.pid}/maps").read_text()
    assert [library for library in ("libtorch", "openvino", "onnxruntime", "ncnn") if library in maps] == []
    (worker,) = service.workers()
    assert {"torchscript": "libtorch"}.get(chosen[1], chosen[1]) in Path(f"/proc/{worker}/maps").read_text()


def test_unknown_routes_and_methods_are_problems(client: httpx.Client) -> None:
    missing = client.get("/uplaod")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    method = client.get("/upload")
    assert (method.status_code, method.json()["code"]) == (405, "method_not_allowed")
    assert method.headers["Allow"] == "POST"
    slash = client.post("/upload/", headers={"Host": "elsewhere.example"})
    assert (slash.status_code, slash.json()["code"]) == (404, "not_found")


def test_the_documentation_needs_no_other_host(client: httpx.Client) -> None:
    links = re.findall(r'(?:src|href)="([^"]+)"', client.get("/docs").text)
    assert links
    for link in links:
        assert ":" not in link
        assert client.get(link).status_code == 200


def test_a_request_id_that_could_do_harm_is_replaced(client: httpx.Client) -> None:
    for harmful in ("x" * 129, "a b", "<script>"):
        given = client.get("/health/live", headers={"X-Request-ID": harmful}).headers["X-Request-ID"]
        assert re.fullmatch("[0-9a-f]{32}", given)


def test_the_page_loads_only_its_own_files(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert links
    for link in links:
        assert not link.startswith(("http", "//"))
        assert client.get(f"/{link}").status_code == 200


def test_a_body_over_the_limit_is_refused_before_it_is_read(service: RunningService) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 2000000000\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_streamed_body_is_refused_as_soon_as_it_is_over_the_limit(client: httpx.Client) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 500_000_000:
            sent += 65536
            yield bytes(65536)

    response = client.post("/depth", content=endless(), headers={"Content-Type": "image/png"})
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


def test_auto_starts_with_the_embedded_model_where_there_is_no_other(
    start_service: Callable[..., RunningService], photo_png: bytes
) -> None:
    service = start_service(*ONE_WORKER)
    assert re.search(r"model +embedded +\(FALLBACK", service.announcement)
    with service.client() as client:
        health = client.get("/health").json()
        assert (health["model"], health["degraded"]) == ("embedded", True)
        answer = client.post("/upload", files={"image": photo_png})
        assert answer.headers["X-Depth-Model"] == "embedded"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_with_status_0(
    start_service: Callable[..., RunningService], number: signal.Signals
) -> None:
    service = start_service("--model", "embedded", *ONE_WORKER)
    service.process.send_signal(number)
    assert service.process.wait(timeout=30) == 0


def test_a_signal_to_all_processes_is_one_to_the_service(
    start_service: Callable[..., RunningService], photo_png: bytes
) -> None:
    """As `timeout` and some service managers send it."""
    service = start_service("--model", "embedded", "--workers", "2", "--worker-threads", "1")

    def upload(_: int) -> int:
        with service.client() as client:
            return client.post("/upload", files={"image": photo_png}).status_code

    with ThreadPoolExecutor(4) as threads, service.client() as client:
        with service.at_a_stand():
            answers = threads.map(upload, range(4))
            until(lambda: client.get("/health").json()["queue"]["in_flight"] == 4)
            os.killpg(service.process.pid, signal.SIGTERM)
            until(lambda: client.get("/health/ready").status_code == 503)
        assert list(answers) == [200] * 4
    assert service.process.wait(timeout=30) == 0
    assert "replacing worker" not in service.log.read_text()


def test_accepted_photos_are_answered_after_sigterm(
    start_service: Callable[..., RunningService], photo_png: bytes
) -> None:
    service = start_service("--model", "embedded", *ONE_WORKER)

    def upload(_: int) -> int:
        with service.client() as client:
            return client.post("/upload", files={"image": photo_png}).status_code

    with ThreadPoolExecutor(6) as threads, service.client() as client:
        with service.at_a_stand():
            answers = threads.map(upload, range(6))
            until(lambda: client.get("/health").json()["queue"]["in_flight"] == 6)
            service.process.terminate()
            until(lambda: client.get("/health/ready").status_code == 503)
        assert list(answers) == [200] * 6
    assert service.process.wait(timeout=30) == 0


def test_what_is_not_ready_when_the_time_to_drain_is_over_gets_a_503(
    start_service: Callable[..., RunningService], photo_png: bytes
) -> None:
    service = start_service("--model", "embedded", *ONE_WORKER, "--drain-s", "0.5")

    def upload(_: int) -> tuple[int, bool]:
        with service.client() as client:
            answer = client.post("/upload", files={"image": photo_png})
            return answer.status_code, "Retry-After" in answer.headers

    with ThreadPoolExecutor(12) as threads, service.client() as client, service.at_a_stand():
        answers = threads.map(upload, range(12))
        until(lambda: client.get("/health").json()["queue"]["in_flight"] == 12)
        service.process.terminate()
        assert set(answers) == {(503, True)}
    assert service.process.wait(timeout=30) == 0


def run_serve(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "depthsvc", "serve", "--port", "0", *options],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_midas_small_insists(tmp_path: Path) -> None:
    result = run_serve("--model", "midas_small", "--cache-dir", str(tmp_path))
    assert result.returncode == 1
    assert "midas_v21_small-70d6b9c8.pt" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_that_is_taken_is_reported_before_the_model_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run_serve("--port", str(taken.getsockname()[1]))
    assert result.returncode == 1
    assert re.search(r"Cannot listen on 127\.0\.0\.1:\d+: Address already in use", result.stderr)


def test_bad_settings_are_named(checkpoint: Checkpoint) -> None:
    result = run_serve("--workers", "0", "--weights-sha256", "xyz")
    assert result.returncode == 1
    assert "--workers (or DEPTHSVC_WORKERS)" in result.stderr
    assert "--weights-sha256" in result.stderr
    unhashed = run_serve("--model", "midas_small", "--weights", str(checkpoint.path))
    assert f"--weights-sha256 {checkpoint.sha256}" in unhashed.stderr
