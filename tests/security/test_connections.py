"""Clients that send too much, too slowly, or nothing at all; and clients that do not take their answer."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator

import httpx
import numpy as np
import psutil
import pytest

from benchmarks.load import request_bytes
from tests.conftest import RunningService, encoded, services, until


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that gives clients a second."""
    with services(tmp_path_factory) as start:
        yield start(
            *("--model", "embedded", "--workers", "1", "--worker-threads", "1"),
            *("--client-timeout-s", "1", "--max-connections", "50", "--max-buffered-mb", "20"),
        )


@contextlib.contextmanager
def connection(service: RunningService, receive_buffer: int | None = None) -> Iterator[socket.socket]:
    """A connection to a service, and how many bytes the system takes for a client that takes none."""
    host, port = service.url.removeprefix("http://").split(":")
    with socket.socket() as connected:
        connected.settimeout(30)
        if receive_buffer:  # set once it is connected, it would make the window so small that nothing ever comes
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connected.connect((host, int(port)))
        yield connected


def everything(connected: socket.socket) -> bytes:
    """What the other side sends until it closes the connection."""
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := connected.recv(1 << 16):
            received += piece
    return bytes(received)


def cut_off(connected: socket.socket, more: bytes) -> bool:
    """Whether the other side takes no more."""
    try:
        connected.sendall(more)
    except ConnectionError:
        return True
    return False


def problem(answer: bytes) -> tuple[int, str]:
    """Status and code of an error that was answered as it should be."""
    head, body = answer.split(b"\r\n\r\n", 1)
    assert b"content-type: application/problem+json" in head.lower()
    found = json.loads(body)
    assert found["status"] == int(head.split()[1])
    return found["status"], found["code"]


def post(headers: str, body: bytes = b"") -> bytes:
    return f"POST /upload HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode() + body


def form(*parts: tuple[str, bytes], end: bytes = b"--b--\r\n") -> bytes:
    """A multipart body with these headers and contents."""
    return b"".join(f"--b\r\n{head}\r\n\r\n".encode() + body + b"\r\n" for head, body in parts) + end


FILE = 'Content-Disposition: form-data; name="image"; filename="p.png"'
PHOTO = encoded(np.full((20, 30, 3), 99, np.uint8))


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (form((FILE, PHOTO)), 200, ""),
        (form(("content-disposition: FORM-DATA; name=image; filename=x", PHOTO)), 200, ""),
        (form(('Content-Disposition: form-data; name="size"', b"model"), (FILE, PHOTO)), 200, ""),
        (form(*[('Content-Disposition: form-data; name="note"', b"x")] * 20, (FILE, PHOTO)), 422, "invalid_parameter"),
        (form(*[('Content-Disposition: form-data; name="note"', b"x")] * 1000), 400, "malformed_body"),
        (form((FILE, PHOTO), (FILE, PHOTO)), 400, "malformed_body"),
        (form((FILE, PHOTO), end=b""), 400, "malformed_body"),
        (form((FILE, PHOTO))[:60], 400, "malformed_body"),
        (form((f"{FILE}\r\nX: {'x' * 100_000}", PHOTO)), 400, "malformed_body"),
        (form((FILE + "\r\nX-Y: z" * 1000, PHOTO)), 400, "malformed_body"),
        (b"no multipart at all", 400, "malformed_body"),
        (b"", 400, "malformed_body"),
        (form((FILE, b"\r\n--b-x" * 2000)), 400, "not_an_image"),
        (form((FILE, PHOTO))[:-6] + b" " * 9_000_000, 400, "malformed_body"),
        (form(("X: y", PHOTO)), 400, "missing_image"),
        (form(('Content-Disposition: form-data; name="image"', b"photo.jpg")), 400, "missing_image"),
        (form((FILE, b"")), 400, "missing_image"),
        (b"--b--\r\n", 400, "missing_image"),
    ],
)
def test_forms(target: RunningService, body: bytes, status: int, code: str) -> None:
    with target.client() as client:
        response = client.post("/upload", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert (response.status_code, "" if status == 200 else response.json()["code"]) == (status, code)


@pytest.mark.parametrize("boundary", ["", "; boundary=", f"; boundary={'b' * 300}"])
def test_a_form_without_a_usable_boundary(target: RunningService, boundary: str) -> None:
    with target.client() as client:
        headers = {"Content-Type": f"multipart/form-data{boundary}"}
        response = client.post("/upload", content=form((FILE, PHOTO)), headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "malformed_body")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400, "malformed_request")),
        (b"GET / HTTP/9.9\r\n\r\n", (400, "malformed_request")),
        (post("Content-Length: many"), (400, "malformed_request")),
        (post("Content-Length: -5"), (400, "malformed_request")),
        (post("Content-Length: 5\r\nContent-Length: 6", b"12345"), (400, "malformed_request")),
        (post("Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"), (400, "malformed_request")),
        (post("\r\n".join(f"X-{n}: {'y' * 100}" for n in range(1000))), (431, "headers_too_large")),
        (post(f"X: {'y' * 5_000_000}"), (431, "headers_too_large")),
        (post("\r\n".join(f"X{n}: y" for n in range(110))), (431, "headers_too_large")),
        (
            b"GET /health?" + b"&".join(b"p%d" % n for n in range(110)) + b" HTTP/1.1\r\n\r\n",
            (422, "invalid_parameter"),
        ),
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", (431, "headers_too_large")),
    ],
)
def test_what_is_no_decent_request_is_refused(
    target: RunningService, request_: bytes, expected: tuple[int, str]
) -> None:
    with connection(target) as connected:
        with contextlib.suppress(ConnectionError):
            connected.sendall(request_)
        assert problem(everything(connected)) == expected


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /upload HT",
        post("Content-Type: image/png\r\nContent-Length: 1000", b"\x89PNG"),
        post("Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000", form((FILE, PHOTO))[:100]),
        post("Content-Type: image/png\r\nTransfer-Encoding: chunked", b"3\r\nabc\r\n"),
    ],
)
def test_who_stops_sending_is_told_and_cut_off(impatient: RunningService, sent: bytes) -> None:
    with connection(impatient) as connected:
        connected.sendall(sent)
        assert problem(everything(connected)) == (408, "request_timeout")


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_an_idle_connection_is_closed(impatient: RunningService, sent: bytes) -> None:
    with connection(impatient) as connected:
        connected.sendall(sent)
        assert everything(connected).startswith(b"HTTP/1.1 200" if b"GET" in sent else b"")


def test_headers_that_trickle_in_do_not_hold_a_connection(impatient: RunningService) -> None:
    with connection(impatient) as connected:
        connected.sendall(b"GET /health HTTP/1.1\r\n")
        until(lambda: cut_off(connected, b"X-Y: z\r\n"), longest_s=15)


def test_who_hangs_up_costs_no_inference(impatient: RunningService, jpeg: bytes) -> None:
    slow = request_bytes(jpeg, "/upload?input_size=512")
    worker = psutil.Process(impatient.workers()[0])
    with impatient.client() as client:

        def photos_in_flight() -> int:
            return int(client.get("/health").json()["queue"]["in_flight"])

        def cost(photos: int, *, hang_up: bool) -> float:
            """Processor seconds that the worker spends on some photos, all of which arrive before it has done one."""
            before = worker.cpu_times().user
            worker.suspend()
            try:
                with contextlib.ExitStack() as stack:
                    connections = [stack.enter_context(connection(impatient)) for _ in range(photos)]
                    for connected in connections:
                        connected.sendall(slow)
                    until(lambda: photos_in_flight() == photos)
                    if not hang_up:
                        worker.resume()
                        for connected in connections:
                            assert everything(connected).startswith(b"HTTP/1.1 200")
                until(lambda: photos_in_flight() <= 1)  # the one that the worker has begun
            finally:
                worker.resume()
            until(lambda: photos_in_flight() == 0)
            return float(worker.cpu_times().user - before)

        cost(1, hang_up=False)
        assert cost(4, hang_up=True) < 2.5 * cost(1, hang_up=False)
        assert 'depthsvc_rejected_total{reason="client_disconnected"}' in client.get("/metrics").text


def test_who_closes_one_half_of_a_connection_harms_no_one(target: RunningService, jpeg: bytes) -> None:
    for sent in (request_bytes(jpeg), request_bytes(jpeg)[:1000], b"POST", b""):
        with connection(target) as connected:
            connected.sendall(sent)
            connected.shutdown(socket.SHUT_WR)
            everything(connected)
    with target.client() as client:
        assert client.get("/health").status_code == 200


def open_files(process: psutil.Process) -> set[str]:
    return {file.path for file in process.open_files()}


@pytest.mark.parametrize("framing", ["Content-Length: 2000000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/form-data; boundary=b"])
def test_two_gigabytes_cost_neither_memory_nor_disk(target: RunningService, framing: str, kind: str) -> None:
    process = psutil.Process(target.process.pid)
    before, most = process.memory_info().rss, 0
    files = open_files(process)
    start = form((FILE, b""), end=b"")[:-2] if "multipart" in kind else b"\xff\xd8\xff"
    piece = bytes(1 << 20)
    if "chunked" in framing:
        start, piece = (b"%x\r\n%b\r\n" % (len(data), data) for data in (start, piece))
    sent = 0
    with connection(target) as connected:
        connected.sendall(post(f"Content-Type: {kind}\r\n{framing}", start))
        with contextlib.suppress(ConnectionError):
            while sent < 2_000_000_000:
                connected.sendall(piece)
                sent += len(piece)
                if sent % (50 << 20) == 0:
                    most = max(most, process.memory_info().rss)
                    assert open_files(process) == files
        with contextlib.suppress(OSError):  # the service may have hung up already
            connected.shutdown(socket.SHUT_WR)
        assert b"HTTP/1.1 413 " in everything(connected)
    assert most - before < 12_000_000


def test_answers_that_no_one_takes_are_bounded(impatient: RunningService) -> None:
    """Twenty answers are 320 MB of float16; only the youngest are held."""
    photo = request_bytes(encoded(np.zeros((2000, 4000), np.uint8)), "/depth", "image/png")
    process = psutil.Process(impatient.process.pid)
    before = process.memory_info().rss
    with contextlib.ExitStack() as stack:
        takers = [stack.enter_context(connection(impatient, receive_buffer=4096)) for _ in range(20)]
        for taker in takers:
            taker.sendall(photo)
        most = 0
        with impatient.client() as client:
            while client.get("/health").json()["queue"]["in_flight"]:
                most = max(most, process.memory_info().rss)
        assert most - before < 200_000_000
        until(lambda: process.memory_info().rss - before < 100_000_000)
        assert any(len(everything(taker)) < 16_000_000 for taker in takers)


def test_a_slow_reader_that_keeps_reading_gets_all_of_it(impatient: RunningService) -> None:
    """A megabyte a second for two seconds, twice as long as it may take nothing, and then the rest."""
    photo = request_bytes(encoded(np.zeros((1000, 2000), np.uint8)), "/depth", "image/png")
    with connection(impatient, receive_buffer=65536) as connected:
        connected.sendall(photo)
        received = bytearray(connected.recv(4096))
        started = time.monotonic()

        def taken_for_two_seconds() -> bool:
            passed = time.monotonic() - started
            if len(received) < 1_000_000 * passed:
                received.extend(connected.recv(50_000))
            return passed > 2

        until(taken_for_two_seconds)
        received += everything(connected)
    assert len(received.split(b"\r\n\r\n", 1)[1]) == 4_000_000


def test_an_upload_finds_no_room_when_too_much_is_being_sent(impatient: RunningService) -> None:
    """Two uploads of 9 MB are under way, and nobody has said how large they will be; 20 MB may be held."""
    chunk = b"%x\r\n%b\r\n" % (9_000_000, bytes(9_000_000))
    sent = post("Content-Type: image/jpeg\r\nTransfer-Encoding: chunked", chunk)
    with contextlib.ExitStack() as stack:
        first = [stack.enter_context(connection(impatient)) for _ in range(2)]
        for connected in first:
            connected.sendall(sent)
        third = stack.enter_context(connection(impatient))
        third.sendall(sent[:1000])
        assert problem(everything(third)) == (503, "queue_full")
        assert {problem(everything(connected)) for connected in first} == {(408, "request_timeout")}


def answers_of(received: bytes) -> list[int]:
    """The statuses of the answers on a connection, as far as they can be told from the bodies."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", received)]


def test_a_request_sent_before_the_answer_to_the_last_one_ends_the_connection(
    target: RunningService, jpeg: bytes
) -> None:
    photo = request_bytes(jpeg, "/depth?size=model").replace(b"Connection: close\r\n", b"")
    for further in (photo, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 1000, b"\x01\x02\r\n\r\n", photo[:20]):
        with connection(target) as connected:
            connected.sendall(photo)
            with contextlib.suppress(ConnectionError):
                connected.sendall(further)
            connected.settimeout(60)
            received = everything(connected)
        assert answers_of(received) == [200]


def test_a_pipelining_client_that_takes_nothing_keeps_nothing(impatient: RunningService) -> None:
    photo = request_bytes(encoded(np.zeros((1100, 2200), np.uint8)), "/depth", "image/png")
    photo = photo.replace(b"Connection: close\r\n", b"") + b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.ExitStack() as stack, impatient.client() as client:
        for _ in range(2):
            stack.enter_context(connection(impatient, receive_buffer=4096)).sendall(photo)
        until(lambda: "depthsvc_requests_in_progress 3.0" in client.get("/metrics").text)
        until(lambda: "depthsvc_requests_in_progress 1.0" in client.get("/metrics").text)
        assert 'depthsvc_rejected_total{reason="answer_not_taken"}' in client.get("/metrics").text


def test_a_photo_with_an_offer_of_another_protocol_is_served(target: RunningService, jpeg: bytes) -> None:
    """Java's HttpClient and `curl --http2` offer h2c with every request."""
    head = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Type: image/jpeg\r\n"
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(jpeg), jpeg)
    for framing, body in ((f"Content-Length: {len(jpeg)}", jpeg), ("Transfer-Encoding: chunked", chunks)):
        with connection(target) as connected:
            too_early = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
            connected.sendall(post(head + framing, body) + too_early)
            assert answers_of(everything(connected)) == [200]


def test_a_trickle_is_no_upload(impatient: RunningService) -> None:
    with connection(impatient) as connected:
        connected.sendall(post("Content-Type: image/png\r\nContent-Length: 9000000", b"\x89PNG"))
        until(lambda: cut_off(connected, b"x"), longest_s=15)


def test_a_query_of_thousands_of_parameters_gets_a_short_answer(target: RunningService, jpeg: bytes) -> None:
    query = "&".join(f"a{number}" for number in range(4000))
    with target.client() as client:
        response = client.post(f"/upload?{query}", content=jpeg, headers={"Content-Type": "image/jpeg"})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_parameter")
    assert len(response.content) < 1000


@pytest.mark.parametrize("part", ["lines=0-1", "bytes=abc", "bytes=5-1", "bytes=99999999-", "bytes=0-9"])
@pytest.mark.parametrize("path", ["/", "/static/page.js"])
def test_a_part_of_a_file_is_not_served(target: RunningService, path: str, part: str) -> None:
    with target.client() as client:
        whole = client.get(path).content
        response = client.get(path, headers={"Range": part})
    assert (response.status_code, response.content) == (200, whole)


def test_after_all_this_the_service_is_as_before(target: RunningService, impatient: RunningService) -> None:
    for service in (target, impatient):
        with httpx.Client(base_url=service.url, timeout=30) as client:
            health = client.get("/health").json()
            assert (health["status"], health["workers"]["restarts"]) == ("ok", 0)
        assert "Traceback" not in service.log.read_text()
