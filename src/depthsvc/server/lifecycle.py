"""The running service: model, pool and HTTP server, started in this order."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from types import FrameType
from typing import NamedTuple

import uvicorn

from depthsvc.model.spec import PreparedModel
from depthsvc.pool.base import PhotoPool
from depthsvc.pool.config import PoolConfig
from depthsvc.pool.fitting import deadline_s, shared_bytes, worker_bytes
from depthsvc.pool.launch import engine_text, pool_config
from depthsvc.pool.workers import WorkerPool
from depthsvc.server.app import create_app
from depthsvc.server.clients import ForwardedMiddleware, TrustedProxies
from depthsvc.server.connection import BoundedProtocol
from depthsvc.server.descriptors import connection_limit
from depthsvc.server.keys import ApiKeys
from depthsvc.server.listening import last_connections
from depthsvc.server.live.messages import ID_BYTES
from depthsvc.server.roster import Roster
from depthsvc.server.service import Service
from depthsvc.server.websocket import BoundedWebSocket
from depthsvc.settings import LogFormat, Settings

logger = logging.getLogger(__name__)

_WORTH_TELLING = 50e6
"""Bytes of weights that are not small beside a worker."""


class _Served(NamedTuple):
    """What a service is made of."""

    settings: Settings
    """As they fit the models and this machine."""
    models: tuple[PreparedModel, ...]
    pool: PhotoPool
    words: str
    """The workers, for people."""


def run(settings: Settings, listening: socket.socket, keys: ApiKeys, proxies: TrustedProxies) -> None:
    """Run the service on a bound socket until a signal stops it; for errors see `depthsvc.server.boot`."""
    roster = Roster(connection_limit(settings), proxies)
    with (_replicas if settings.ray else _processes)(settings) as (settings, models, pool, words):
        service = Service(settings, models, pool, keys)
        server = _Server(service, listening, roster, proxies, announce=lambda: _announce(service, listening, words))
        server.run(sockets=[listening])
        service.close()
        logger.info("stopped")
    if server.force_exit:
        raise SystemExit(1)


@contextmanager
def _processes(settings: Settings) -> Iterator[_Served]:
    config = pool_config(settings, serving=True)
    models, words = config.worker.models, _workers_text(settings, config)
    fields = {"workers": config.workers, "deadline_s": deadline_s(settings, models)}
    settings = settings.model_copy(update=fields)
    with WorkerPool(
        config.worker,
        workers=config.workers,
        queue_size=settings.queue_size,
        max_photos_per_worker=settings.max_photos_per_worker,
    ) as pool:
        pool.wait_until_warm()
        yield _Served(settings, models, pool, words)


@contextmanager
def _replicas(settings: Settings) -> Iterator[_Served]:
    from depthsvc.cluster.serving import replicas

    with replicas(settings) as (model, pool):
        yield _Served(settings, (model,), pool, _replicas_text(settings))


class _Server(uvicorn.Server):
    """Stops in two steps: first it refuses new photos while it finishes the accepted ones, then it stops listening."""

    def __init__(
        self,
        service: Service,
        listening: socket.socket,
        roster: Roster,
        proxies: TrustedProxies,
        announce: Callable[[], None],
    ) -> None:
        """`announce` is called once the server listens."""
        settings = service.settings
        self._protocol = BoundedProtocol.bounded(
            stall_s=settings.client_timeout_s,
            roster=roster,
            on_refusal=service.metrics.count_refusal,
            retry_after_s=lambda: service.retry_after_s,
        )
        super().__init__(
            uvicorn.Config(
                ForwardedMiddleware(create_app(service), proxies),
                http=self._protocol,
                proxy_headers=False,
                ws=BoundedWebSocket.bounded(stall_s=settings.client_timeout_s),
                ws_max_size=ID_BYTES + settings.live_frame_bytes,
                ws_ping_timeout=settings.client_timeout_s,
                ws_per_message_deflate=False,
                log_config=None,
                access_log=False,
                server_header=False,
            )
        )
        self._service = service
        self._listening = listening
        self._announce = announce
        self._said_so = False
        self._drained_by = math.inf
        """Latest end of draining, on time.monotonic()'s clock."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal starts draining, the second stops the server at once."""
        if self._service.draining:
            self.should_exit = self.force_exit = True
        else:
            self._service.draining = True
            self._drained_by = time.monotonic() + self._service.settings.drain_s

    async def on_tick(self, counter: int) -> bool:
        left_s = self._drained_by - time.monotonic()
        if self._service.draining and not self._said_so:
            self._said_so = True
            self._service.live.draining.set()
            logger.info("draining: finishing %d accepted photos", self._service.accepted)
        finished = self._service.accepted == 0 and not len(self._service.live)
        if self._service.draining and (finished or left_s <= 0):
            self.config.timeout_graceful_shutdown = max(0, math.ceil(left_s))
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening without resetting clients that have just connected, then shut down as uvicorn does."""
        with self._listening.dup() as last:
            for server in self.servers:
                server.close()
            self._listening.close()
            waiting = list(last_connections(last))
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._protocol(self.config, self.server_state, self.lifespan.state), connection
            )
        await super().shutdown(sockets)


def _announce(service: Service, listening: socket.socket, workers: str) -> None:
    settings, models = service.settings, service.models
    host, port = listening.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    address = f"http://{shown}:{port}"
    names = ", ".join(model.name for model in models)
    fallback = "  (FALLBACK: MiDaS_small is not available)" if any(model.degraded for model in models) else ""
    engines = "".join(f"  engine   {_engine(model, models)}\n" for model in models)
    access = f"{len(service.api_keys)} API key(s)" if service.api_keys else _open_to(host)
    if settings.log_format is not LogFormat.JSON:  # whoever collects the lines would get some that are not JSON
        with suppress(OSError):  # nobody has to read it
            print(
                f"depthsvc is ready at {address}\n"
                f"  model    {names}{fallback}\n"
                f"{engines}"
                f"  workers  {workers}\n"
                f"  access   {access}",
                flush=True,
            )
    logger.info("ready at %s with %s and %d workers, %s", address, names, service.pool.workers, access)


def _open_to(host: str) -> str:
    """Who can use it without an API key."""
    return "open to this machine" if ip_address(host).is_loopback else "open to everyone who can reach it"


def _engine(model: PreparedModel, models: tuple[PreparedModel, ...]) -> str:
    """Its engine, and of several models which one's it is."""
    return f"{engine_text(model)} for {model.name}" if len(models) > 1 else engine_text(model)


def _workers_text(settings: Settings, config: PoolConfig) -> str:
    models = config.worker.models
    words = [str(config.workers), f"{models[0].choice.threads} thread(s) each"]
    if config.gpu:
        words.append(f"as {config.gpu}")
    else:
        words.append(f"about {worker_bytes(settings, models) / 1e9:.1f} GB each")
        if (shared := shared_bytes(models)) > _WORTH_TELLING:
            words.append(f"{shared / 1e9:.1f} GB of weights together")
        if config.workers < settings.workers:
            words.append("as many as this machine's memory holds")
    return ", ".join(words)


def _replicas_text(settings: Settings) -> str:
    most = f" to {settings.ray_max_workers}" if settings.ray_max_workers else ""
    replicas = f"{settings.workers}{most} replicas of Ray Serve ({settings.ray_address})"
    return f"{replicas}, {settings.threads_per_worker} thread(s) each"
