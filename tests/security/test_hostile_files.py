"""Files that are cut off, changed or built to harm. None may cost a worker, and none may be taken for a photo."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from depthsvc.errors import RequestError
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.pixels import Bounds, at_least
from tests.conftest import RunningService
from tests.security.files import BOMBS, WHOLE


def tried(data: bytes) -> str:
    """What `decode` makes of a file: "photo" or an error's code. Any other exception fails the test."""
    try:
        photo = decode(data, Bounds(1_000_000, at_least(64)))
    except RequestError as error:
        return error.code
    assert photo.pixels.ndim == 3
    return "photo"


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_cut_off_at_every_hundredth_is_no_photo(kind: str) -> None:
    data = WHOLE[kind]
    outcomes = Counter(tried(data[: len(data) * percent // 100]) for percent in range(100))
    assert set(outcomes) <= {"missing_image", "not_an_image", "broken_image", "photo"}
    assert outcomes["photo"] <= (70 if kind == "webp-animated" else 2)  # the second frame, or bytes after the pixels
    assert tried(data) == "photo"


def mutated(data: bytes, seed: int) -> bytes:
    """A file with some bytes changed, cut out or doubled."""
    chance = random.Random(seed)
    result = bytearray(data)
    for _ in range(chance.choice([1, 2, 5, 20])):
        at = chance.randrange(len(result))
        kind = chance.randrange(4)
        if kind == 0:
            result[at] = chance.randrange(256)
        elif kind == 1:
            result[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            del result[at : at + chance.choice([1, 4, 100])]
        else:
            result[at:at] = result[at : at + chance.choice([1, 4, 1000])]
        if len(result) < 20:
            break
    return bytes(result)


@pytest.mark.parametrize("mutations", [150, pytest.param(20_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", WHOLE)
def test_a_changed_file_is_a_photo_or_a_clear_error(kind: str, mutations: int) -> None:
    outcomes = Counter(tried(mutated(WHOLE[kind], seed)) for seed in range(mutations))
    assert outcomes["broken_image"] > 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(
    start=st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\x00\x00\x00WEBPVP8 ", b""]),
    rest=st.binary(max_size=400),
)
def test_arbitrary_bytes_are_no_photo(start: bytes, rest: bytes) -> None:
    assert tried(start + rest) != "photo"


@pytest.fixture
def client(target: RunningService) -> Iterator[httpx.Client]:
    with target.client() as client:
        yield client


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_get_the_right_answer_and_cost_no_worker(client: httpx.Client, name: str) -> None:
    build, (status, code) = BOMBS[name]
    before = client.get("/health").json()["workers"]
    response = client.post("/depth?size=model", content=build(), headers={"Content-Type": "image/jpeg"})
    assert (response.status_code, "" if status == 200 else response.json()["code"]) == (status, code)
    assert client.get("/health").json()["workers"] == before


@pytest.mark.parametrize("mutations", [8, pytest.param(300, marks=pytest.mark.long)])
def test_changed_files_cost_no_worker(client: httpx.Client, mutations: int) -> None:
    before = client.get("/health").json()["workers"]
    statuses: Counter[int] = Counter()
    for data in WHOLE.values():
        for seed in range(mutations):
            response = client.post("/upload", files={"image": mutated(data, 1_000_000 + seed)})
            statuses[response.status_code] += 1
    assert set(statuses) <= {200, 400, 415, 422}
    assert client.get("/health").json()["workers"] == before
