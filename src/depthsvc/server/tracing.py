"""OpenTelemetry traces: a span for every request and for each stage of a photo. Needs the extra `otel`."""

from __future__ import annotations

import time
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from starlette.middleware import Middleware

_UNTRACED = "health,metrics,static"


class Tracing:
    """The tracer of one service. OpenTelemetry's own OTEL_* variables say where the traces go."""

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        """Send spans to `exporter`, by default OTLP over HTTP."""
        resource = Resource({SERVICE_NAME: "depthsvc"}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("depthsvc")

    def middleware(self) -> Middleware:
        """Middleware that creates the span of every request, as a child of the client's span given in `traceparent`."""
        return Middleware(
            OpenTelemetryMiddleware,
            tracer_provider=self._provider,
            excluded_urls=_UNTRACED,
            exclude_spans=["send", "receive"],
        )

    def record_stages(self, seconds: Mapping[str, float]) -> None:
        """Add a photo's stages, which have just ended one after the other, to the current request's span."""
        context = trace.set_span_in_context(trace.get_current_span())
        start = time.time_ns() - round(1e9 * sum(seconds.values()))
        for stage, duration in seconds.items():
            end = start + round(1e9 * duration)
            self._tracer.start_span(stage, context, start_time=start).end(end)
            start = end

    def close(self) -> None:
        """Send the spans that have not been sent."""
        self._provider.shutdown()
