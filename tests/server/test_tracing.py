from __future__ import annotations

import sys

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from depthsvc.errors import ConfigurationError
from depthsvc.server import service
from depthsvc.server.tracing import Tracing
from tests.server.conftest import answered, ask

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_request_has_a_span_and_a_photo_one_for_each_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing(exporter)
    monkeypatch.setattr(service, "_tracing", lambda: tracing)
    assert ask(answered(), "GET", "/health/live", traces=True).status_code == 200
    ask(answered(), headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, traces=True)
    tracing.close()
    *stages, request = exporter.get_finished_spans()
    assert request.attributes
    assert request.name.startswith("POST")
    assert f"{request.context.trace_id:032x}" == TRACE
    assert request.resource.attributes["service.name"] == "depthsvc"
    assert [stage.name for stage in stages] == ["queue", "decode", "infer", "render"]
    for stage, expected in zip(stages, (2, 10, 100, 20), strict=True):
        assert stage.parent
        assert stage.parent.span_id == request.context.span_id
        assert stage.start_time
        assert stage.end_time
        assert (stage.end_time - stage.start_time) / 1e6 == pytest.approx(expected)


def test_without_its_packages_the_service_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "depthsvc.server.tracing", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"depthsvc\[otel\]"):
        ask(answered(), traces=True)
