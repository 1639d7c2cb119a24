"""What both clients share."""

from __future__ import annotations

import math
from typing import Any

import httpx

from depthsvc.client.conversation import Patience
from depthsvc.errors import ConfigurationError
from depthsvc.version import __version__

DEFAULT_URL = "http://127.0.0.1:7860"
"""Where `depthsvc serve` listens by default."""

_LAST_PORT = 65_535
_CONNECT_S = 10.0
"""Time limit for connecting, in seconds."""


class BaseClient:
    """What both clients share: the URL, the connection's settings and the patience."""

    def __init__(self, url: str, api_key: str | None, timeout_s: float, retries: int, max_wait_s: float) -> None:
        try:
            parsed = httpx.URL(url)
            valid = parsed.scheme in ("http", "https") and parsed.host and (parsed.port or 0) <= _LAST_PORT
        except httpx.InvalidURL:
            valid = False
        if not valid:
            raise ConfigurationError(f"{url!r} is not the URL of a service. Use one such as {DEFAULT_URL}.")
        for name, value, least in (
            ("timeout_s", timeout_s, 1e-3),
            ("retries", retries, 0),
            ("max_wait_s", max_wait_s, 0),
        ):
            if not isinstance(value, (int, float)) or not least <= value < math.inf:
                raise ConfigurationError(f"{name}: {value!r} is not a number of at least {least:g}.")
        self.url = url.rstrip("/")
        self._patience = Patience(retries, max_wait_s)
        headers = {"User-Agent": f"depthsvc/{__version__}"}
        if api_key:
            if not (isinstance(api_key, str) and api_key.isascii() and api_key.isprintable()):
                raise ConfigurationError(
                    "The API key contains characters that a header cannot carry. Use printable ASCII."
                )
            headers["Authorization"] = f"Bearer {api_key}"
        self._connection: dict[str, Any] = {
            "base_url": self.url,
            "headers": headers,
            "timeout": httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)),
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"
