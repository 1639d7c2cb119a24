"""File descriptors of this process: as many as the connections need, or else fewer connections."""

from __future__ import annotations

import logging
import resource
import sys
from contextlib import suppress

from depthsvc.server.roster import MAX_GUESTS
from depthsvc.settings import Settings

logger = logging.getLogger(__name__)

_OWN = 100
"""Descriptors of the process itself, such as its logs and the files that it reads: about 16, and room to spare."""
_PER_WORKER = 6
"""Descriptors for a worker: 5, and room to spare."""


def connection_limit(settings: Settings) -> int:
    """How many connections this process may have open: `max_connections`, unless it may not open as many files.

    Raises the limit on open files (RLIMIT_NOFILE) as far as needed and allowed.
    """
    reserve = _OWN + _PER_WORKER * settings.workers + MAX_GUESTS
    needed = settings.max_connections + reserve
    files = _raise_limit(needed)
    if files >= needed:
        return settings.max_connections
    limit = max(1, files - reserve)
    logger.warning(
        "at most %d connections instead of %d: this process may open %d files only, and %d are needed; raise the hard "
        "limit (LimitNOFILE in systemd, --ulimit nofile in Docker, ulimit -Hn in a shell) or lower "
        "DEPTHSVC_MAX_CONNECTIONS",
        limit,
        settings.max_connections,
        files,
        needed,
    )
    return limit


def _raise_limit(needed: int) -> int:
    """This process's limit on open files, raised to `needed` if the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _number(soft) < needed:
        with suppress(ValueError, OSError):  # macOS allows less than its hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, _number(hard)), hard))
    return _number(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _number(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit
