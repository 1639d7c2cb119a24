"""API keys: a request must carry one of them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from depthsvc.errors import ConfigurationError
from depthsvc.settings import Settings


class ApiKeys:
    """A set of keys whose membership test takes constant time."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Raises ConfigurationError for a key that a header cannot carry."""
        keys = list(keys)
        if not all(key.isascii() and key.isprintable() for key in keys):
            raise ConfigurationError(
                "An API key contains non-printable or non-ASCII characters. Create one with: openssl rand -hex 32"
            )
        self._digests = [_digest(key) for key in keys]

    def __len__(self) -> int:
        return len(self._digests)

    def __contains__(self, key: str) -> bool:
        digest = _digest(key)
        return any([hmac.compare_digest(digest, known) for known in self._digests])  # noqa: C419  # compare all: constant time


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def api_keys(settings: Settings) -> ApiKeys:
    """The keys from the settings and from the key file. Raises ConfigurationError if the file has none."""
    keys = [key.get_secret_value() for key in settings.api_keys]
    if settings.api_keys_file:
        keys += _keys_of_file(settings.api_keys_file)
    return ApiKeys(keys)


def _keys_of_file(path: Path) -> list[str]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The API key file {path} cannot be read: {error}") from error
    keys = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
    if not keys:
        raise ConfigurationError(f"The API key file {path} contains no key. Write one per line.")
    return keys
