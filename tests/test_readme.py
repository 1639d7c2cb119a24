"""The README's examples run as they are printed, against a running service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from tests.conftest import RunningService, opened
from tests.parity import photo

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A person's folder: a photo, and a folder of photos with one that is broken."""
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo(60, 80)).save(tmp_path / "photo.jpg")
    Image.fromarray(photo(60, 80)).save(tmp_path / "photos/first.jpg")
    Image.fromarray(photo(80, 60)).save(tmp_path / "photos/second.png")
    (tmp_path / "photos/broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    return tmp_path


def run(command: list[str], script: str, service: RunningService, folder: Path) -> str:
    script = script.replace("http://localhost:7860", service.url)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "DEPTHSVC_MODEL": "embedded"}
    result = subprocess.run(
        [*command, script], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, f"{script}\n{result.stderr}"
    return result.stdout


@pytest.mark.parametrize("script", [block for block in blocks("sh") if "make" not in block and "batch" not in block])
def test_shell_examples_run(embedded_service: RunningService, folder: Path, script: str) -> None:
    before = set(folder.iterdir())
    output = run(["bash", "-euo", "pipefail", "-c"], script, embedded_service, folder)
    made = {path.name for path in set(folder.iterdir()) - before}
    expected = set(re.findall(r" -o (\S+)", script))
    assert made == expected
    assert made or output
    for name in made:
        if name.endswith(".npy"):
            assert np.load(folder / name).shape == (60, 80)
        elif name.endswith(".ply"):
            assert 3000 < len(trimesh.load(folder / name).vertices) <= 4800
        else:
            assert opened(folder / name).size == (80, 60)


def test_batch_examples_run(embedded_service: RunningService, folder: Path) -> None:
    (folder / "photos/broken.jpg").unlink()
    [script] = [block for block in blocks("sh") if "batch" in block]
    run(["bash", "-euo", "pipefail", "-c"], script, embedded_service, folder)
    made = {str(path.relative_to(folder)) for path in (folder / "depth").rglob("[!.]*.*")}
    assert made == {
        "depth/first.jpg.png",
        "depth/second.png.png",
        "depth/first.jpg.npy",
        "depth/photos/second.png.pair.png",
        "depth/report.jsonl",
    }


@pytest.mark.parametrize("script", blocks("python"))
def test_python_examples_run(embedded_service: RunningService, folder: Path, script: str) -> None:
    output = run([sys.executable, "-c"], script, embedded_service, folder)
    if "photos" in script:
        assert "broken.jpg The JPEG file is damaged" in output
        assert opened(folder / "depth_first.jpg").size == (80, 60)
        assert opened(folder / "depth_second.jpg").size == (60, 80)
    elif "argmax" in script:
        assert output.startswith("nearest point at")
    else:
        assert output.startswith("embedded (60, 80)")
        assert opened(folder / "depth.png").size == (80, 60)


def test_every_error_code_is_in_the_readme() -> None:
    from depthsvc import errors

    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.RequestError):
            assert f"`{error.code}`" in README, f"{error.__name__} is not documented"


def test_every_command_is_in_the_readme_or_its_help() -> None:
    from depthsvc.cli import main

    assert {"serve", "predict", "batch", "export", "bench", "weights", "settings"} == set(main.commands)
    for name in main.commands:
        assert f"depthsvc {name}" in README + (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
