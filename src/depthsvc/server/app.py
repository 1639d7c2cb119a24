"""The application: routes, middleware and error handlers around one service."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from depthsvc.imaging.spec import ResizeRule
from depthsvc.server import problems
from depthsvc.server.access import require_api_key
from depthsvc.server.middleware import DOCS_PATH, AdmissionMiddleware, BodyLimitMiddleware, RequestMiddleware
from depthsvc.server.routes import health, metrics, models, page, photos
from depthsvc.server.service import Service
from depthsvc.version import __version__

_DESCRIPTION = """\
One photo in, its depth out. Depth is *relative inverse depth*: larger, and brighter in a heatmap, is **nearer**; scale
and shift are unknown, so values are not metres, and values from different photos cannot be compared.
"""


def create_app(service: Service) -> FastAPI:
    """The ASGI application for a service whose pool is running."""
    settings = service.settings
    about = {"title": "depthsvc", "version": __version__, "description": _DESCRIPTION}
    options: dict[str, Any] = {**about, "redirect_slashes": False, "middleware": _middleware(service)}
    if settings.docs:
        app = FastAPIOffline(docs_url=DOCS_PATH, redoc_url=None, **options)
    else:
        app = FastAPI(openapi_url=None, **options)
    app.state.service = service
    protected = [photos, models, *([metrics] if settings.metrics else [])]
    for module in protected:
        app.include_router(module.router, dependencies=[Depends(require_api_key)] if service.api_keys else [])
    for module in (health, page):
        app.include_router(module.router)
    app.mount("/static", page.static_files(), name="static")
    problems.register(app)
    if settings.docs:
        _document_input_sizes(app.openapi(), service)
    return app


def _document_input_sizes(document: dict[str, Any], service: Service) -> None:
    """Document the input sizes that this service's model and settings allow."""
    spec = service.model.spec.input
    bounds = {"multipleOf": spec.multiple, "minimum": spec.multiple, "maximum": service.settings.max_input_size}
    if spec.rule is ResizeRule.STRETCH:
        bounds = {"const": spec.size}
    for path in photos.PHOTO_PATHS:
        for parameter in document["paths"][path]["post"]["parameters"]:
            if parameter["name"] == "input_size":
                parameter["schema"]["anyOf"][0].update(bounds)


def _middleware(service: Service) -> list[Middleware]:
    """From the outermost to the innermost."""
    layers = [service.tracing.middleware()] if service.tracing else []
    layers.append(Middleware(RequestMiddleware, service=service, photo_paths=photos.PHOTO_PATHS))
    if service.settings.cors_origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=service.settings.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "X-API-Key", "X-Request-ID"],
                expose_headers=[*photos.HEADERS, "Retry-After"],
            )
        )
    return [
        *layers,
        Middleware(AdmissionMiddleware, service=service, photo_paths=photos.PHOTO_PATHS),
        Middleware(BodyLimitMiddleware, max_bytes=service.settings.max_upload_bytes),
    ]
