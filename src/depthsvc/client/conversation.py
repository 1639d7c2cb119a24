"""Retries, pauses and errors of one call, without I/O, for both clients.

A conversation is a generator that yields what to send and how long to pause, and is sent the outcome.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

from depthsvc.errors import RequestError, ServiceUnreachable
from depthsvc.outbound.failures import reason, untrusted_certificate

_BACKOFF_S = (0.5, 10.0)
"""First and longest pause when the service does not say how long to wait; each is twice the one before."""
_JITTER = 0.25
"""Pauses are extended at random by up to this fraction, so that many clients do not return at the same moment."""

_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
"""Responses that say when to come back."""
_RETRIED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
"""Transient failures; safe to retry, because requests are idempotent."""


@dataclass(frozen=True)
class Call:
    """One request, which may be sent several times."""

    method: str
    path: str
    media_type: str
    """Media type of a successful response."""
    photo: bytes | None = None
    query: dict[str, Any] = field(default_factory=dict)

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        files = None if self.photo is None else {"image": ("photo", self.photo)}
        query = {name: str(value).lower() if isinstance(value, bool) else value for name, value in self.query.items()}
        return http.build_request(self.method, self.path, params=query, files=files)


@dataclass(frozen=True)
class Patience:
    """Limits on retrying."""

    retries: int
    max_wait_s: float


Reply = httpx.Response | httpx.TransportError | None
Conversation = Generator[Call | float, Reply, httpx.Response]
"""Yields a call to make or seconds to pause, is sent the call's outcome, and returns the successful response."""


def conversation(call: Call, patience: Patience) -> Conversation:
    """Try a call until it succeeds, cannot be retried, or runs out of retries or time."""
    waited = 0.0
    for attempt in itertools.count():
        outcome = yield call
        assert outcome is not None
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            return _check_response(outcome, call)
        failure = _failure(outcome)
        pause = _pause_s(outcome, attempt)
        if pause is None or attempt >= patience.retries or waited + pause > patience.max_wait_s:
            raise failure
        waited += pause
        yield pause
    raise AssertionError("count() never ends")


def health_conversation(call: Call) -> Conversation:
    """One try: a service that is not ready sends the same body with a 503."""
    outcome = yield call
    assert outcome is not None
    if isinstance(outcome, httpx.Response):
        readiness = outcome.is_success or outcome.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        if readiness and _media_type(outcome) == call.media_type:
            return outcome
    raise _failure(outcome)


def _check_response(response: httpx.Response, call: Call) -> httpx.Response:
    if _media_type(response) != call.media_type or not response.content:
        what = _media_type(response) or "no Content-Type"
        raise ServiceUnreachable(f"{response.url} returned {what} instead of {call.media_type}. Is it depthsvc?")
    return response


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _pause_s(outcome: httpx.Response | httpx.TransportError, attempt: int) -> float | None:
    """Seconds to wait before the next try; None: do not retry."""
    first, longest = _BACKOFF_S
    pause = min(first * 2.0**attempt, longest)
    if isinstance(outcome, httpx.Response):
        if outcome.status_code not in _BUSY:
            return None
        pause = max(_retry_after_s(outcome.headers.get("Retry-After", "")), pause if attempt else 0.0)
    elif not isinstance(outcome, _RETRIED) or untrusted_certificate(outcome):
        return None
    return pause * (1 + _JITTER * random.random())  # noqa: S311  # not a secret


def _retry_after_s(value: str) -> float:
    """Seconds in a Retry-After header, a number or a date (RFC 9110, 10.2.3); the first pause if it is neither."""
    if value.strip().isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
        return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return _BACKOFF_S[0]


def _failure(outcome: httpx.Response | httpx.TransportError) -> RequestError | ServiceUnreachable:
    if isinstance(outcome, httpx.Response):
        return _error_of(outcome)
    return unreachable(outcome)


def unreachable(error: httpx.RequestError) -> ServiceUnreachable:
    failure = ServiceUnreachable(f"{error.request.url}: {reason(error)}.")
    failure.__cause__ = error
    return failure


def _error_of(response: httpx.Response) -> RequestError:
    """The exception with the response's error code, or RequestError itself for an unknown code."""
    problem = _problem(response)
    phrase = response.reason_phrase or f"status {response.status_code}"
    code = str(problem.get("code", phrase.lower().replace(" ", "_")))
    detail = str(problem.get("detail", f"{response.url} returned {response.status_code} {phrase}."))
    error = _errors_by_code(RequestError).get(code, RequestError)(detail)
    error.status, error.code = response.status_code, code
    error.title = str(problem.get("title", phrase))
    error.request_id = str(problem.get("request_id", response.headers.get("X-Request-ID", "")))
    return error


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _errors_by_code(error: type[RequestError]) -> dict[str, type[RequestError]]:
    by_code = {error.code: error}
    for kind in error.__subclasses__():
        by_code.update(_errors_by_code(kind))
    return by_code
