"""The application: routes, middleware and error handlers around one service."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from depthsvc.server import openapi, problems
from depthsvc.server.access import require_api_key
from depthsvc.server.middleware import AdmissionMiddleware, BodyLimitMiddleware, RequestMiddleware
from depthsvc.server.prefix import PrefixMiddleware
from depthsvc.server.routes import docs, health, live, metrics, models, page, photos
from depthsvc.server.service import Service


def create_app(service: Service) -> FastAPI:
    """The ASGI application for a service whose pool is running."""
    settings = service.settings
    app = FastAPI(**openapi.ABOUT, openapi_url=None, redirect_slashes=False, middleware=_middleware(service))
    app.state.service = service
    protected = [photos, models, *([metrics] if settings.metrics else [])]
    for module in protected:
        app.include_router(module.router, dependencies=[Depends(require_api_key)] if service.api_keys else [])
    for module in (health, page, *([live] if settings.live_sessions else [])):
        app.include_router(module.router)
    app.mount("/static", page.static_files(), name="static")
    if settings.docs:
        app.include_router(docs.router)
        app.mount(docs.FILES, docs.static_files(), name="docs")
        openapi.complete(app.openapi(), service)
    problems.register(app)
    return app


def _middleware(service: Service) -> list[Middleware]:
    """From the outermost to the innermost."""
    layers = [Middleware(PrefixMiddleware, root_path=service.settings.root_path)]
    if service.tracing:
        layers.append(service.tracing.middleware())
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
