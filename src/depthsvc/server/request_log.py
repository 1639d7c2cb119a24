"""One log line per request, whether or not it reached a route."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

logger = logging.getLogger(__name__)


def log_request(status: int, client: tuple[str, int] | None, *, routine: bool = False, **facts: Any) -> None:
    """Log a finished request, at debug level if it is routine and did not fail.

    The line also carries structlog's context variables.
    """
    level = logging.DEBUG if routine and status < HTTPStatus.BAD_REQUEST else logging.INFO
    logger.log(level, "request", extra={"status": status, "client": client[0] if client else "", **facts})
