"""Errors as HTTP responses: application/problem+json (RFC 9457) with a stable code, for every failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from structlog.contextvars import bind_contextvars

from depthsvc.errors import (
    DeadlineExceeded,
    InvalidParameter,
    RequestError,
    Unauthorized,
    Unavailable,
    UpgradeRequired,
    problem_name,
    problem_reason,
)

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: Literal["about:blank"] = Field(
        default="about:blank", description="Always about:blank; `code` distinguishes the errors."
    )
    title: str = Field(description="The kind of error.")
    status: int = Field(description="The HTTP status.")
    code: str = Field(description="A stable name of the error kind, for programs.")
    detail: str = Field(description="What went wrong this time and what to do about it.")
    request_id: str = Field(description="The request's X-Request-ID; quote it when asking for help.")


PROBLEM_SCHEMA = {"Problem": Problem.model_json_schema()}
"""A component of the OpenAPI document, to which all errors refer."""

_RETRY_AFTER = {"Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer"}}}
_AUTHENTICATE = {"WWW-Authenticate": {"description": "How to send an API key.", "schema": {"type": "string"}}}
_HEADERS = {401: _AUTHENTICATE, 429: _RETRY_AFTER, 503: _RETRY_AFTER, 504: _RETRY_AFTER}


def document_errors(*errors: type[RequestError]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI documentation of the responses for these errors."""
    statuses: dict[int | str, dict[str, Any]] = {}
    for status in sorted({error.status for error in errors}):
        codes = ", ".join(sorted(f"`{error.code}`" for error in errors if error.status == status))
        statuses[status] = {
            "description": f"{HTTPStatus(status).phrase}: {codes}",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            "headers": _HEADERS.get(status, {}),
        }
    return statuses


def register(app: FastAPI) -> None:
    """Turn every exception of a route, and every unmatched request, into a problem response."""
    app.add_exception_handler(RequestError, _on_request_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)


def request_id_of(request: HTTPConnection) -> str:
    """The request's X-Request-ID."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def problem_response(
    request: HTTPConnection, problem: Problem, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The response for a problem."""
    bind_contextvars(code=problem.code, detail=problem.detail)
    return JSONResponse(problem.model_dump(), problem.status, headers=headers, media_type=MEDIA_TYPE)


def problem_of(error: RequestError, request_id: str) -> Problem:
    """The response body for an error."""
    return Problem(title=error.title, status=error.status, code=error.code, detail=error.detail, request_id=request_id)


def problem_headers(error: RequestError, retry_after_s: int) -> dict[str, str]:
    """Headers that the response for an error needs."""
    if isinstance(error, (Unavailable, DeadlineExceeded)):
        return {"Retry-After": str(retry_after_s)}
    if isinstance(error, UpgradeRequired):
        return {"Upgrade": "websocket", "Connection": "Upgrade"}
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": 'Bearer realm="depthsvc"'}
    return {}


async def _on_request_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestError)
    return error_response(request, error)


def error_response(request: HTTPConnection, error: RequestError) -> JSONResponse:
    """The response for an error."""
    headers = problem_headers(error, request.app.state.service.retry_after_s)
    return problem_response(request, problem_of(error, request_id_of(request)), headers)


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return error_response(request, InvalidParameter(_sentences(error.errors(), _docs(request))))


_MENTIONED = 3
"""Maximum number of invalid parameters that an error names: there may be thousands."""


def _sentences(problems: Sequence[Mapping[str, Any]], docs: str) -> str:
    mentioned = problems[:_MENTIONED]
    unknown = any(problem["type"] == "extra_forbidden" for problem in mentioned)
    reasons = " ".join(f"{problem_name(problem)}: {problem_reason(problem)}." for problem in mentioned)
    return f"{reasons} All parameters are listed at {docs}." if unknown else reasons


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    code, title = phrase.lower().replace(" ", "_"), phrase
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        return missing(request)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.url.path} does not accept {request.method}. Use a method from the Allow header."
    problem = Problem(
        title=title, status=error.status_code, code=code, detail=detail, request_id=request_id_of(request)
    )
    return problem_response(request, problem, error.headers)


def missing(request: HTTPConnection) -> JSONResponse:
    """The response where there is no route."""
    status = HTTPStatus.NOT_FOUND
    detail = f"There is nothing at {request.url.path}. The service's routes are listed at {_docs(request)}."
    problem = Problem(
        title=status.phrase, status=status, code="not_found", detail=detail, request_id=request_id_of(request)
    )
    return problem_response(request, problem)


def _docs(request: HTTPConnection) -> str:
    root_path = request.scope.get("app_root_path", request.scope["root_path"])  # `Mount` adds its own to the latter
    return f"{root_path}/docs"


def unforeseen(request: HTTPConnection) -> JSONResponse:
    """The response when an exception has left the application; the middleware logs it."""
    detail = "The service failed unexpectedly. Its log has the details under the request's id."
    return problem_response(request, problem_of(RequestError(detail), request_id_of(request)))
