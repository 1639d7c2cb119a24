"""GET /metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from depthsvc import errors
from depthsvc.server.problems import document_errors
from depthsvc.server.service import CurrentService

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="Counters and histograms for Prometheus",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **document_errors(errors.Unauthorized),
    },
)
async def metrics(service: CurrentService) -> Response:
    """The service's metrics in Prometheus's text format."""
    return Response(generate_latest(service.metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
