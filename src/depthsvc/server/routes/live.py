"""WS /live: frames of a stream in, their depth out. And GET /live, for whoever comes without a WebSocket."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response, WebSocket
from structlog.contextvars import bind_contextvars

from depthsvc import errors
from depthsvc.server.clients import client_of
from depthsvc.server.live.entrance import SUBPROTOCOL, check_entrance, offered
from depthsvc.server.live.session import LiveSession
from depthsvc.server.problems import document_errors, error_response
from depthsvc.server.service import CurrentService, Service

router = APIRouter(tags=["depth"])

_ERRORS = document_errors(
    errors.Unauthorized, errors.OriginNotAllowed, errors.UpgradeRequired, errors.TooManyRequests, errors.LiveFull
)


@router.get("/live", summary="Frames of a stream by WebSocket", status_code=101, responses=_ERRORS)
async def about_live(request: Request, service: CurrentService) -> Response:
    """A WebSocket: frames in, their steadied depth out, as docs/live.md describes. Without one, the error that a
    WebSocket would get here, or that this route is one."""
    check_entrance(request, service)
    raise errors.UpgradeRequired("Open /live as a WebSocket of version 13: ws://, or wss:// where this is https://.")


@router.websocket("/live")
async def live(websocket: WebSocket) -> None:
    """One session."""
    service: Service = websocket.app.state.service
    client = client_of(websocket.scope)
    try:
        check_entrance(websocket, service)
    except errors.RequestError as error:
        await websocket.send_denial_response(error_response(websocket, error))
        return
    with service.live.admit(client):
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered(websocket) else None)
        session = LiveSession(service, websocket, client)
        try:
            reason = await session.run()
        finally:
            bind_contextvars(frames=session.frames, dropped=session.dropped, failed=session.failed)
        if reason:
            bind_contextvars(code=reason)
