"""The first second of the service, before anything large is imported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import until


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
