"""The examples run as they are, against a running service."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from websockets.sync.server import ServerConnection, serve

from tests.conftest import RunningService, opened, point_cloud
from tests.parity import photo
from tests.video.clips import clip

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


def sector(nearness: float, metres: float | None = None, contact_s: float | None = None) -> dict[str, float | None]:
    return {"left": 0, "right": 1, "nearness": nearness, "metres": metres, "approach": None, "contact_s": contact_s}


FREE, NEAR = sector(0.2), sector(0.9)
WAYS = {
    "ahead": [NEAR, FREE, FREE, sector(0.6, contact_s=4), NEAR],
    "turn left": [FREE, FREE, NEAR, FREE, NEAR],
    "turn right": [sector(0.5), FREE, sector(0.3, contact_s=1), FREE, FREE],
    "stop: The JPEG file is damaged.": None,
    "stop": [NEAR, NEAR, sector(0.1, metres=0.5), NEAR, NEAR],
}
"""What a robot is told of a frame, by what it has to do."""


class FakeLive:
    """A service that answers live frames as it is told to."""

    def __init__(self) -> None:
        self.keys: list[str | None] = []
        self.options: dict[str, object] = {}
        self.sizes: list[tuple[int, int]] = []

    def __call__(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.keys.append(socket.request.headers.get("Authorization"))
        self.options = json.loads(socket.recv())
        socket.send(json.dumps({"model": "made", "kind": "inverse_depth", "unit": "relative"}))
        for sectors in WAYS.values():
            message = socket.recv()
            assert isinstance(message, bytes)
            (number,) = struct.unpack_from("<I", message)
            self.sizes.append(Image.open(io.BytesIO(message[4:])).size)
            if sectors is None:
                error = {"code": "broken_image", "detail": "The JPEG file is damaged."}
                socket.send(json.dumps({"id": number, "error": error}))
                continue
            header = json.dumps({"id": number, "dropped": 0, "obstacles": sectors}).encode()
            socket.send(struct.pack("<I", len(header)) + header)


def test_robot(tmp_path: Path) -> None:
    source, live = clip(tmp_path / "walk.mp4", ticks=range(0, 100 * len(WAYS), 100)), FakeLive()
    with serve(live, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        command = [sys.executable, str(EXAMPLES / "robot.py"), str(source)]
        environment = {**os.environ, "DEPTHSVC_URL": address, "DEPTHSVC_API_KEY": "secret"}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        server.shutdown()
        thread.join()
    assert result.stderr == ""
    said = [line.removeprefix(f"{number}: ") for number, line in enumerate(result.stdout.splitlines()[1:])]
    assert said == [*WAYS, "stop: there are no more pictures"]
    assert live.keys == ["Bearer secret"]
    assert live.options == {"format": "none", "obstacles": True, "smooth": 0, "every": 1}
    assert live.sizes == [(640, 480)] * len(WAYS)


def test_a_robot_without_a_camera_says_so(tmp_path: Path) -> None:
    with serve(FakeLive(), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        environment = {**os.environ, "DEPTHSVC_URL": f"http://127.0.0.1:{server.socket.getsockname()[1]}"}
        command = [sys.executable, str(EXAMPLES / "robot.py"), "none.mp4"]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, cwd=tmp_path)
        server.shutdown()
        thread.join()
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "none.mp4 is no camera and no video that can be opened."


def test_every_example_is_in_the_readme() -> None:
    readme = (EXAMPLES.parent / "README.md").read_text()
    for path in EXAMPLES.iterdir():
        assert f"examples/{path.name}" in readme
