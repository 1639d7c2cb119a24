"""Every way in which a request or a start can fail, with what the person who caused it is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DepthServiceError(Exception):
    """Base of all errors that depthsvc raises on purpose. The message is public."""


class ConfigurationError(DepthServiceError):
    """A setting, or a combination of settings, cannot work."""


class ModelError(DepthServiceError):
    """A model cannot be used: unknown, badly described, or it does not run."""


class WeightsError(ModelError):
    """A weights file is missing, or is refused. The message names the file and the reason."""


class DownloadError(WeightsError):
    """Weights could not be downloaded."""


class ServiceUnreachable(DepthServiceError):
    """A service cannot be reached, breaks off, or is not depthsvc."""


class RequestError(DepthServiceError):
    """One request cannot be answered. Carries what an HTTP answer needs.

    Each subclass has one meaning, with its own HTTP `status` and stable `code`. Instances cross process
    borders, so they are made from their message alone.
    """

    status: int = 500
    code: str = "internal_error"
    title: str = "The service failed"
    request_id: str = ""
    """The X-Request-ID of the answer that said so, where a service did."""

    @property
    def detail(self) -> str:
        """What went wrong and what to do about it."""
        return str(self)


class MissingImage(RequestError):
    status, code, title = 400, "missing_image", "No image in the request"


class MalformedBody(RequestError):
    status, code, title = 400, "malformed_body", "The request body cannot be parsed"


class NotAnImage(RequestError):
    status, code, title = 400, "not_an_image", "Not an image"


class BrokenImage(RequestError):
    status, code, title = 400, "broken_image", "The image is damaged"


class MalformedRequest(RequestError):
    status, code, title = 400, "malformed_request", "Not an HTTP request"


class Unauthorized(RequestError):
    status, code, title = 401, "unauthorized", "No valid API key"


class ClientTimeout(RequestError):
    status, code, title = 408, "request_timeout", "The request came too slowly"


class BodyTooLarge(RequestError):
    status, code, title = 413, "body_too_large", "The request body is too large"


class UnsupportedMediaType(RequestError):
    status, code, title = 415, "unsupported_media_type", "This type of content is not taken"


class InvalidParameter(RequestError):
    status, code, title = 422, "invalid_parameter", "A parameter is not valid"


class TooManyPixels(RequestError):
    status, code, title = 422, "too_many_pixels", "The image has too many pixels"


class TooManyRequests(RequestError):
    """Said by a proxy that limits its clients; the service itself does not."""

    status, code, title = 429, "too_many_requests", "Too many requests"


class HeadersTooLarge(RequestError):
    status, code, title = 431, "headers_too_large", "The request's headers are too large"


class ClientDisconnected(RequestError):
    """Nobody is left to read this; it is for the log and the metrics."""

    status, code, title = 499, "client_disconnected", "The client has gone"


class WorkerCrashed(RequestError):
    status, code, title = 500, "worker_crashed", "The worker process died on this photo"


class Unavailable(RequestError):
    """The service cannot take the request now; the same request may succeed later."""

    status, code, title = 503, "unavailable", "The service is not available"


class QueueFull(Unavailable):
    code, title = "queue_full", "The service is busy"


class DeadlineExceeded(RequestError):
    status, code, title = 504, "deadline_exceeded", "The photo took too long"


_SHOWN = 64
"""Longest part of a client's own words that is repeated to it."""


def problem_name(problem: Mapping[str, Any]) -> str:
    """What one of pydantic's errors is about: the last name of its location."""
    return str(problem["loc"][-1])[:_SHOWN] if problem["loc"] else ""


def problem_reason(problem: Mapping[str, Any], noun: str = "parameter", *, echo: bool = False) -> str:
    """One of pydantic's errors in words, without a full stop.

    `noun`: what a name stands for there. `echo`: whether to repeat a value that is out of bounds.
    """
    given = repr(problem["input"])[:_SHOWN]
    if problem["type"] == "extra_forbidden":
        return f"there is no such {noun}"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] == "enum":
        return f"{given} is not one of {problem['ctx']['expected'].replace(chr(39), '').replace(' or ', ', ')}"
    return f"{problem['msg']}, not {given}" if echo else str(problem["msg"])
