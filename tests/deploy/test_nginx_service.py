"""Two running services behind nginx: what clients see of both together."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from benchmarks import nginx
from benchmarks.load import request_bytes
from benchmarks.nginx import Nginx, configured
from tests.conftest import RunningService, encoded, services, until
from tests.live import FRAMES, asked

pytestmark = pytest.mark.skipif(nginx.PROGRAM is None, reason="there is no nginx")

LIMIT = 32_000_000


@pytest.fixture(scope="module")
def instances(
    tmp_path_factory: pytest.TempPathFactory, embedded_service: RunningService
) -> Iterator[list[RunningService]]:
    """One for these tests alone, and one that other tests use as well."""
    with services(tmp_path_factory) as start:
        options = ("--model", "embedded", "--engine", "torchscript", "--workers", "1", "--worker-threads", "1")
        yield [start(*options), embedded_service]  # which has the same engine, and so gives the same numbers


@pytest.fixture(scope="module")
def edge(instances: list[RunningService], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    addresses = [service.url.removeprefix("http://") for service in instances]
    edge = configured(tmp_path_factory.mktemp("nginx"), addresses)
    with edge.running():
        yield edge


@pytest.fixture
def client(edge: Nginx) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=edge.url, timeout=60) as client:
        yield client


def form(photo: bytes, length: int) -> tuple[bytes, dict[str, str]]:
    """A multipart body of this length, with a photo and a file that makes up the rest; and its headers."""
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n' + photo
    filler = b'\r\n--b\r\nContent-Disposition: form-data; name="filler"; filename="f"\r\n\r\n'
    end = b"\r\n--b--\r\n"
    body = head + filler + bytes(length - len(head) - len(filler) - len(end)) + end
    return body, {"Content-Type": "multipart/form-data; boundary=b"}


def test_a_body_at_the_limit_is_taken(client: httpx.Client, photo_png: bytes) -> None:
    body, headers = form(photo_png, LIMIT)
    assert len(body) == LIMIT
    assert client.post("/upload", content=body, headers=headers).status_code == 200


def test_a_body_over_the_limit_is_refused_in_the_services_words(
    client: httpx.Client, instances: list[RunningService], photo_png: bytes
) -> None:
    body, headers = form(photo_png, LIMIT + 1)
    answers = [
        client.post("/upload", content=body, headers=headers),
        client.post("/upload", content=iter([body]), headers=headers),
        httpx.post(f"{instances[0].url}/upload", content=body, headers=headers),
    ]
    assert {answer.status_code for answer in answers} == {413}
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/problem+json"}
    at_the_edge, chunked, direct = ({**answer.json(), "request_id": ""} for answer in answers)
    assert at_the_edge == chunked == direct


def test_answers_are_those_of_the_service(
    client: httpx.Client, instances: list[RunningService], photo_png: bytes
) -> None:
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(photo_png), 10_000):
            yield photo_png[start : start + 10_000]

    headers = {"Content-Type": "image/png"}
    with instances[0].client() as direct:
        for path in ("/upload?palette=true", "/depth", "/depth?format=npy", "/pointcloud", "/bokeh"):
            expected = direct.post(path, content=photo_png, headers=headers)
            found = client.post(path, content=photo_png, headers=headers)
            assert (found.status_code, found.content) == (200, expected.content), path
            for name in ("Content-Type", "X-Depth-Model", "X-Depth-Shape"):
                assert found.headers[name] == expected.headers[name], path
        chunked = client.post("/upload?palette=true", content=chunks(), headers=headers)
        assert chunked.content == direct.post("/upload?palette=true", files={"image": photo_png}).content
        refused = client.post("/upload", content=b"no photo", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (400, "not_an_image")


def test_the_page_and_health_are_there(client: httpx.Client) -> None:
    for path in ("/health", "/health/live", "/health/ready", "/models", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200, path
    assert "<html" in client.get("/").text


@pytest.mark.parametrize("path", ["/", "/health", "/nothing"])
def test_security_headers_come_once(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    for name, value in {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }.items():
        assert headers.get_list(name) == [value]
    assert len(headers.get_list("Content-Security-Policy")) == len(headers.get_list("X-Request-ID")) == 1
    assert headers["Server"] == "nginx"


@pytest.mark.parametrize("path", ["/depth", "/depth?format=npy"])
def test_depth_is_compressed_to_less_than_two_thirds(client: httpx.Client, photo_png: bytes, path: str) -> None:
    headers = {"Content-Type": "image/png"}
    plain = client.post(path, content=photo_png, headers={**headers, "Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    with client.stream("POST", path, content=photo_png, headers={**headers, "Accept-Encoding": "gzip"}) as answer:
        compressed = b"".join(answer.iter_raw())
    assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(compressed) == plain.content
    assert len(compressed) < len(plain.content) * 2 / 3


def test_the_page_is_compressed(client: httpx.Client) -> None:
    for path in ("/", "/openapi.json", "/static/page.js", "/static/page.css", "/static/colormaps.json"):
        assert client.get(path).headers["Content-Encoding"] == "gzip", path


@pytest.mark.parametrize("path", ["/upload", "/depth?format=png16", "/bokeh", "/pointcloud"])
def test_pictures_and_point_clouds_are_not_compressed(client: httpx.Client, photo_png: bytes, path: str) -> None:
    answer = client.post(path, content=photo_png, headers={"Content-Type": "image/png", "Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer.headers


def test_both_logs_know_a_request_by_the_same_id_and_address(
    edge: Nginx, instances: list[RunningService], photo_png: bytes
) -> None:
    transport = httpx.HTTPTransport(local_address="127.0.0.9")
    with httpx.Client(base_url=edge.url, transport=transport, timeout=60) as client:
        request_id = client.post("/upload", files={"image": photo_png}).headers["X-Request-ID"]

    def lines() -> list[dict[str, object]]:
        text = edge.access_log + "".join(service.log.read_text() for service in instances)
        return [json.loads(line) for line in text.splitlines() if f'"{request_id}"' in line]

    until(lambda: len(lines()) == 2)
    for line in lines():
        assert (line["path"], line["status"], line["client"]) == ("/upload", 200, "127.0.0.9")


def test_an_answer_that_nobody_reads_is_dropped_by_both(instances: list[RunningService], tmp_path: Path) -> None:
    service = instances[1]
    photo = encoded(np.zeros((2000, 2500, 3), np.uint8))
    changes = {"\n        send_timeout 30s": "\n        send_timeout 1s"}
    edge = configured(tmp_path, [service.url.removeprefix("http://")], changes=changes)
    with edge.running(), socket.create_connection(("127.0.0.1", edge.port)) as connection:
        files_made = (edge.folder / "proxy").stat().st_mtime_ns
        connection.sendall(request_bytes(photo, "/depth"))
        until(lambda: "\n" in edge.access_log)
        line = json.loads(edge.access_log)
        assert (line["status"], line["path"]) == (200, "/depth")
        assert line["bytes_sent"] < 1_000_000, "of ten"
        assert (edge.folder / "proxy").stat().st_mtime_ns == files_made
        until(lambda: line["request_id"] in service.log.read_text())  # which says so when an answer is over


def test_a_killed_instance_costs_only_the_photos_it_was_computing(
    edge: Nginx, instances: list[RunningService], photo_png: bytes
) -> None:
    """Four clients, each at an address of its own, and no error but a 503 for at most two seconds.

    It comes last: one service is dead after it.
    """
    answers: list[tuple[float, httpx.Response]] = []
    stop = threading.Event()

    def keep_sending(number: int) -> None:
        transport = httpx.HTTPTransport(local_address=f"127.0.0.{number + 20}")
        with httpx.Client(base_url=edge.url, transport=transport, timeout=60) as client:
            while not stop.is_set():
                started = time.monotonic()
                answers.append((started, client.post("/upload?palette=true", files={"image": photo_png})))

    threads = [threading.Thread(target=keep_sending, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(answers) >= 8)
    instances[0].process.kill()
    killed = time.monotonic()
    until(lambda: sum(started > killed + 2 for started, _ in answers) >= 8)
    stop.set()
    for thread in threads:
        thread.join()

    refusals = [answer for _, answer in answers if answer.status_code != 200]
    assert len(refusals) <= len(threads), "each client has one photo at most with the instance that dies"
    for refusal in refusals:
        assert (refusal.status_code, refusal.json()["code"]) == (503, "unavailable")
        assert refusal.headers["Retry-After"] == "2"
    assert {answer.status_code for started, answer in answers if started > killed + 2} == {200}


def test_a_live_session_passes_with_the_origin_of_the_page(edge: Nginx) -> None:
    def connected(origin: str) -> ClientConnection:
        connection: ClientConnection = connect(
            f"{edge.url.replace('http', 'ws')}/live", origin=Origin(origin), proxy=None
        )
        return connection

    with connected(edge.url) as socket:
        socket.send('{"format": "none"}')
        assert json.loads(socket.recv(60))["model"] == "embedded"
        assert asked(socket, 1, FRAMES[0])[0]["id"] == 1
    with pytest.raises(InvalidStatus) as refused:
        connected(edge.url.replace("127.0.0.1", "localhost"))
    assert refused.value.response.status_code == 403
