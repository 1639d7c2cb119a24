"""One line in the log for each request, whether or not it ever reached a route."""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger(__name__)


def log_request(status: int, client: tuple[str, int] | None, **facts: Any) -> None:
    """Log a request that is over. What is bound to structlog's context variables is in the line as well."""
    logger.info("request", extra={"status": status, "client": client[0] if client else "", **facts})
