"""The OpenAPI document beyond what FastAPI reads from the routes."""

from __future__ import annotations

from typing import Any

from fastapi.routing import APIRoute

from depthsvc.imaging.spec import ResizeRule
from depthsvc.server.problems import PROBLEM_SCHEMA
from depthsvc.server.routes import photos
from depthsvc.server.service import Service
from depthsvc.server.transfer.body import FORM_SCHEMA
from depthsvc.version import __version__

_DESCRIPTION = """\
One photo in, its depth out. Depth is *relative inverse depth*: larger, and brighter in a heatmap, is **nearer**; scale
and shift are unknown, so values are not metres, and values from different photos cannot be compared.

Frames of a camera have a WebSocket, `/live`, which is not described here.
"""


def _operation_id(route: APIRoute) -> str:
    return route.name


ABOUT: dict[str, Any] = {
    "title": "depthsvc",
    "version": __version__,
    "description": _DESCRIPTION,
    "license_info": {"name": "MIT", "identifier": "MIT"},
    "contact": {"name": "depthsvc", "url": "https://github.com/depthsvc/depthsvc/issues"},
    "generate_unique_id_function": _operation_id,
}
"""FastAPI's arguments about the service as a whole."""


def complete(document: dict[str, Any], service: Service) -> None:
    """Add the components to which routes refer, and the input sizes that this service's model and settings allow."""
    document["components"]["schemas"].update(PROBLEM_SCHEMA | FORM_SCHEMA)
    _limit_input_sizes(document, service)


def _limit_input_sizes(document: dict[str, Any], service: Service) -> None:
    spec = service.model.spec.input
    bounds = {"multipleOf": spec.multiple, "minimum": spec.multiple, "maximum": service.settings.max_input_size}
    if spec.rule is ResizeRule.STRETCH:
        bounds = {"const": spec.size}
    for path in photos.PHOTO_PATHS:
        for parameter in document["paths"][path]["post"]["parameters"]:
            if parameter["name"] == "input_size":
                parameter["schema"]["anyOf"][0].update(bounds)
