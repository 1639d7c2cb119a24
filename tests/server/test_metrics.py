from __future__ import annotations

import json
import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families

from depthsvc import errors
from depthsvc.cli.logs import configure
from depthsvc.settings import LogFormat
from depthsvc.version import __version__
from tests.conftest import RunningService
from tests.server.conftest import FailingPool, answered, ask


def sample(text: str, name: str, **labels: str) -> float:
    """One number of a scrape."""
    for family in text_string_to_metric_families(text):
        for found in family.samples:
            if found.name == name and labels.items() <= found.labels.items():
                return found.value
    raise AssertionError(f"there is no {name} with {labels}")


def test_a_service_counts_what_it_does(service: RunningService, photo_png: bytes) -> None:
    with service.client() as client:
        before = client.get("/metrics").text
        client.post("/upload", files={"image": photo_png})
        client.post("/upload", files={"image": b"no photo"})
        client.get("/made/up/path")
        after = client.get("/metrics").text

    def grown(name: str, **labels: str) -> float:
        try:
            start = sample(before, name, **labels)
        except AssertionError:
            start = 0
        return sample(after, name, **labels) - start

    assert grown("depthsvc_request_seconds_count", method="POST", route="/upload", status="200") == 1
    assert grown("depthsvc_request_seconds_count", method="POST", route="/upload", status="400") == 1
    assert grown("depthsvc_request_seconds_count", method="GET", route="unmatched", status="404") == 1
    assert grown("depthsvc_rejected_total", reason="not_an_image") == 1
    for stage in ("queue", "decode", "infer", "render"):
        assert grown("depthsvc_stage_seconds_count", stage=stage) == 1
    assert sample(after, "depthsvc_requests_in_progress") == 1
    assert sample(after, "depthsvc_workers") == sample(after, "depthsvc_workers_warm") == 2
    assert sample(after, "depthsvc_queue_limit") == 64
    assert sample(after, "process_resident_memory_bytes") > 1e6


def test_the_pool_is_read_when_it_is_asked_for() -> None:
    text = ask(FailingPool(), "GET", "/metrics").text
    assert sample(text, "depthsvc_queue_depth") == 3
    assert sample(text, "depthsvc_photos_in_flight") == 4
    assert sample(text, "depthsvc_worker_restarts_total", cause="crashed") == 3
    assert sample(text, "depthsvc_worker_restarts_total", cause="deadline") == 0
    assert sample(text, "depthsvc_info", model="m", version=__version__, degraded="false") == 1


@pytest.fixture
def _restored_logging() -> object:
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]


@pytest.mark.usefixtures("_restored_logging")
def test_a_request_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", LogFormat.JSON)
    ask(answered(), headers={"X-Request-ID": "mine"})
    ask(FailingPool(errors.QueueFull("Busy.")), path="/upload?colormap=%0a")
    ask(FailingPool(later=RuntimeError("secret cause")))
    good, busy, cause, failed = map(json.loads, capsys.readouterr().err.splitlines())
    assert (good["event"], good["request_id"], good["method"], good["path"]) == ("request", "mine", "POST", "/depth")
    assert (good["status"], good["level"], good["model"], good["infer_ms"]) == (200, "info", "m", 100.0)
    assert good["duration_ms"] > 0
    assert good["bytes_sent"] == len(b"heatmap")
    assert "code" not in good
    assert (busy["status"], busy["code"]) in {(503, "queue_full"), (422, "invalid_parameter")}
    assert (failed["status"], failed["code"]) == (500, "internal_error")
    assert cause["request_id"] == failed["request_id"]
    assert "secret cause" in cause["exception"]


@pytest.mark.usefixtures("_restored_logging")
def test_on_a_terminal_a_request_is_one_readable_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", LogFormat.CONSOLE)
    ask(answered(), path="/depth?format=f16")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "request" in lines[0]
    assert "200" in lines[0]
