"""The first second of the service: checks that need no model, and a head start for the workers.

Imports little itself, so that the fork server imports PyTorch while `run` imports the web framework.
"""

from __future__ import annotations

import signal

from depthsvc.pool.heap import bound_heap
from depthsvc.pool.preload import preload
from depthsvc.pool.processes import kill_children
from depthsvc.server.clients import trusted_proxies
from depthsvc.server.keys import api_keys
from depthsvc.server.listening import bound_socket
from depthsvc.settings import Settings


def serve(settings: Settings) -> None:
    """Run the service until a signal stops it.

    Raises ConfigurationError, ModelError or WeightsError if it cannot start, and OSError if it cannot listen.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    bound_heap()
    keys, proxies = api_keys(settings), trusted_proxies()  # report what is unusable before the model is loaded
    listening = bound_socket(settings.host, settings.port, settings.client_timeout_s)
    try:
        if not settings.ray:
            preload(settings)
        from depthsvc.server.lifecycle import run

        run(settings, listening, keys, proxies)
    finally:
        kill_children()


def _exit(*_: object) -> None:
    """Signal handler until the server runs."""
    raise SystemExit(0)
