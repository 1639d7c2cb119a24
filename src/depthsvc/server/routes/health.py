"""GET /health, /health/live, /health/ready: for people, load balancers and orchestrators."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from depthsvc import errors
from depthsvc.server.problems import document_errors
from depthsvc.server.service import CurrentService, Service
from depthsvc.status import Health, Queue, Workers
from depthsvc.version import __version__

router = APIRouter(prefix="/health", tags=["health"])


class Liveness(BaseModel):
    """The process is alive."""

    status: Literal["ok"] = "ok"


_BUSY = document_errors(errors.TooManyRequests)
_NOT_READY: dict[int | str, dict[str, Any]] = {
    **_BUSY,
    503: {"model": Health, "description": "Not every worker is warm."},
}


@router.head("", include_in_schema=False)
@router.get("", summary="Whether photos are accepted", responses=_NOT_READY)
async def health(service: CurrentService, response: Response) -> Health:
    """200 when every worker is warm and photos are accepted, otherwise 503 with the same body."""
    if not service.ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return _health(service)


@router.head("/live", include_in_schema=False)
@router.get("/live", summary="Whether the process is alive", responses=_BUSY)
async def live() -> Liveness:
    """Liveness probe: 200 as long as the process responds at all."""
    return Liveness()


@router.head("/ready", include_in_schema=False)
@router.get("/ready", summary="Whether every worker is warm", responses=_NOT_READY)
async def ready(service: CurrentService, response: Response) -> Health:
    """Readiness probe: the same as /health."""
    return await health(service, response)


def _status(service: Service) -> Literal["ok", "unavailable", "draining"]:
    if service.draining:
        return "draining"
    return "ok" if service.ready else "unavailable"


def _health(service: Service) -> Health:
    pool = service.pool
    return Health(
        status=_status(service),
        reason=pool.start_failure,
        version=__version__,
        model=service.model.name,
        degraded=service.degraded,
        engine=service.model.choice.engine,
        precision=service.model.choice.precision,
        device=service.model.choice.device,
        workers=Workers(configured=pool.workers, warm=pool.warm, restarts=pool.restarts.total()),
        queue=Queue(waiting=pool.waiting, in_flight=pool.in_flight, limit=pool.queue_size),
        uptime_s=round(time.monotonic() - service.started, 3),
    )
