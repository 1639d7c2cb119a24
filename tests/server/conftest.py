"""A service in this process whose pool does as it is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import httpx

from depthsvc.imaging.spec import DepthKind, Enlargement
from depthsvc.model.choice import EngineChoice
from depthsvc.model.registry import registered
from depthsvc.model.spec import ModelSpec, OutputKind, PreparedModel, VerifiedFile
from depthsvc.options import Options
from depthsvc.pipeline.answer import Answer
from depthsvc.pool.base import PhotoPool, RestartCause
from depthsvc.server.app import create_app
from depthsvc.server.clients import ForwardedMiddleware, TrustedProxies
from depthsvc.server.keys import api_keys
from depthsvc.server.service import Service
from depthsvc.settings import Settings
from tests.conftest import encoded
from tests.parity import photo

PHOTO = encoded(photo(30, 40))


class FailingPool:
    """Raises at once, gives a future that raises, or, with neither, a future that never ends."""

    workers, warm, waiting, in_flight, queue_size, expected_wait_s = 2, 1, 3, 4, 64, 6.2

    def __init__(self, at_once: Exception | None = None, later: Exception | None = None) -> None:
        self.restarts = Counter({RestartCause.CRASHED: 3, RestartCause.KILLED: 2})
        self.start_failure: str | None = None
        self.at_once = at_once
        self.later = later
        self.future: Future[Answer] = Future()

    def check_room(self, client: str) -> None:
        pass

    def is_waiting(self, photo: Future[Answer]) -> bool:
        return not photo.running()

    def submit(self, data: bytes, options: Options, *, deadline_s: float, price: float, client: str) -> Future[Answer]:
        if self.at_once:
            raise self.at_once
        if self.later:
            self.future.set_exception(self.later)
        return self.future


def ask(
    pool: FailingPool,
    method: str = "POST",
    path: str = "/depth",
    headers: Mapping[str, str | bytes] | None = None,
    proxies: str = "127.0.0.1",
    **settings: Any,
) -> httpx.Response:
    """What a service with this pool and these settings answers to one request, which comes from 127.0.0.1."""
    spec = ModelSpec("m", registered("embedded").spec.input, OutputKind.INVERSE_DEPTH)
    model = PreparedModel(spec, VerifiedFile(Path("m"), ""), EngineChoice())
    chosen = Settings(**settings)
    app = ForwardedMiddleware(
        create_app(Service(chosen, (model,), cast(PhotoPool, pool), api_keys(chosen))), TrustedProxies(proxies)
    )

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            all_headers: dict[Any, Any] = {"Content-Type": "image/png", **(headers or {})}
            return await client.request(method, path, content=PHOTO, headers=all_headers)

    return asyncio.run(request())


def answered(body: bytes = b"heatmap") -> FailingPool:
    """A pool that has this answer for every photo."""
    pool = FailingPool()
    seconds = {"queue": 0.002, "decode": 0.01, "infer": 0.1, "render": 0.02}
    pool.future.set_result(
        Answer(body, "image/png", "uint8", (3, 4), 0.5, 9.0, "m", DepthKind.INVERSE_DEPTH, Enlargement.BICUBIC, seconds)
    )
    return pool
