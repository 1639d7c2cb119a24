"""A service on a real Ray that it starts itself, and batches that join it."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.batch.test_run import finish, report, start, statuses
from tests.conftest import RunningService, StartService, encoded, until
from tests.parity import photo

pytestmark = pytest.mark.ray

_KEY = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
"""Of this cluster: Ray lets in nobody else."""
_OF_ONE_ANSWER = {"date", "x-request-id", "server-timing"}


@pytest.fixture(scope="module")
def ray_service(start_service: StartService) -> RunningService:
    """A service of two replicas on a cluster that has room for two actors more."""
    options = ("--model", "embedded", "--workers", "2", "--ray-max-workers", "4", "--deadline-s", "60")
    return start_service("--ray", *options, environment=_KEY)


def processes(service: RunningService, kind: str) -> list[psutil.Process]:
    """Ray's processes of a kind, as it calls them."""
    return [process for process in service.family() if kind in " ".join(process.cmdline())]


def start_on(service: RunningService, *arguments: object) -> subprocess.Popen[str]:
    """A batch on the service's cluster."""
    [raylet] = [process for process in service.family() if process.name() == "raylet"]
    address = next(word for word in raylet.cmdline() if word.startswith("--gcs-address=")).partition("=")[2]
    return start(*arguments, "--model", "embedded", "--ray", "--ray-address", address, env={**os.environ, **_KEY})


def requests() -> list[tuple[str, bytes]]:
    """Fifty photos of all kinds for all routes; two of them cannot be decoded."""
    paths = ["/upload", "/upload?palette=true&colormap=viridis", "/depth?format=npy", "/pointcloud", "/bokeh"]
    formats = ["JPEG", "PNG", "WEBP"]
    sizes = [(60, 80), (80, 60), (64, 64), (33, 200), (240, 320)]
    photos = [encoded(photo(*sizes[seed % 5], seed), formats[seed % 3]) for seed in range(48)]
    photos += [photos[0][:300], encoded(photo(9, 9), "GIF")]
    return [(paths[number // 3 % 5], data) for number, data in enumerate(photos)]


def answer(url: str, path: str, data: bytes) -> dict[str, Any]:
    """All of an answer that does not change when it is asked for again."""
    response = httpx.post(url + path, files={"image": data}, timeout=60)
    body: Any = response.content
    if response.status_code != 200:
        body = {**response.json(), "request_id": None}
    headers = {name: value for name, value in response.headers.items() if name not in _OF_ONE_ANSWER}
    return {"status": response.status_code, "headers": headers, "body": body}


def test_fifty_photos_get_the_same_answers_as_from_the_plain_service(
    ray_service: RunningService, embedded_service: RunningService
) -> None:
    expected = [answer(embedded_service.url, *request) for request in requests()]
    assert [each["status"] for each in expected].count(200) == 48
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda request: answer(ray_service.url, *request), requests()))
    for (path, _), ours, theirs in zip(requests(), answers, expected, strict=True):
        assert ours == theirs, path


def test_a_killed_replica_costs_nobody_a_photo(ray_service: RunningService) -> None:
    data = encoded(photo(240, 320), "JPEG")
    health = httpx.get(f"{ray_service.url}/health").json()
    assert (health["status"], health["workers"]) == ("ok", {"configured": 2, "warm": 2, "restarts": 0})
    with ThreadPoolExecutor(4) as clients:
        coming = [clients.submit(answer, ray_service.url, "/upload?input_size=512", data) for _ in range(12)]
        until(lambda: coming[0].done())
        processes(ray_service, "ServeReplica")[0].kill()
        answers = [each.result() for each in coming]
    assert [each["status"] for each in answers] == [200] * 12
    assert len({each["body"] for each in answers}) == 1
    until(lambda: len(processes(ray_service, "ServeReplica")) >= 2)


def test_a_batch_loses_nothing_when_an_actor_is_killed(ray_service: RunningService, tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    (folder / "deeper").mkdir(parents=True)
    data = encoded(photo(240, 320), "JPEG")
    for number in range(40):
        (folder / "deeper" / f"{number:02}.jpg").write_bytes(data)
    (folder / "broken.jpg").write_bytes(data[:300])
    arguments = (folder, out, "--workers", 2, "--format", "npy", "--input-size", 512)

    batch = start_on(ray_service, *arguments)
    until(lambda: batch.poll() is not None or ((out / "report.jsonl").exists() and len(report(out)) >= 4))
    processes(ray_service, "MapWorker")[0].kill()
    status, errors = finish(batch)
    assert status == 1, errors
    assert "40 done in" in errors
    assert "1 failed (broken_image 1; see" in errors
    lines = report(out)
    assert {line["path"] for line in lines} == {str(path) for path in folder.rglob("*.jpg")}
    assert len(lines) == 41
    assert {line["model"] for line in lines if line["status"] == "ok"} == {"embedded"}
    results = list(out.rglob("*.npy"))
    assert len(results) == 40
    assert len({path.read_bytes() for path in results}) == 1
    assert [path for path in out.rglob("*") if path.name.endswith(".part")] == []

    (folder / "broken.jpg").unlink()
    (out / "deeper/07.jpg.npy").unlink()
    status, errors = finish(start_on(ray_service, *arguments))
    assert status == 0, errors
    assert "1 done" in errors
    assert "39 skipped, 0 failed" in errors


def test_a_batch_between_storages(
    ray_service: RunningService, tmp_path: Path, embedded_service: RunningService
) -> None:
    folder, out, written = tmp_path / "my photos", tmp_path / "out", tmp_path / "report.jsonl"
    (folder / "deeper").mkdir(parents=True)
    (folder / "deeper/a.png").write_bytes(encoded(photo(80, 60)))
    (folder / "no.jpg").write_bytes(b"no photo")
    batch = start_on(ray_service, folder.as_uri(), out.as_uri(), "--workers", 1, "--report", written)
    status, errors = finish(batch)
    assert status == 1, errors
    assert statuses(tmp_path) == {"a.png": "ok", "no.jpg": "failed"}
    assert {line["path"] for line in report(tmp_path)} == {
        f"{folder.as_uri()}/deeper/a.png",
        f"{folder.as_uri()}/no.jpg",
    }
    expected = answer(embedded_service.url, "/upload?palette=true", (folder / "deeper/a.png").read_bytes())
    assert (out / "deeper/a.png.png").read_bytes() == expected["body"]


def test_the_service_ends_and_nothing_of_it_stays(ray_service: RunningService) -> None:
    family = ray_service.family()
    assert len(family) > 5
    ray_service.process.send_signal(signal.SIGTERM)
    assert ray_service.process.wait(30) == 0
    assert psutil.wait_procs(family, timeout=20)[1] == []
    assert "Traceback" not in ray_service.log.read_text()
    assert re.search(r"2 to 4 replicas of Ray Serve \(local\), 1 thread", ray_service.announcement)
