"""One log line per request, whether or not it reached a route."""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger(__name__)


def log_request(status: int, client: tuple[str, int] | None, **facts: Any) -> None:
    """Log a finished request. The line also carries structlog's context variables."""
    logger.info("request", extra={"status": status, "client": client[0] if client else "", **facts})
