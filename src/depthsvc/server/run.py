"""Starting the service: model, pool, HTTP server, in this order."""

from __future__ import annotations

import logging
import math
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import uvicorn

from depthsvc.errors import ConfigurationError, ModelError
from depthsvc.model.loading import PreparedModel, ResolvedModel, prepare, resolve
from depthsvc.pool import WorkerConfig, WorkerPool, fork_server, start_fork_server
from depthsvc.server.app import create_app
from depthsvc.server.service import Service
from depthsvc.settings import Settings

logger = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Run the service until a signal ends it.

    Raises ConfigurationError, ModelError or WeightsError if it cannot start, and OSError if it cannot listen.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    listening = _listen(settings.host, settings.port)
    start_fork_server()
    resolved = resolve(settings.model, settings.weights_locations)
    logger.info("loading %s; its first start on a machine takes longer", resolved.name)
    model = prepare_apart(resolved, settings)
    worker = WorkerConfig(model, settings.threads_per_worker, settings.max_pixels, settings.max_input_size)
    with WorkerPool(worker, workers=settings.workers, queue_size=settings.queue_size) as pool:
        pool.wait_until_warm()
        config = uvicorn.Config(
            create_app(Service(settings, model, pool)),
            log_config=None,
            timeout_graceful_shutdown=math.ceil(settings.drain_s),
            server_header=False,
        )
        server = _Server(config, announce=lambda: _announce(settings, model, listening))
        try:
            server.run(sockets=[listening])
        finally:
            logger.info("stopped")


def _exit(*_: object) -> None:
    """End in order: uvicorn stops gracefully by itself and then raises the signal again."""
    raise SystemExit(0)


class _Server(uvicorn.Server):
    """Says so once it listens."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()


def prepare_apart(model: ResolvedModel, settings: Settings) -> PreparedModel:
    """`prepare` in a process of its own, so that the server never has to hold torch in its memory."""
    with ProcessPoolExecutor(1, mp_context=fork_server()) as executor:
        try:
            return executor.submit(prepare, model, settings.cache_dir).result()
        except BrokenProcessPool as error:
            raise ModelError(
                f"The process that prepares {model.name} was killed. Is there too little memory?"
            ) from error


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket: a port that is taken is found out before the model is loaded."""
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


def _announce(settings: Settings, model: PreparedModel, listening: socket.socket) -> None:
    host, port = listening.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    fallback = "  (FALLBACK: MiDaS_small could not be had)" if model.degraded else ""
    print(
        f"depthsvc is ready at http://{shown}:{port}\n"
        f"  model    {model.name}{fallback}\n"
        f"  engine   {model.engine}, {settings.precision}\n"
        f"  workers  {settings.workers}, {settings.threads_per_worker} thread(s) each",
        flush=True,
    )
