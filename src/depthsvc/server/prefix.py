"""The path under which a proxy publishes the service, such as /depth."""

from __future__ import annotations

from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send


class PrefixMiddleware:
    """Makes every request's path what ASGI says it is: `root_path`, followed by the path of a route.

    Some proxies strip the prefix from the path, others keep it, and direct requests never had it. A path that is a
    route as it stands has been stripped, even where the prefix is called like one: POST /depth is the route.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        """`root_path`: the prefix of requests that do not come with one of their own."""
        self.app = app
        self.root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and (prefix := scope["root_path"] or self.root_path):
            path = scope["path"]
            if f"{path}/".startswith(f"{prefix}/") and not _is_route(scope):
                path = path[len(prefix) :] or "/"
            scope.update(root_path=prefix, path=prefix + path)
        await self.app(scope, receive, send)


def _is_route(scope: Scope) -> bool:
    as_it_stands = {**scope, "root_path": ""}
    return any(route.matches(as_it_stands)[0] is Match.FULL for route in scope["app"].routes)


def route_path(scope: Scope) -> str:
    """The path that routes see. Only `Mount` changes what this returns, when it passes the request on."""
    return str(scope["path"][len(scope["root_path"]) :])
