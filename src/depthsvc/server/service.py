"""What the routes share: the settings, the model and the pool."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from depthsvc.model.loading import PreparedModel
from depthsvc.pool import WorkerPool
from depthsvc.settings import Settings


@dataclass(frozen=True)
class Service:
    """One running service."""

    settings: Settings
    model: PreparedModel
    pool: WorkerPool
    started: float = field(default_factory=time.monotonic)

    @property
    def ready(self) -> bool:
        """Whether every worker is warm."""
        return self.pool.warm == self.pool.workers


async def service_of(request: Request) -> Service:
    """The service that a request belongs to."""
    service: Service = request.app.state.service
    return service


CurrentService = Annotated[Service, Depends(service_of)]
