"""What a client and a service say to each other until a photo is answered or given up, without any input or output.

A conversation is a generator that says what to send and how long to pause, and is told what came of it.
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

_BACKOFF_S = (0.5, 10.0)
"""First and longest pause where the service does not say how long to wait; each is twice the last."""
_JITTER = 0.25
"""A pause is longer by up to this part, at random, so that many clients do not come back at the same moment."""

_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
"""Answers that say when to come back."""
_RETRIED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
"""Failures before any byte of an answer that may be chance. A photo's depth may be asked for twice without harm."""


@dataclass(frozen=True)
class Call:
    """One request, as often as it takes."""

    method: str
    path: str
    media_type: str
    """What a good answer is."""
    photo: bytes | None = None
    query: dict[str, Any] = field(default_factory=dict)

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        files = None if self.photo is None else {"image": ("photo", self.photo)}
        query = {name: str(value).lower() if isinstance(value, bool) else value for name, value in self.query.items()}
        return http.build_request(self.method, self.path, params=query, files=files)


@dataclass(frozen=True)
class Patience:
    """How often and how long to try again."""

    retries: int
    max_wait_s: float


Reply = httpx.Response | httpx.TransportError | None
Conversation = Generator[Call | float, Reply, httpx.Response]
"""Yields a call to make, or seconds to pause. It is sent what came of a call, and returns the good answer."""


def conversation(call: Call, patience: Patience) -> Conversation:
    """Try a call until there is an answer, or no reason or no time to try again."""
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
    """One try: a service that is not ready says so in the same words, with a 503."""
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
        raise ServiceUnreachable(f"{response.url} answers {what} instead of {call.media_type}. Is it depthsvc?")
    return response


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip()


def _pause_s(outcome: httpx.Response | httpx.TransportError, attempt: int) -> float | None:
    """Seconds until another try is worth it; None: never."""
    first, longest = _BACKOFF_S
    pause = min(first * 2.0**attempt, longest)
    if isinstance(outcome, httpx.Response):
        if outcome.status_code not in _BUSY:
            return None
        pause = max(_retry_after_s(outcome.headers.get("Retry-After", "")), pause if attempt else 0.0)
    elif not isinstance(outcome, _RETRIED):
        return None
    return pause * (1 + _JITTER * random.random())  # noqa: S311  # no secret


def _retry_after_s(value: str) -> float:
    """Seconds of a Retry-After header: a number or a date (RFC 9110, 10.2.3); the first pause if it is neither."""
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
    failure = ServiceUnreachable(f"{error.request.url}: {str(error).rstrip('.') or type(error).__name__}.")
    failure.__cause__ = error
    return failure


def _error_of(response: httpx.Response) -> RequestError:
    """The exception that the same failure raises where there is no service between, or RequestError itself."""
    problem = _problem(response)
    phrase = response.reason_phrase or f"status {response.status_code}"
    code = str(problem.get("code", phrase.lower().replace(" ", "_")))
    detail = str(problem.get("detail", f"{response.url} answers {response.status_code} {phrase}."))
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
