"""A process that may open few files."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.conftest import until

LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, {limits});"
ASKED = f"""{LIMITED}
from depthsvc.server.descriptors import connection_limit
from depthsvc.settings import Settings
print(connection_limit(Settings(max_connections=1000, workers=25)), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("limits", "expected", "warned"),
    [
        ((256, 1400), [1000, 1350, 1400], False),
        ((1375, 1400), [1000, 1375, 1400], False),
        ((256, 1000), [650, 1000, 1000], True),
        ((100, 100), [1, 100, 100], True),
    ],
)
def test_files_suffice_for_connections_and_workers(limits: tuple[int, int], expected: list[int], warned: bool) -> None:
    """A thousand connections and 25 workers need 1350 files."""
    asked = subprocess.run([sys.executable, "-c", ASKED.format(limits=limits)], capture_output=True, text=True)
    assert [int(number) for number in asked.stdout.split()] == expected, asked.stderr
    assert (f"at most {expected[0]} connections instead of 1000" in asked.stderr) == warned
    assert ("LimitNOFILE" in asked.stderr) == warned


def test_connections_never_take_the_last_file(tmp_path: Path) -> None:
    start = f"{LIMITED.format(limits=(256, 300))} from depthsvc.cli import main; main()"
    options = ["serve", "--port", "0", "--model", "embedded", "--workers", "1", "--worker-threads", "1"]
    log = tmp_path / "log"
    with log.open("w") as stderr:
        service = subprocess.Popen([sys.executable, "-c", start, *options], stdout=subprocess.PIPE, stderr=stderr)
    with service, contextlib.ExitStack() as stack:
        stack.callback(service.terminate)
        assert service.stdout is not None
        address = re.search(rb"http://(\S+):(\d+)", service.stdout.readline())
        assert address, log.read_text()
        host, port = address[1].decode(), int(address[2])
        for _ in range(400):
            stack.enter_context(socket.create_connection((host, port), 30))
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=30) as client:
            assert client.get("/health/live").status_code == 200
            until(lambda: client.get("/health").status_code == 200)
        assert resource.prlimit(service.pid, resource.RLIMIT_NOFILE) == (300, 300)
        assert psutil.Process(service.pid).num_fds() < 150
    warning, *_ = map(json.loads, log.read_text().splitlines())
    assert (warning["level"], "at most 94 connections instead of 4096" in warning["event"]) == ("warning", True)
