"""The examples run as they are, against a running service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import RunningService, opened, point_cloud
from tests.parity import photo

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo(60, 80)).save(tmp_path / "photos/first.jpg")
    Image.fromarray(photo(80, 60)).save(tmp_path / "photos/second.png")
    (tmp_path / "photos/broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    (tmp_path / "photos/notes.txt").write_text("no photo")
    return tmp_path


def run(folder: Path, service: RunningService, *command: str) -> tuple[int, str]:
    """Exit status and output."""
    environment = {**os.environ, "DEPTHSVC_URL": service.url}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert result.stderr == ""
    return result.returncode, result.stdout


def test_curl(folder: Path, embedded_service: RunningService) -> None:
    status, output = run(folder, embedded_service, "bash", str(EXAMPLES / "curl.sh"), "photos/first.jpg")
    assert status == 0, output
    assert {path.name for path in folder.iterdir() if path.is_file()} == {
        "heatmap.png",
        "viridis.png",
        "pair.png",
        "depth.npy",
        "depth.f16",
        "headers.txt",
        "depth16.png",
        "detailed.png",
        "points.ply",
        "refocused.jpg",
    }
    assert 3000 < len(point_cloud(folder / "points.ply").vertices) <= 4800
    assert opened(folder / "refocused.jpg").size == (80, 60)
    modes = {name: opened(folder / f"{name}.png").mode for name in ("heatmap", "viridis", "pair", "detailed")}
    assert modes == {"heatmap": "RGB", "viridis": "P", "pair": "RGB", "detailed": "RGB"}
    assert opened(folder / "pair.png").size == (160, 60)
    values = np.load(folder / "depth.npy")
    assert np.array_equal(np.fromfile(folder / "depth.f16", "<f2").reshape(60, 80), values)
    assert np.asarray(opened(folder / "depth16.png")).max() == 65535
    assert "X-Depth-Shape: 60,80" in output.replace("x-depth-shape", "X-Depth-Shape")
    assert '"code":"not_an_image"' in output


def test_batch_with_requests(folder: Path, embedded_service: RunningService) -> None:
    script = str(EXAMPLES / "batch_requests.py")
    status, output = run(folder, embedded_service, sys.executable, script, "photos", "depth", embedded_service.url)
    assert status == 1
    assert "photos/broken.jpg: The JPEG file is damaged or truncated." in output
    assert {path.name: opened(path).size for path in (folder / "depth").iterdir()} == {
        "depth_first.jpg": (80, 60),
        "depth_second.jpg": (60, 80),
    }


def test_client(folder: Path, embedded_service: RunningService) -> None:
    photos = ["photos/first.jpg", "photos/broken.jpg", "photos/second.png"]
    status, output = run(folder, embedded_service, sys.executable, str(EXAMPLES / "client.py"), *photos)
    assert status == 0
    assert "model: embedded\nphotos/first.jpg: 80 x 60, inverse depth" in output
    assert "photos/broken.jpg: broken_image: The JPEG file is damaged" in output
    assert opened(folder / "second-heatmap.png").size == (60, 80)
    assert np.load(folder / "first-depth.npy").shape == (60, 80)
    assert not (folder / "broken-depth.npy").exists()


def test_every_example_is_in_the_readme() -> None:
    readme = (EXAMPLES.parent / "README.md").read_text()
    for path in EXAMPLES.iterdir():
        assert f"examples/{path.name}" in readme
