"""The service's Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from depthsvc.model.spec import PreparedModel
from depthsvc.pool.base import PhotoPool, RestartCause
from depthsvc.version import __version__

_INFO = ("version", "model", "engine", "degraded")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters and histograms of one service. Its pool's are read at each scrape."""

    def __init__(self, pool: PhotoPool, models: tuple[PreparedModel, ...]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_PoolCollector(pool, models))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.in_progress = Gauge("depthsvc_requests_in_progress", "HTTP requests in progress.", registry=self.registry)
        self._requests = Histogram(
            "depthsvc_request_seconds",
            "Time from a request's headers to the end of its response; _count is the number of requests.",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._rejected = Counter(
            "depthsvc_rejected", "Requests that got an error, by its code.", ("reason",), registry=self.registry
        )
        self._stages = Histogram(
            "depthsvc_stage_seconds",
            "Time that photos spent in each stage: queue, decode, infer, render.",
            ("model", "stage"),
            buckets=_SECONDS,
            registry=self.registry,
        )

        self._spent = Counter(
            "depthsvc_photo_cpu_seconds",
            "Processor time that workers spent on photos.",
            ("model",),
            registry=self.registry,
        )
        self._expected = Counter(
            "depthsvc_photo_expected_cpu_seconds",
            "Processor time that was expected for these photos before they were decoded.",
            ("model",),
            registry=self.registry,
        )
        self._live_sessions = Gauge("depthsvc_live_sessions", "Live sessions that are open.", registry=self.registry)
        self._live_frames = Counter(
            "depthsvc_live_frames",
            "Frames of live sessions: answered, dropped for a later one, or failed.",
            ("outcome",),
            registry=self.registry,
        )
        for outcome in ("answered", "dropped", "failed"):
            self._live_frames.labels(outcome)  # so that they are 0 and not missing
        self._live_age = Histogram(
            "depthsvc_live_age_seconds",
            "Time from a frame's arrival until its answer is sent.",
            buckets=(0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5),
            registry=self.registry,
        )
        self._held = Gauge(
            "depthsvc_held_bytes",
            "Memory reserved for photos that come in and for results that go out.",
            ("direction",),
            registry=self.registry,
        )
        self._estimates = Histogram(
            "depthsvc_photo_cost_ratio",
            "Processor time of photos divided by what was expected.",
            buckets=(0.25, 0.4, 0.5, 0.625, 0.8, 1, 1.25, 1.6, 2, 2.5, 4),
            registry=self.registry,
        )

    def observe_request(self, method: str, route: str, status: int, seconds: float, code: str | None) -> None:
        """Count a finished request; `code` is that of its error, if any."""
        self._requests.labels(method, route, str(status)).observe(seconds)
        if code is not None:
            self.count_refusal(code)

    def count_refusal(self, code: str) -> None:
        """Count an error sent before there was a request."""
        self._rejected.labels(code).inc()

    def watch_held(self, direction: str, count: Callable[[], float]) -> None:
        """Have `count` tell the bytes held in one direction at each scrape."""
        self._held.labels(direction).set_function(count)

    def watch_live(self, count: Callable[[], float]) -> None:
        """Have `count` tell the live sessions at each scrape."""
        self._live_sessions.set_function(count)

    def count_frame(self, outcome: str, age_s: float | None = None) -> None:
        """Count a frame of a live session; `age_s`: how old it was when it was answered, in seconds."""
        self._live_frames.labels(outcome).inc()
        if age_s is not None:
            self._live_age.observe(age_s)

    def observe_cost(self, model: str, expected_s: float, spent_s: float) -> None:
        """Record a photo's processor time, in seconds, beside what was expected."""
        self._expected.labels(model).inc(expected_s)
        self._spent.labels(model).inc(spent_s)
        self._estimates.observe(spent_s / expected_s)

    def observe_stages(self, model: str, seconds: Mapping[str, float]) -> None:
        """Record a photo's time in every stage, in seconds."""
        for stage, duration in seconds.items():
            self._stages.labels(model, stage).observe(duration)


class _PoolCollector(Collector):
    """Reads the pool's own state."""

    def __init__(self, pool: PhotoPool, models: tuple[PreparedModel, ...]) -> None:
        self._pool = pool
        self._models = models

    def collect(self) -> Iterator[Metric]:
        pool = self._pool
        yield _gauge("depthsvc_workers", "Configured workers.", pool.workers)
        yield _gauge("depthsvc_workers_warm", "Workers that are ready for a photo or processing one.", pool.warm)
        yield _gauge("depthsvc_queue_depth", "Photos waiting for a worker.", pool.waiting)
        yield _gauge("depthsvc_queue_limit", "Maximum number of waiting photos.", pool.queue_size)
        yield _gauge("depthsvc_photos_in_flight", "Photos accepted and not yet finished.", pool.in_flight)
        restarts = CounterMetricFamily("depthsvc_worker_restarts", "Workers replaced, by cause.", labels=["cause"])
        for cause in RestartCause:
            restarts.add_metric([cause], pool.restarts[cause])
        yield restarts
        info = InfoMetricFamily("depthsvc", "The version and the models that are served.", labels=_INFO)
        for model in self._models:
            values = (__version__, model.name, model.choice.engine, str(model.degraded).lower())
            info.add_metric(_INFO, dict(zip(_INFO, values, strict=True)))
        yield info


def _gauge(name: str, description: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, description, value=value)
