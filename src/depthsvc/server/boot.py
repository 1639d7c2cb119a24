"""The first second of the service: checks that need no model, and a head start for the workers.

Imports little itself, so that the fork server imports PyTorch while `run` imports the web framework.
"""

from __future__ import annotations

import signal
import socket

from depthsvc.errors import ConfigurationError
from depthsvc.pool.heap import bound_heap
from depthsvc.pool.preload import preload
from depthsvc.pool.processes import kill_children
from depthsvc.server.keys import api_keys
from depthsvc.settings import Settings


def serve(settings: Settings) -> None:
    """Run the service until a signal stops it.

    Raises ConfigurationError, ModelError or WeightsError if it cannot start, and OSError if it cannot listen.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    bound_heap()
    keys = api_keys(settings)  # report an unusable key file before the model is loaded
    listening = _listen(settings.host, settings.port)
    try:
        if not settings.ray:
            preload(settings)
        from depthsvc.server.lifecycle import run

        run(settings, listening, keys)
    finally:
        kill_children()


def _exit(*_: object) -> None:
    """Signal handler until the server runs."""
    raise SystemExit(0)


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket, to report a port in use before the model is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another with --host and --port."
        ) from error
    listening.set_inheritable(False)
    return listening
