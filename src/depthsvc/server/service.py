"""What the routes share: the settings, the model, the pool, and the state of the service."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from depthsvc.errors import ConfigurationError, Unavailable
from depthsvc.model.spec import PreparedModel
from depthsvc.pool.base import PhotoPool
from depthsvc.server.keys import ApiKeys
from depthsvc.server.metrics import Metrics
from depthsvc.server.transfer import buffers
from depthsvc.settings import Settings

if TYPE_CHECKING:
    from depthsvc.server.tracing import Tracing


class Service:
    """One running service."""

    def __init__(self, settings: Settings, model: PreparedModel, pool: PhotoPool, api_keys: ApiKeys) -> None:
        """Raises ConfigurationError if a package for tracing is missing."""
        self.settings = settings
        self.model = model
        self.pool = pool
        self.api_keys = api_keys
        self.metrics = Metrics(pool, model)
        self.tracing = _tracing() if settings.traces else None
        self.uploads = buffers.uploads(settings.max_buffered_bytes, settings.client_timeout_s)
        self.answers = buffers.answers(settings.max_buffered_bytes, settings.client_timeout_s)
        self.started = time.monotonic()
        self.draining = False
        """Whether the service is shutting down: it finishes the photos it has accepted and refuses new ones."""
        self.accepted = 0
        """Photos being received or computed."""

    @property
    def ready(self) -> bool:
        """Whether every worker is warm and photos are accepted."""
        return self.pool.warm == self.pool.workers and not self.draining

    @property
    def retry_after_s(self) -> int:
        """Whole seconds after which a photo refused now is worth retrying."""
        return max(1, math.ceil(self.pool.expected_wait_s))

    def check_room(self) -> None:
        """Raise Unavailable, or its subclass QueueFull, if no photo can be accepted now."""
        if self.draining:
            raise Unavailable("The service is shutting down. Try again later.")
        self.pool.check_room()

    def observe_stages(self, seconds: Mapping[str, float]) -> None:
        """Add the times of a photo's stages to the metrics and to the current request's trace."""
        self.metrics.observe_stages(seconds)
        if self.tracing:
            self.tracing.record_stages(seconds)

    def close(self) -> None:
        """Send the last traces."""
        if self.tracing:
            self.tracing.close()

    @contextmanager
    def accept(self) -> Iterator[None]:
        """Count a photo as accepted from before it is received until it is computed. Raises as `check_room` does."""
        self.check_room()
        self.accepted += 1
        try:
            yield
        finally:
            self.accepted -= 1


def _tracing() -> Tracing:
    try:
        from depthsvc.server.tracing import Tracing
    except ImportError as error:
        raise ConfigurationError(
            "Tracing needs more packages. Install them with: pip install 'depthsvc[otel]'"
        ) from error
    return Tracing()


async def service_of(request: Request) -> Service:
    """The service that a request belongs to."""
    service: Service = request.app.state.service
    return service


CurrentService = Annotated[Service, Depends(service_of)]
