"""What the tests of the model package share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

import pytest
import torch

from depthsvc.model.engines import kinds as engines
from tests.model.weights.file_server import FileServer, join_abandoned_downloads


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Networks as small as these are slower in several threads where other processes compute too."""
    torch.set_num_threads(1)


@pytest.fixture
def file_server() -> Iterator[FileServer]:
    """A server on the loopback."""
    server = FileServer()
    yield server
    server.close()
    join_abandoned_downloads()


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes it look as if a package were not installed."""

    hidden: set[str] = set()
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name in hidden else find_spec(name))
    return hidden.add
