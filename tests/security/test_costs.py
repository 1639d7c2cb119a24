"""Photos that cost much, and results that are read slowly: what they take is bounded before it is spent."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest
from PIL import Image

from benchmarks.attacks import ask
from benchmarks.load import Tally, request_bytes
from benchmarks.material import interlaced_png
from tests.conftest import RunningService, encoded, services, until
from tests.security.conftest import OPTIONS
from tests.security.test_connections import connection, everything, problem

SIDE = 4000
ANSWER_BYTES = 2 * SIDE * SIDE
"""Of float16 depth for a square photo of that side: 32 MB."""
BOUND = 40_000_000
FLAT = np.full((SIDE, SIDE, 3), 99, np.uint8)


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that may hold little more than one large result."""
    with services(tmp_path_factory) as start:
        yield start(*OPTIONS, "--max-buffered-mb", "40")


@pytest.fixture(scope="module")
def large_depth() -> bytes:
    """A request for a large result."""
    return request_bytes(encoded(FLAT, "JPEG"), "/depth")


def restarts(service: RunningService) -> dict[str, str]:
    """Workers replaced so far, by cause."""
    with service.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return dict(line.split() for line in lines if line.startswith("depthsvc_worker_restarts_total{"))


class Peak:
    """The most resident memory of a process, in bytes, while the block runs."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self.bytes = 0

    def __enter__(self) -> Peak:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.bytes = max(self.bytes, self._process.memory_info().rss)


@pytest.mark.parametrize("rate", [1.05e6, *(pytest.param(rate, marks=pytest.mark.long) for rate in (0.5e6, 5e6))])
def test_readers_of_large_results_take_no_more_memory_than_is_promised_to_them(
    bounded: RunningService, large_depth: bytes, jpeg: bytes, rate: float
) -> None:
    """Whatever their rate, and however many they are; a normal client is served, or told at once that it is not."""
    normal = Tally()

    async def attack() -> None:
        readers = [asyncio.create_task(read_on(f"127.0.0.{10 + number}")) for number in range(12)]
        while len(normal.replies) < 40:
            normal.replies.append(await ask(bounded.url, request_bytes(jpeg), "127.0.0.9"))
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)

    async def read_on(address: str) -> None:
        while True:
            await ask(bounded.url, large_depth, address, rate=rate)
            await asyncio.sleep(0.05)

    before = psutil.Process(bounded.process.pid).memory_info().rss
    with Peak(bounded.process.pid) as peak:
        asyncio.run(attack())
    assert set(normal.statuses) <= {200, 503}
    assert normal.statuses[200] > 0
    computed = 2 * ANSWER_BYTES
    assert peak.bytes - before < BOUND + computed + 30_000_000


def test_what_the_system_holds_for_a_client_counts_as_held(bounded: RunningService) -> None:
    """Small results fit its send buffer: without counting them, any number of clients could leave them there."""
    photo = request_bytes(encoded(np.zeros((1400, 1400), np.uint8)), "/depth", "image/png")
    photo = photo.replace(b"Connection: close\r\n", b"")
    statuses = []
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            connected = stack.enter_context(connection(bounded, receive_buffer=4096))
            connected.sendall(photo)
            statuses.append(connected.recv(12))
    assert set(statuses) == {b"HTTP/1.1 200", b"HTTP/1.1 503"}
    assert statuses.count(b"HTTP/1.1 200") >= 5


def test_there_is_room_again_once_a_result_has_been_read(bounded: RunningService, large_depth: bytes) -> None:
    with bounded.client() as client:
        until(lambda: 'depthsvc_held_bytes{direction="results"} 0.0' in client.get("/metrics").text)
    for _ in range(3):
        with connection(bounded) as connected:
            connected.sendall(large_depth)
            assert len(everything(connected)) > ANSWER_BYTES


def test_a_result_for_which_there_is_no_room_is_refused_before_it_is_computed(
    bounded: RunningService, large_depth: bytes
) -> None:
    with connection(bounded, receive_buffer=4096) as first, connection(bounded) as second:
        first.sendall(large_depth)
        assert first.recv(12) == b"HTTP/1.1 200"
        second.sendall(large_depth)
        answered = everything(second)
    assert problem(answered) == (503, "queue_full")
    assert b"retry-after: " in answered.lower()


def test_a_result_that_can_never_be_held_is_not_tried_again(bounded: RunningService) -> None:
    photo = encoded(np.full((5000, 5000, 3), 9, np.uint8), "JPEG")
    with bounded.client() as client:
        response = client.post("/depth", content=photo, headers={"Content-Type": "image/jpeg"})
    assert (response.status_code, response.json()["code"]) == (422, "too_expensive")
    assert "The result would have 50 MB; the limit is 40 MB" in response.json()["detail"]


def test_a_flood_of_costly_photos_stops_neither_the_service_nor_other_clients(
    target: RunningService, jpeg: bytes
) -> None:
    """Two addresses with sixteen connections each, and a normal client beside them."""
    costly = request_bytes(jpeg, "/depth?size=model&input_size=512")
    normal, floods = Tally(), {"127.0.0.11": Tally(), "127.0.0.12": Tally()}

    async def flood(address: str) -> None:
        while True:
            floods[address].replies.append(await ask(target.url, costly, address))

    async def attack(enough: Callable[[], bool]) -> None:
        flooding = [asyncio.create_task(flood(address)) for address in floods for _ in range(16)]
        while not enough():
            normal.replies.append(await ask(target.url, request_bytes(jpeg), "127.0.0.9"))
        for task in flooding:
            task.cancel()
        await asyncio.gather(*flooding, return_exceptions=True)

    before = restarts(target)
    asyncio.run(attack(lambda: min(len(tally.of(200)) for tally in floods.values()) >= 5))
    assert set(normal.statuses) == {200}
    for tally in floods.values():
        assert set(tally.statuses) <= {200, 503}
    served = [len(tally.of(200)) for tally in floods.values()]
    assert min(served) >= 0.35 * sum(served)
    assert restarts(target) == before


@pytest.mark.parametrize(
    "query",
    [
        "bokeh?full_size=true",
        "stereo?full_size=true",
        "upload?refine=true&full_size=true&input_size=1024",
    ],
)
def test_a_photo_that_costs_too_much_is_refused_by_its_header(target: RunningService, query: str) -> None:
    """The rest of the file is missing: nothing has tried to decode it."""
    whole = interlaced_png(np.zeros((7071, 7071, 1), np.uint8), color_type=0)
    with target.client() as client:
        response = client.post(f"/{query}", content=whole[:2000], headers={"Content-Type": "image/png"})
    assert (response.status_code, response.json()["code"]) == (422, "too_expensive")


def test_a_refocused_photo_too_wide_for_a_jpeg_is_refused_by_its_header(target: RunningService) -> None:
    wide = encoded(np.zeros((1, 65_501), np.uint8))[:60]
    with target.client() as client:
        response = client.post("/bokeh", content=wide, headers={"Content-Type": "image/png"})
    assert (response.status_code, response.json()["code"]) == (422, "too_many_pixels")
    assert "at most 65500 pixels a side" in response.json()["detail"]


def test_the_estimate_and_the_truth_are_told(target: RunningService, jpeg: bytes) -> None:
    with target.client() as client:
        response = client.post("/upload", content=jpeg, headers={"Content-Type": "image/jpeg"})
        metrics = client.get("/metrics").text
    assert response.status_code == 200
    times = dict(part.split(";dur=") for part in response.headers["Server-Timing"].split(", "))
    assert 0.1 < float(times["cpu"]) / float(times["expected_cpu"]) < 10
    for name in ("photo_cpu_seconds_total", "photo_expected_cpu_seconds_total", "photo_cost_ratio_count"):
        assert f"depthsvc_{name}" in metrics


def test_a_photo_whose_size_is_not_its_headers_is_not_decoded(target: RunningService) -> None:
    """It would be admitted for the price of the first size, and Pillow would decode the second."""
    small, large = encoded(np.zeros((8, 8, 3), np.uint8)), encoded(FLAT)
    with target.client() as client:
        headers = {"Content-Type": "image/png"}
        response = client.post("/upload", content=small[:33] + large[8:], headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "broken_image")


def test_a_body_for_which_there_is_no_room_is_refused_before_it_is_read(bounded: RunningService) -> None:
    """Two bodies of 10 MB are a client's share of 40; the third is not received, and neither is dropped for it."""
    head = f"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {9_900_000}\r\n\r\n"
    body = io.BytesIO()
    Image.fromarray(FLAT[:100, :100]).save(body, "JPEG")
    whole = body.getvalue() + bytes(9_900_000 - len(body.getvalue()))
    with contextlib.ExitStack() as stack:
        first = [stack.enter_context(connection(bounded)) for _ in range(2)]
        for connected in first:
            connected.sendall(head.encode() + whole[:1000])
        with bounded.client() as client:
            until(lambda: "depthsvc_requests_in_progress 3.0" in client.get("/metrics").text)
        third = stack.enter_context(connection(bounded))
        third.sendall(head.encode())
        assert problem(everything(third)) == (503, "queue_full")
        for connected in first:
            connected.sendall(whole[1000:])
            assert connected.recv(12) == b"HTTP/1.1 200"
