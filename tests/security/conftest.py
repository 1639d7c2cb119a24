"""What the attacks share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from benchmarks.load import Ask, Tally, request_bytes
from tests.conftest import RunningService, encoded, services
from tests.parity import photo

OPTIONS = ("--model", "embedded", "--engine", "torchscript", "--workers", "2", "--worker-threads", "1")


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that is attacked over and over and must not care."""
    with services(tmp_path_factory) as start:
        yield start(*OPTIONS)


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    """A JPEG photo of 1280 x 960."""
    return encoded(photo(960, 1280), "JPEG", quality=90)


@pytest.fixture(scope="session")
def upload(jpeg: bytes) -> bytes:
    """A whole request that uploads it."""
    return request_bytes(jpeg)


async def keep_asking(ask: Ask, tally: Tally, *, until: Callable[[], bool]) -> None:
    """Eight clients, each sending its next photo when it has its last answer, until something is the case."""

    async def client() -> None:
        while not until():
            tally.replies.append(await ask())

    async with asyncio.timeout(300):
        await asyncio.gather(*(client() for _ in range(8)))
