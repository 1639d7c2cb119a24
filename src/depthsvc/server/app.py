"""The application: routes, middleware and error handlers around one service."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware

from depthsvc import __version__
from depthsvc.server import health, models, page, photos, problems
from depthsvc.server.middleware import BodyLimitMiddleware, RequestIdMiddleware
from depthsvc.server.service import Service

_DESCRIPTION = """\
One photo in, its depth out. Depth is *relative inverse depth*: larger, and brighter in a heatmap, is **nearer**; scale
and shift are unknown, so values are no metres and those of two photos do not compare.
"""


def create_app(service: Service) -> FastAPI:
    """The ASGI application for a service whose pool is running."""
    app = FastAPIOffline(
        title="depthsvc",
        version=__version__,
        description=_DESCRIPTION,
        redirect_slashes=False,
        redoc_url=None,
        middleware=[
            Middleware(RequestIdMiddleware),
            Middleware(BodyLimitMiddleware, max_bytes=service.settings.max_upload_bytes),
        ],
    )
    app.state.service = service
    for module in (photos, health, models, page):
        app.include_router(module.router)
    app.mount("/static", page.static_files(), name="static")
    problems.register(app)
    return app
