"""Many photos of many kinds, one after the other: nothing may pile up."""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.load import request_bytes, send
from tests.conftest import RunningService, StartService, encoded
from tests.parity import photo
from tests.security.conftest import OPTIONS
from tests.security.files import BOMBS, WHOLE

CLIENTS = 4


def requests() -> Iterator[bytes]:
    """Endless requests for photos of mixed sizes, formats and results, with a bad file now and then."""
    chance = random.Random(0)
    sizes = [(90, 120), (120, 90), (480, 640), (600, 600), (1200, 1600), (300, 2000), (2000, 1000)]
    photos = [encoded(photo(*size), format) for size in sizes for format in ("JPEG", "PNG", "WEBP")]
    photos += [*WHOLE.values(), *[BOMBS["a PNG of a million pixels in one row"][0](), b"no photo"] * 3]
    paths = ["/upload", "/upload?palette=true", "/depth", "/depth?size=model", "/depth?format=npy&normalize=true"]
    paths += [f"/depth?format=png16&input_size={size}" for size in (128, 192, 320)]
    while True:
        yield request_bytes(chance.choice(photos), chance.choice(paths), "image/png")


async def sent(service: RunningService, some: Iterator[bytes]) -> set[int]:
    """The statuses of what several clients got for all these requests."""
    statuses: set[int] = set()

    async def client() -> None:
        for request in some:
            statuses.add((await send(service.url, request)).status)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return statuses


def open_descriptors(service: RunningService) -> int:
    return sum(process.num_fds() for process in service.family())


WARM_UP, PART, PARTS = 2000, 500, 10
"""The memory of a worker goes up and down by a third from part to part, each with other photos last."""


@pytest.mark.long
def test_nothing_piles_up(start_service: StartService) -> None:
    service, endless = start_service(*OPTIONS), requests()

    def take(photos: int) -> int:
        """The memory of the service after so many photos."""
        assert asyncio.run(sent(service, itertools.islice(endless, photos))) == {200, 400, 422}
        return service.memory()

    take(WARM_UP)
    before = (open_descriptors(service), files_of(service))
    memory = [take(PART) for _ in range(PARTS)]
    print("MB after each", PART, "photos:", *(round(held / 1e6) for held in memory))
    assert min(memory[PARTS // 2 :]) <= max(memory[: PARTS // 2])  # what went up has come down again
    assert open_descriptors(service) <= before[0] + 2 * CLIENTS  # connections that are just being closed
    assert files_of(service) == before[1]
    with service.client() as client:
        assert client.get("/health").json()["workers"]["restarts"] == 0


def files_of(service: RunningService) -> set[str]:
    """Temporary files there are, and files that the service holds open."""
    return {str(path) for path in Path(tempfile.gettempdir()).glob("depthsvc*")} | {
        file.path for process in service.family() for file in psutil.Process(process.pid).open_files()
    }
