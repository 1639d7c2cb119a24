"""Where a model is prepared for an engine that needs no PyTorch, nothing imports PyTorch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from depthsvc.estimator import DepthEstimator
from depthsvc.model.choice import EngineName
from depthsvc.model.engines.kinds import KINDS
from tests.conftest import StartService, encoded, opened
from tests.parity import photo

PHOTO = encoded(photo(60, 80))


@pytest.fixture(params=[name for name, kind in KINDS.items() if "torch" not in kind.packages])
def engine(request: pytest.FixtureRequest) -> EngineName:
    """An engine for which the embedded model is prepared."""
    name: EngineName = request.param
    if not KINDS[name].can_write():
        pytest.skip(f"{name} is not installed")
    DepthEstimator("embedded", engine=name, worker_threads=1)
    return name


@pytest.fixture
def without_torch(tmp_path: Path) -> dict[str, str]:
    """Environment of processes in which `import torch` fails, and in their children too."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}


def test_predict_imports_nothing_that_it_does_not_need(
    engine: EngineName, without_torch: dict[str, str], tmp_path: Path
) -> None:
    source, target = tmp_path / "photo.png", tmp_path / "depth.png"
    source.write_bytes(PHOTO)
    script = """
import sys, depthsvc.cli
depthsvc.cli.main(standalone_mode=False)
sys.exit(str({"httpx", "structlog", "torch"} & {name for name, module in sys.modules.items() if module}))
"""
    command = ["predict", str(source), "-o", str(target), "--model", "embedded", "--engine", engine]
    result = subprocess.run(
        [sys.executable, "-c", script, *command], env={**os.environ, **without_torch}, capture_output=True, text=True
    )
    assert result.stderr.splitlines() == [f"{target}: 80 x 60, by embedded", "set()"]
    assert opened(target).size == (80, 60)


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_the_service_starts_and_answers(
    engine: EngineName, device: str, without_torch: dict[str, str], start_service: StartService
) -> None:
    options = ("--model", "embedded", "--engine", engine, "--device", device, "--workers", "1")
    with start_service(*options, environment=without_torch).client() as client:
        response = client.post("/upload", files={"image": PHOTO})
    assert response.status_code == 200
    assert opened(response.content).size == (80, 60)
