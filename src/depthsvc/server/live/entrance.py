"""Who may open a live session: checked before the connection becomes a WebSocket."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from depthsvc.errors import OriginNotAllowed
from depthsvc.server.access import check_key
from depthsvc.server.clients import client_of
from depthsvc.server.service import Service

SUBPROTOCOL = "depthsvc.live"
_KEY = "depthsvc.key."
"""A subprotocol that carries an API key in base64url: a browser cannot send headers with a WebSocket."""
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def check_entrance(request: HTTPConnection, service: Service) -> None:
    """Raises OriginNotAllowed, Unauthorized, LiveFull or Unavailable."""
    _check_origin(request, service.settings.cors_origins)
    check_key(service.api_keys, _given_key(request))
    service.live.check_room(client_of(request.scope))


def offered(request: HTTPConnection) -> list[str]:
    """The subprotocols that the client offers."""
    values = request.headers.getlist("Sec-WebSocket-Protocol")
    return [word.strip() for value in values for word in value.split(",")]


def _given_key(request: HTTPConnection) -> str | None:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if key := request.headers.get("X-API-Key"):
        return key
    for word in offered(request):
        if word.startswith(_KEY):
            return _decoded(word.removeprefix(_KEY))
    return None


def _decoded(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:  # neither base64 in ASCII nor UTF-8
        return ""


def _check_origin(request: HTTPConnection, allowed: tuple[str, ...]) -> None:
    """Browsers let every page open a WebSocket to anywhere, and say which page it is. Programs say nothing."""
    origin = request.headers.get("Origin")
    if origin is None or "*" in allowed or origin in allowed or _is_own(origin, request):
        return
    raise OriginNotAllowed(
        "Another site's page may not open live sessions here. The service's operator can allow it with cors_origins."
    )


def _is_own(origin: str, request: HTTPConnection) -> bool:
    """Whether it is the origin of the service's own page, as the browser reaches it."""
    try:
        page = urlsplit(origin)
        ours = urlsplit(f"//{request.headers.get('Host', '')}")
        default = _PORTS.get(page.scheme)
        return (
            default is not None
            and page.hostname == ours.hostname
            and (page.port or default) == (ours.port or _PORTS.get(request.scope["scheme"], default))
        )
    except ValueError:
        return False
