"""How failures of the pool reach a client, with a pool that fails on request."""

from __future__ import annotations

import pytest

from depthsvc import errors
from depthsvc.server.routes import photos
from tests.server.conftest import FailingPool, ask


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
    assert (response.status_code, response.json()["code"]) == (503, "queue_full")
    assert pool.future.cancelled()


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_health_is_503_unless_every_worker_is_warm(path: str) -> None:
    pool = FailingPool()
    pool.start_failure = "The model file has changed since the service started."
    response = ask(pool, "GET", path)
    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"
    assert response.json()["reason"] == pool.start_failure
    assert response.json()["workers"] == {"configured": 2, "warm": 1, "restarts": 5}
    assert ask(FailingPool(), "GET", "/health/live").status_code == 200
