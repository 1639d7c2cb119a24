"""GET /: the web page, whose files are part of the package."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

from depthsvc.imaging.colormaps import color_table
from depthsvc.imaging.photo.formats import formats_named
from depthsvc.imaging.spec import Colormap
from depthsvc.server.service import CurrentService

router = APIRouter(include_in_schema=False)

WEB = Path(__file__).parents[2] / "web"

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)
_SCRIPT_POLICY = "default-src 'none'; script-src 'self'; frame-ancestors 'none'"
"""A worker obeys the policy of its own file, not the page's, when it imports modules."""
_REVALIDATED = {"Cache-Control": "no-cache"}
_KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}
_VERSION = re.compile(r"[0-9a-f]{16}")


@router.head("/")
@router.get("/")
async def page(request: Request) -> HTMLResponse:
    """The web page, which asks for its files by their version."""
    headers = {"Content-Security-Policy": _CONTENT_SECURITY_POLICY, **_REVALIDATED}
    return HTMLResponse(_html(request.scope["root_path"]), headers=headers)


def _html(root_path: str) -> str:
    """index.html with addresses that hold with and without a slash at the end of its own.

    Without a known prefix they stay relative, so that they also hold under one that the service does not know.
    """
    return _template().replace('<base href="./">', f'<base href="{root_path or "."}/">')


@cache
def _template() -> str:
    return (WEB / "index.html").read_text("utf-8").replace('"static/', f'"static/{_version()}/')


@cache
def _version() -> str:
    """A name for the contents of all the page's files together, so that a new module never meets an old one."""
    digest = hashlib.sha256()
    for path in sorted(WEB.rglob("*.*")):
        digest.update(path.relative_to(WEB).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


@router.get("/static/colormaps.json")
async def colormaps() -> JSONResponse:
    """The colour tables, so that the page's heatmaps match the service's."""
    return JSONResponse(_colormaps(), headers=_REVALIDATED)


@router.get("/static/photos.json")
async def photo_formats(service: CurrentService) -> JSONResponse:
    """What the service accepts, so that the page offers, names and sends that: photo formats, sizes, live sessions."""
    formats = [
        {"name": format.name, "suffixes": format.suffixes, "media_types": format.media_types}
        for format in formats_named(service.settings.photo_formats)
    ]
    settings = service.settings
    content = {
        "formats": formats,
        "max_bytes": settings.max_upload_bytes,
        "max_pixels": settings.max_pixels,
        "max_input_size": settings.max_input_size,
        "live": settings.live_sessions > 0,
    }
    return JSONResponse(content, headers=_REVALIDATED)


@cache
def _colormaps() -> dict[str, str]:
    """Colormap name -> its 256 RGB triples from far to near, in base64."""
    return {name.value: base64.b64encode(color_table(name).tobytes()).decode() for name in Colormap}


class _PageFiles(StaticFiles):
    """Serves each file as `NAME` and as `VERSION/NAME`.

    While instances are being updated, a page of one may ask another for a version that it does not have. It gets the
    file of that name, which the browser does not keep.
    """

    async def get_response(self, path: str, scope: Scope) -> Response:
        version, _, name = path.partition("/")
        response = await super().get_response(name if _VERSION.fullmatch(version) else path, scope)
        response.headers.update(_KEPT if version == _version() else _REVALIDATED)
        if path.endswith(".js"):
            response.headers["Content-Security-Policy"] = _SCRIPT_POLICY
        return response


def static_files() -> StaticFiles:
    """The page's static files."""
    return _PageFiles(directory=WEB)
