"""API keys: secrets of which a request must carry one."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from depthsvc.errors import ConfigurationError
from depthsvc.settings import Settings


class ApiKeys:
    """A set of keys that can be asked about one, in a time that does not depend on which it is."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Raises ConfigurationError for a key that no header can carry."""
        keys = list(keys)
        if not all(key.isascii() and key.isprintable() for key in keys):
            raise ConfigurationError("An API key has other characters than ASCII. Make one: openssl rand -hex 32")
        self._digests = [_digest(key) for key in keys]

    def __len__(self) -> int:
        return len(self._digests)

    def __contains__(self, key: str) -> bool:
        digest = _digest(key)
        return any([hmac.compare_digest(digest, known) for known in self._digests])  # noqa: C419  # all of them, always


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def api_keys(settings: Settings) -> ApiKeys:
    """The keys of the settings and of their file. Raises ConfigurationError if the file has none."""
    keys = [key.get_secret_value() for key in settings.api_keys]
    if settings.api_keys_file:
        keys += _keys_of_file(settings.api_keys_file)
    return ApiKeys(keys)


def _keys_of_file(path: Path) -> list[str]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The file of API keys {path} cannot be read: {error}") from error
    keys = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
    if not keys:
        raise ConfigurationError(f"The file of API keys {path} has no key, one a line.")
    return keys
