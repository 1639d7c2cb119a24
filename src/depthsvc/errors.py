"""Every way a request or a start can fail, with a message for the person who caused it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import Any, Self


class DepthServiceError(Exception):
    """Base of all errors that depthsvc raises on purpose. The message is public."""


class ConfigurationError(DepthServiceError):
    """A setting, or a combination of settings, cannot work."""


class MissingExtra(ConfigurationError):
    """A package is needed that is not installed."""

    def __init__(self, subject: str, extra: str) -> None:
        """`subject`: what needs it, with its verb. `extra`: the part of depthsvc that brings it."""
        super().__init__(f"{subject}. Install it: {installation(extra)}")


def installation(extra: str) -> str:
    """The command that adds an extra to the Python that runs this."""
    return f"{shlex.quote(sys.executable)} -m pip install 'depthsvc[{extra}]'"


class ModelError(DepthServiceError):
    """A model cannot be used: unknown, badly described, or it does not run."""

    summary = "A worker cannot load the model. The log says why."
    """What everybody may read about it, without paths."""


class WeightsError(ModelError):
    """A weights file is missing or refused. The message names the file and the reason."""


class WeightsChanged(WeightsError):
    """A file is no longer the one whose SHA-256 was checked."""

    summary = "The model file has changed since the service started. The log says which."


class DownloadError(WeightsError):
    """Weights could not be downloaded."""


class DeviceLost(DepthServiceError):
    """The GPU can no longer be used by this process; another process can still use it."""


class ServiceUnreachable(DepthServiceError):
    """A service cannot be reached, drops the connection, or is not depthsvc."""


class VideoError(DepthServiceError):
    """A video cannot be read or written. The message names the file and the reason."""


class RequestError(DepthServiceError):
    """One request failed. Carries what the HTTP response needs.

    Each subclass has one meaning, with its own HTTP `status` and stable `code`. Instances are pickled between
    processes, so they are constructed from their message alone.
    """

    status: int = 500
    code: str = "internal_error"
    title: str = "The service failed"
    request_id: str = ""
    """X-Request-ID of the response that carried this error, if any."""

    setting: str = ""
    """Name of the setting whose limit was exceeded, if a higher one would help."""

    @property
    def detail(self) -> str:
        """What went wrong and what to do about it."""
        return str(self)

    def limited_by(self, setting: str) -> Self:
        """The same error, naming its `setting`."""
        self.setting = setting
        return self


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


class OriginNotAllowed(RequestError):
    status, code, title = 403, "origin_not_allowed", "This page may not use the service"


class ClientTimeout(RequestError):
    status, code, title = 408, "request_timeout", "The request was too slow"


class BodyTooLarge(RequestError):
    status, code, title = 413, "body_too_large", "The request body is too large"


class UnsupportedMediaType(RequestError):
    status, code, title = 415, "unsupported_media_type", "Unsupported content type"


class InvalidParameter(RequestError):
    status, code, title = 422, "invalid_parameter", "A parameter is not valid"


class TooManyPixels(RequestError):
    status, code, title = 422, "too_many_pixels", "The image has too many pixels"


class UpgradeRequired(RequestError):
    status, code, title = 426, "upgrade_required", "This route is a WebSocket"


class TooManyRequests(RequestError):
    """Sent by a proxy that limits its clients; the service itself never sends it."""

    status, code, title = 429, "too_many_requests", "Too many requests"


class TooExpensive(RequestError):
    status, code, title = 422, "too_expensive", "The photo would cost too much"


class HeadersTooLarge(RequestError):
    status, code, title = 431, "headers_too_large", "The request headers are too large"


class ClientDisconnected(RequestError):
    """Nobody is left to read this; it only shows up in the log and the metrics."""

    status, code, title = 499, "client_disconnected", "The client disconnected"


class WorkerCrashed(RequestError):
    status, code, title = 500, "worker_crashed", "The worker process died on this photo"


class Unavailable(RequestError):
    """The service cannot accept the request now; the same request may succeed later."""

    status, code, title = 503, "unavailable", "The service is not available"


class QueueFull(Unavailable):
    code, title = "queue_full", "The service is busy"


class LiveFull(Unavailable):
    code, title = "live_full", "No live session is left"


class DeadlineExceeded(RequestError):
    status, code, title = 504, "deadline_exceeded", "The photo took too long"


_SHOWN = 64
"""Maximum number of characters of a client's input that an error repeats."""


def problem_name(problem: Mapping[str, Any]) -> str:
    """The field that a pydantic error is about: the last name of its location, which may end with a list's index."""
    return next((part[:_SHOWN] for part in reversed(problem["loc"]) if isinstance(part, str)), "")


def problem_reason(problem: Mapping[str, Any], noun: str = "parameter", *, echo: bool = False) -> str:
    """A pydantic error in words, without a full stop.

    `noun`: what the field is, such as "parameter" or "setting". `echo`: whether to repeat an out-of-bounds value.
    """
    given = repr(problem["input"])[:_SHOWN]
    if problem["type"] == "extra_forbidden":
        return f"there is no such {noun}"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] == "enum":
        return f"{given} is not one of {problem['ctx']['expected'].replace(chr(39), '').replace(' or ', ', ')}"
    return f"{problem['msg']}, not {given}" if echo else str(problem["msg"])
