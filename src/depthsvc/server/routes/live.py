"""WS /live: frames of a stream in, their depth out. And GET /live, for whoever comes without a WebSocket."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter, Request, Response, WebSocket, WebSocketDisconnect
from structlog.contextvars import bind_contextvars

from depthsvc import errors
from depthsvc.server.clients import client_of
from depthsvc.server.live.entrance import SUBPROTOCOL, check_entrance, offered
from depthsvc.server.live.session import LiveSession
from depthsvc.server.problems import error_response
from depthsvc.server.service import CurrentService, Service

router = APIRouter(include_in_schema=False)


@router.get("/live")
async def about_live(request: Request, service: CurrentService) -> Response:
    """The error that a WebSocket would get here, or that this route is one. OpenAPI has no words for WebSockets."""
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
    with service.live.admit(client), suppress(WebSocketDisconnect):
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered(websocket) else None)
        session = LiveSession(service, websocket, client)
        try:
            reason = await session.run()
        finally:
            bind_contextvars(frames=session.frames, dropped=session.dropped, failed=session.failed)
        if reason:
            bind_contextvars(code=reason)
