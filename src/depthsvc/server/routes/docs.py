"""GET /docs and /openapi.json: the interface, for people and for programs."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

FILES = "/swagger"
"""Where Swagger's files are."""

_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; base-uri 'none'; frame-ancestors 'none'"
)
"""Swagger's page has an inline script, and shows the picture of a response as a blob."""


@router.get("/openapi.json")
async def openapi(request: Request) -> JSONResponse:
    """The OpenAPI document, with the path at which the client finds the service."""
    servers = [{"url": request.scope["root_path"] or "/"}]
    return JSONResponse({**request.app.openapi(), "servers": servers})


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Swagger's page. Its addresses are relative: it works under a prefix that the service does not know."""
    files = FILES.removeprefix("/")
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="depthsvc",
        swagger_js_url=f"{files}/swagger-ui-bundle.js",
        swagger_css_url=f"{files}/swagger-ui.css",
        swagger_favicon_url="static/icon.svg",
    )
    page.headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY
    return page


def static_files() -> StaticFiles:
    """Swagger's files: the page loads nothing from elsewhere."""
    return StaticFiles(packages=[("fastapi_offline", "static")])
