"""How failures of the pool reach a client, with a pool that fails on request."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from depthsvc import errors
from depthsvc.model.loading import PreparedModel
from depthsvc.model.registry import OutputKind, registered
from depthsvc.options import Options
from depthsvc.pipeline import Answer
from depthsvc.pool import RestartCause, WorkerPool
from depthsvc.server import photos
from depthsvc.server.app import create_app
from depthsvc.server.service import Service
from depthsvc.settings import Settings


class FailingPool:
    """Raises at once, gives a future that raises, or, with neither, a future that never ends."""

    workers, warm, waiting, in_flight, queue_size, expected_wait_s = 2, 1, 3, 4, 64, 6.2

    def __init__(self, at_once: Exception | None = None, later: Exception | None = None) -> None:
        self.restarts = Counter({RestartCause.CRASHED: 3, RestartCause.KILLED: 2})
        self.at_once = at_once
        self.later = later
        self.future: Future[Answer] = Future()

    def check_room(self) -> None:
        pass

    def submit(self, data: bytes, options: Options, *, deadline_s: float) -> Future[Answer]:
        if self.at_once:
            raise self.at_once
        if self.later:
            self.future.set_exception(self.later)
        return self.future


def ask(pool: FailingPool, method: str = "POST", path: str = "/depth", **settings: Any) -> httpx.Response:
    model = PreparedModel(
        "m", registered("embedded").input, OutputKind.INVERSE_DEPTH, Path("m"), "torchscript", degraded=False
    )
    app = create_app(Service(Settings(**settings), model, cast(WorkerPool, pool)))

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, content=b"photo", headers={"Content-Type": "image/png"})

    return asyncio.run(request())


@pytest.mark.parametrize(
    ("error", "status", "code", "retry"),
    [
        (errors.QueueFull("Busy."), 503, "queue_full", True),
        (errors.Unavailable("Closing."), 503, "unavailable", True),
        (errors.DeadlineExceeded("Late."), 504, "deadline_exceeded", True),
        (errors.WorkerCrashed("Dead."), 500, "worker_crashed", False),
        (errors.BrokenImage("Broken."), 400, "broken_image", False),
    ],
)
def test_request_errors_keep_their_status_code_and_message(
    error: errors.RequestError, status: int, code: str, retry: bool
) -> None:
    for pool in (FailingPool(at_once=error), FailingPool(later=error)):
        response = ask(pool)
        problem = response.json()
        assert (response.status_code, problem["code"], problem["detail"]) == (status, code, str(error))
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.headers.get("Retry-After") == ("7" if retry else None)


def test_what_no_one_foresaw_is_a_problem_that_tells_nothing_private() -> None:
    response = ask(FailingPool(later=RuntimeError("/secret/path")))
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert "secret" not in response.text
    assert response.headers["X-Request-ID"] == response.json()["request_id"] != ""


def test_the_deadline_holds_even_without_any_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "_DEADLINE_MARGIN_S", 0.01)
    pool = FailingPool()
    response = ask(pool, deadline_s=0.01)
    assert (response.status_code, response.json()["code"]) == (504, "deadline_exceeded")
    assert pool.future.cancelled()


def test_health_is_503_unless_every_worker_is_warm() -> None:
    response = ask(FailingPool(), "GET", "/health")
    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"
    assert response.json()["workers"] == {"configured": 2, "warm": 1, "restarts": 5}
    assert ask(FailingPool(), "GET", "/health/live").status_code == 200
