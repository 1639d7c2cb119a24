"""GET /: the web page, whose files are part of the package."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from depthsvc.imaging.colormaps import color_table
from depthsvc.imaging.photo.formats import PHOTO_FORMATS
from depthsvc.imaging.spec import Colormap

router = APIRouter(include_in_schema=False)

WEB = Path(__file__).parents[2] / "web"

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CACHE_CONTROL = {"Cache-Control": "no-cache"}
"""A browser caches the page's files but revalidates them, so that a new module never meets an old one."""


@router.head("/")
@router.get("/")
async def page() -> FileResponse:
    """The web page."""
    headers = {"Content-Security-Policy": _CONTENT_SECURITY_POLICY, **_CACHE_CONTROL}
    return FileResponse(WEB / "index.html", headers=headers)


@router.get("/static/colormaps.json")
async def colormaps() -> JSONResponse:
    """The colour tables, so that the page's heatmaps match the service's."""
    return JSONResponse(_colormaps(), headers=_CACHE_CONTROL)


@router.get("/static/photos.json")
async def photo_formats() -> JSONResponse:
    """The photo formats, so that the page offers and names what the service accepts."""
    formats = [
        {"name": format.name, "suffixes": format.suffixes, "media_types": format.media_types}
        for format in PHOTO_FORMATS
    ]
    return JSONResponse({"formats": formats}, headers=_CACHE_CONTROL)


@cache
def _colormaps() -> dict[str, str]:
    """Colormap name -> its 256 RGB triples from far to near, in base64."""
    return {name.value: base64.b64encode(color_table(name).tobytes()).decode() for name in Colormap}


class _PageFiles(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(_CACHE_CONTROL)
        return response


def static_files() -> StaticFiles:
    """The page's static files."""
    return _PageFiles(directory=WEB)
