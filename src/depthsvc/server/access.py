"""Who may come in, where the service has API keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from depthsvc.errors import Unauthorized
from depthsvc.server.service import CurrentService

_Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
_Header = Annotated[str | None, Depends(APIKeyHeader(name="X-API-Key", auto_error=False))]


async def require_api_key(service: CurrentService, bearer: _Bearer, header: _Header) -> None:
    """Raises Unauthorized unless the request carries a key of the service, or the service has none."""
    if not service.api_keys:
        return
    given = bearer.credentials if bearer else header
    if not given:
        raise Unauthorized("Send an API key of this service: Authorization: Bearer KEY, or X-API-Key: KEY.")
    if given not in service.api_keys:
        raise Unauthorized("This API key is none of the service's. Ask who runs it for another.")
