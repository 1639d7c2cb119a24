"""Access control for a service with API keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from depthsvc.errors import Unauthorized
from depthsvc.server.keys import ApiKeys
from depthsvc.server.service import CurrentService

_Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
_Header = Annotated[str | None, Depends(APIKeyHeader(name="X-API-Key", auto_error=False))]


async def require_api_key(service: CurrentService, bearer: _Bearer, header: _Header) -> None:
    """Raises Unauthorized if the service has keys and the request carries none of them."""
    check_key(service.api_keys, bearer.credentials if bearer else header)


def check_key(keys: ApiKeys, given: str | None) -> None:
    """Raises Unauthorized if a service has keys and this is none of them."""
    if not keys:
        return
    if not given:
        raise Unauthorized("Send an API key of this service: Authorization: Bearer KEY, or X-API-Key: KEY.")
    if given not in keys:
        raise Unauthorized("Unknown API key. Ask the service's operator for a valid one.")
