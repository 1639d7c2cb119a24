"""A service and a batch on one cluster, and a batch that starts its own. The processes are Ray's, and real."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from tests.batch.test_run import finish, report, start, statuses, wait_for_lines
from tests.conftest import RunningService, encoded, services, until
from tests.live import FRAMES, asked, session, values_of
from tests.parity import photo
from tests.video.clips import clip, times

pytestmark = pytest.mark.ray

_KEY = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
"""Of this cluster: Ray lets in nobody else."""
_OF_ONE_ANSWER = {"date", "x-request-id", "server-timing"}
_START = """\
import logging, ray, sys
ray.init("local", num_cpus=4, include_dashboard=False, object_store_memory=100_000_000, logging_level=logging.ERROR)
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Cluster:
    """Ray on this machine, with room for two replicas and two actors."""

    process: subprocess.Popen[str]
    options: tuple[str, ...]
    """Of a service or a batch that is to join it."""

    def processes(self, kind: str) -> list[psutil.Process]:
        """Its processes of a kind, as Ray calls them."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in family if kind in command_line(process)]


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it ends just now
        return ""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    process = subprocess.Popen(
        [sys.executable, "-c", _START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **_KEY, "RAY_USAGE_STATS_ENABLED": "0"},
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    yield Cluster(process, ("--model", "embedded", "--workers", "2", "--ray", "--ray-address", address))
    process.communicate("", timeout=60)


@pytest.fixture(scope="module")
def ray_service(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service of two replicas, whose engine rounds as that of the plain service does."""
    with services(tmp_path_factory) as start:
        engine = ("--engine", "torchscript", "--worker-threads", "1")
        yield start(*cluster.options, *engine, "--deadline-s", "60", environment=_KEY)


def start_batch(*arguments: object) -> subprocess.Popen[str]:
    return start(*arguments, env={**os.environ, **_KEY})


def requests() -> list[tuple[str, bytes]]:
    """Fifty photos of all kinds for all routes; two of them cannot be decoded."""
    paths = ["/upload", "/upload?palette=true&colormap=viridis", "/depth?format=npy", "/pointcloud", "/bokeh"]
    formats = ["JPEG", "PNG", "WEBP"]
    sizes = [(60, 80), (80, 60), (64, 64), (33, 200), (240, 320)]
    photos = [encoded(photo(*sizes[seed % 5], seed), formats[seed % 3]) for seed in range(48)]
    photos += [photos[0][:300], b"%PDF-1.7"]
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


def test_a_live_session_gets_the_same_answers_as_from_the_plain_service(
    ray_service: RunningService, embedded_service: RunningService
) -> None:
    answers = []
    for service in (ray_service, embedded_service):
        with session(service) as socket:
            answers.append([asked(socket, number, picture) for number, picture in enumerate(FRAMES)])
    for there, here in zip(*answers, strict=True):
        assert there[0]["id"] == here[0]["id"]
        np.testing.assert_array_equal(values_of(*there), values_of(*here))


def test_a_killed_replica_costs_nobody_a_photo(cluster: Cluster, ray_service: RunningService) -> None:
    data = encoded(photo(240, 320), "JPEG")
    health = httpx.get(f"{ray_service.url}/health").json()
    assert (health["status"], health["workers"]) == ("ok", {"configured": 2, "warm": 2, "restarts": 0})
    with ThreadPoolExecutor(4) as clients:
        coming = [clients.submit(answer, ray_service.url, "/upload?input_size=512", data) for _ in range(12)]
        until(lambda: coming[0].done())
        killed = cluster.processes("ServeReplica")[0]
        killed.kill()
        answers = [each.result() for each in coming]
    assert [each["status"] for each in answers] == [200] * 12
    assert len({each["body"] for each in answers}) == 1
    until(lambda: len([each for each in cluster.processes("ServeReplica") if each.pid != killed.pid]) == 2)
    until(lambda: httpx.get(f"{ray_service.url}/health").json()["workers"]["warm"] == 2)


def test_the_service_ends_and_its_replicas_with_it(cluster: Cluster, ray_service: RunningService) -> None:
    ray_service.process.send_signal(signal.SIGTERM)
    assert ray_service.process.wait(30) == 0
    until(lambda: cluster.processes("ServeReplica") == [])
    assert re.search(r"workers  2 replicas of Ray Serve \([\d.:]+\), 1 thread", ray_service.announcement)


def test_a_batch_loses_nothing_when_an_actor_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    (folder / "deeper").mkdir(parents=True)
    data = encoded(photo(240, 320), "JPEG")
    for number in range(40):
        (folder / "deeper" / f"{number:02}.jpg").write_bytes(data)
    (folder / "broken.jpg").write_bytes(data[:300])
    arguments = (folder, folder / ".." / "out", *cluster.options, "--format", "npy", "--input-size", 512)

    batch = start_batch(*arguments)
    until(lambda: len(cluster.processes("MapWorker")) == 2, longest_s=90)
    wait_for_lines(batch, out, 4)
    cluster.processes("MapWorker")[0].kill()
    _, errors = batch.communicate(timeout=120)  # Ray itself tells of it on standard output
    assert batch.returncode == 1, errors
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
    (out / "deeper/07.jpg.depth.npy").unlink()
    status, errors = finish(start_batch(*arguments))
    assert status == 0, errors
    assert "1 done" in errors
    assert "39 skipped, 0 failed" in errors


def test_a_batch_takes_each_video_as_one_piece(cluster: Cluster, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "deeper").mkdir(parents=True)
    for name in ("a.mkv", "deeper/b.mkv"):
        clip(folder / name, ticks=(0, 40, 80))
    (folder / "broken.mp4").write_bytes(b"no video")
    (folder / "photo.jpg").write_bytes(encoded(photo(60, 80), "JPEG"))
    status, errors = finish(start_batch(folder, out, "--videos", *cluster.options))
    assert status == 1, errors
    assert {line["path"]: line["status"] for line in report(out)} == {
        str(folder / name): "failed" if name == "broken.mp4" else "ok"
        for name in ("a.mkv", "deeper/b.mkv", "broken.mp4", "photo.jpg")
    }
    assert len(times(out / "deeper/b.mkv.depth.mp4")) == 3
    assert [path for path in out.rglob("*") if ".part" in path.name] == []
    status, errors = finish(start_batch(folder, out, "--videos", *cluster.options))
    assert "0 done, 3 skipped, 1 failed" in errors


def test_a_batch_between_storages_by_a_ray_of_its_own(tmp_path: Path, embedded_service: RunningService) -> None:
    folder, out, written = tmp_path / "my photos", tmp_path / "out", tmp_path / "report.jsonl"
    (folder / "deeper").mkdir(parents=True)
    (folder / "deeper/a.png").write_bytes(encoded(photo(80, 60)))
    (folder / "no.jpg").write_bytes(b"no photo")
    options = ("--model", "embedded", "--workers", 1, "--ray", "--report", written)
    status, errors = finish(start_batch(folder.as_uri(), out.as_uri(), *options))
    assert status == 1, errors
    assert statuses(tmp_path) == {"a.png": "ok", "no.jpg": "failed"}
    assert {line["path"] for line in report(tmp_path)} == {
        f"{folder.as_uri()}/deeper/a.png",
        f"{folder.as_uri()}/no.jpg",
    }
    expected = answer(embedded_service.url, "/upload?palette=true", (folder / "deeper/a.png").read_bytes())
    assert (out / "deeper/a.png.depth.png").read_bytes() == expected["body"]
