"""The places where a command is run: without a home, or with streams and folders that cannot be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.conftest import encoded, opened, until
from tests.parity import photo

pytestmark = pytest.mark.usefixtures("light")

STRANGER = """
import pwd
def getpwuid(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = getpwuid
from depthsvc.cli import run
run()
"""
"""The command of a user who has no entry in the list of users."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.png").write_bytes(encoded(photo(48, 64)))
    return tmp_path


def run(place: Path, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command line, in which `depthsvc` is the command."""
    line = command.replace("depthsvc", f"{sys.executable} -m depthsvc", 1)
    environment = {**os.environ, **variables}
    return subprocess.run(["bash", "-c", line], cwd=place, env=environment, capture_output=True, text=True, timeout=120)


PREDICT = "depthsvc predict photos/cat.png --model embedded"
BATCH = "depthsvc batch photos out --model embedded --workers 1"


@pytest.mark.parametrize("stream", [">&-", ">/dev/full"], ids=["closed", "full"])
@pytest.mark.parametrize("command", ["depthsvc settings", f"{PREDICT} -o -"])
def test_a_result_that_cannot_be_written_is_one_line(place: Path, command: str, stream: str) -> None:
    result = run(place, f"{command} {stream}")
    reason = "it is closed" if stream == ">&-" else "No space left on device"
    assert result.stderr == f"Error: standard output: {reason}\n"
    assert result.returncode == 1


@pytest.mark.parametrize("streams", ["2>/dev/full", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", [f"{PREDICT} -o cat.png", BATCH])
def test_files_are_written_where_nobody_reads_messages(place: Path, command: str, streams: str) -> None:
    result = run(place, f"{command} {streams}")
    assert (result.returncode, result.stderr) == (0, "")
    written = place / ("out/cat.png.depth.png" if command == BATCH else "cat.png")
    assert opened(written).size == (64, 48)


def test_closed_input_is_empty_input(place: Path) -> None:
    result = run(place, "depthsvc predict - --model embedded -o cat.png <&-")
    assert "The image is empty" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_user_without_home_and_name_predicts(place: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "DEPTHSVC_CACHE_DIR")}
    arguments = ["predict", "photos/cat.png", "--model", "embedded", "-o", "cat.png"]
    result = subprocess.run(
        [sys.executable, "-c", STRANGER, *arguments],
        cwd=place,
        env={**environment, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (result.returncode, result.stderr) == (0, "cat.png: 64 x 48, by embedded\n")
    assert list(temporary.glob(f"depthsvc-{os.getuid()}/engines/*"))
    assert not (place / "~").exists()


def test_folders_that_cannot_be_written_are_named(place: Path) -> None:
    result = run(place, f"{PREDICT} -o cat.png --cache-dir /proc/cache", TMPDIR=str(place / "photos"))
    assert result.returncode == 0
    assert "/proc/cache cannot be written" in result.stderr


@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", ">/dev/full 2>/dev/full"], ids=["closed", "full"])
def test_the_service_runs_where_nobody_reads_messages(place: Path, streams: str) -> None:
    command = f"exec {sys.executable} -m depthsvc serve --model embedded --workers 1 --port 0 {streams}"
    process = subprocess.Popen(["bash", "-c", command])
    try:
        until(lambda: bool(listening(process)), longest_s=60)
        address = f"http://127.0.0.1:{listening(process)[0]}/upload"
        photo_bytes = (place / "photos/cat.png").read_bytes()
        answer = httpx.post(address, content=photo_bytes, headers={"Content-Type": "image/png"}, timeout=60)
        assert answer.status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()


def listening(process: subprocess.Popen[bytes]) -> list[int]:
    """The ports on which a process listens."""
    connections = psutil.Process(process.pid).net_connections("tcp4")
    return [connection.laddr.port for connection in connections if connection.status == psutil.CONN_LISTEN]
