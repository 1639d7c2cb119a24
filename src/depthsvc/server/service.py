"""What the routes share: the settings, the model, the pool, and the state of the service."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from depthsvc.errors import InvalidParameter, MissingExtra, Unavailable
from depthsvc.imaging.photo.formats import formats_named
from depthsvc.model.spec import PreparedModel
from depthsvc.options import Options
from depthsvc.pipeline.answer import Answer
from depthsvc.pipeline.cost import Appraiser, Cost
from depthsvc.pipeline.limits import Limits
from depthsvc.pipeline.prices import Prices
from depthsvc.pool.base import PhotoPool
from depthsvc.server.keys import ApiKeys
from depthsvc.server.live.sessions import LiveSessions
from depthsvc.server.metrics import Metrics
from depthsvc.server.transfer import buffers
from depthsvc.settings import Settings

if TYPE_CHECKING:
    from depthsvc.server.tracing import Tracing


class Service:
    """One running service."""

    def __init__(
        self, settings: Settings, models: tuple[PreparedModel, ...], pool: PhotoPool, api_keys: ApiKeys
    ) -> None:
        """`models`: photos get the first unless they ask for another.

        Raises ConfigurationError for an unknown photo format, or if a package for tracing is missing."""
        self.settings = settings
        self.models = models
        self.pool = pool
        self.api_keys = api_keys
        self.metrics = Metrics(pool, models)
        self.tracing = _tracing() if settings.traces else None
        self.uploads = buffers.uploads(settings.max_buffered_bytes, settings.client_timeout_s)
        self.answers = buffers.answers(settings.max_buffered_bytes, settings.client_timeout_s)
        self.metrics.watch_held("photos", lambda: self.uploads.bytes)
        self.metrics.watch_held("results", lambda: self.answers.bytes)
        self.live = LiveSessions(settings.live_sessions)
        self.metrics.watch_live(lambda: len(self.live))
        self._appraisers = {model.name: _appraiser(model, settings) for model in models}
        self.started = time.monotonic()
        self.draining = False
        """Whether the service is shutting down: it finishes the photos it has accepted and refuses new ones."""
        self.accepted = 0
        """Photos being received or computed."""

    @property
    def model(self) -> PreparedModel:
        """The model that photos get unless they ask for another."""
        return self.models[0]

    @property
    def degraded(self) -> bool:
        """Whether one of the models is standing in for a better one."""
        return any(model.degraded for model in self.models)

    def model_named(self, name: str | None) -> PreparedModel:
        """The model of this name; None: the first. Raises InvalidParameter if it is not served."""
        for model in self.models:
            if name in (None, model.name):
                return model
        served = [model.name for model in self.models]
        advice = f"Use {served[0]}." if len(served) == 1 else f"Use one of {', '.join(served)}."
        raise InvalidParameter(f"model: {name!r} is not served here. {advice}")

    def appraiser(self, options: Options) -> Appraiser:
        """The appraiser for the model that these options ask for. Raises InvalidParameter if it is not served."""
        return self._appraisers[self.model_named(options.model).name]

    @property
    def ready(self) -> bool:
        """Whether every worker is warm and photos are accepted."""
        return self.pool.warm == self.pool.workers and not self.draining

    @property
    def retry_after_s(self) -> int:
        """Whole seconds after which a photo refused now is worth retrying."""
        return max(1, math.ceil(self.pool.expected_wait_s))

    def check_room(self, client: str) -> None:
        """Raise Unavailable, or its subclass QueueFull, if no photo of this client can be accepted now."""
        if self.draining:
            raise Unavailable("The service is shutting down. Try again later.")
        self.pool.check_room(client)
        self.answers.check_share(client)

    def observe(self, cost: Cost, answer: Answer) -> None:
        """Learn from a photo's times, and add them to the metrics."""
        self._appraisers[answer.model].learn(cost, answer.cpu_seconds)
        self.metrics.observe_cost(answer.model, cost.seconds, sum(answer.cpu_seconds.values()))
        self.metrics.observe_stages(answer.model, answer.seconds)

    def trace(self, answer: Answer) -> None:
        """Add a photo's stages, which have just ended, to the current request's trace."""
        if self.tracing:
            self.tracing.record_stages(answer.seconds)

    def close(self) -> None:
        """Send the last traces."""
        if self.tracing:
            self.tracing.close()

    @contextmanager
    def accept(self, client: str) -> Iterator[None]:
        """Count a photo as accepted from before it is received until it is computed. Raises as `check_room` does."""
        self.check_room(client)
        self.accepted += 1
        try:
            yield
        finally:
            self.accepted -= 1


def _appraiser(model: PreparedModel, settings: Settings) -> Appraiser:
    return Appraiser(
        Limits(model.spec, settings.max_pixels, settings.max_input_size),
        Prices(),
        max_cost=settings.max_photo_cost,
        max_memory_bytes=settings.max_photo_memory_mb * 1e6,
        max_answer_bytes=settings.max_buffered_bytes,
        formats=formats_named(settings.photo_formats),
    )


def _tracing() -> Tracing:
    try:
        from depthsvc.server.tracing import Tracing
    except ImportError as error:
        raise MissingExtra("Tracing needs OpenTelemetry", "otel") from error
    return Tracing()


async def service_of(request: Request) -> Service:
    """The service that a request belongs to."""
    service: Service = request.app.state.service
    return service


CurrentService = Annotated[Service, Depends(service_of)]
