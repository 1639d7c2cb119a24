"""What the tests of the model package share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.model.file_server import FileServer, join_abandoned_downloads


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
