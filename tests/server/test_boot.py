"""The first second of the service, before anything large is imported."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import until

pytestmark = pytest.mark.usefixtures("light")


def test_the_start_imports_nothing_that_the_fork_server_could_import_meanwhile() -> None:
    code = """
import sys, depthsvc.server.boot
sys.exit(str({"fastapi", "uvicorn", "httpx", "numpy", "cv2", "torch"} & sys.modules.keys() or 0))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == "0\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_start_and_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    temporary = tmp_path / "t"
    temporary.mkdir()
    service = subprocess.Popen(
        [sys.executable, "-m", "depthsvc", "serve", "--model", "embedded", "--port", "0"],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: any(temporary.iterdir()), longest_s=60)  # the fork server's socket
    service.send_signal(number)
    output, _ = service.communicate(timeout=60)
    assert service.returncode == 0, output
    assert "Traceback" not in output
    assert not list(temporary.iterdir())


def test_json_logs_are_all_that_is_printed(tmp_path: Path) -> None:
    """Whoever collects the output of a container gets JSON lines only; the address is in one of them."""
    log = tmp_path / "log"
    command = [sys.executable, "-m", "depthsvc", "serve", "--model", "embedded", "--workers", "1", "--port", "0"]
    with log.open("w") as output:
        service = subprocess.Popen([*command, "--log-format", "json"], stdout=output, stderr=output)
    until(lambda: service.poll() is not None or "ready at http://" in log.read_text(), longest_s=60)
    service.terminate()
    assert service.wait(timeout=60) == 0, log.read_text()
    assert all(json.loads(line)["event"] for line in log.read_text().splitlines())
