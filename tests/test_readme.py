"""The examples of README and docs run as they are printed, against a running service; the Chinese README keeps step."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import RunningService, opened, point_cloud
from tests.parity import photo

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CHINESE = (ROOT / "README.zh-CN.md").read_text()
DOCUMENTS = "\n".join([README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))])


def blocks(language: str, text: str = DOCUMENTS) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


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
            assert 3000 < len(point_cloud(folder / name).vertices) <= 4800
        else:
            assert opened(folder / name).size == (80, 60)


def test_batch_examples_run(embedded_service: RunningService, folder: Path) -> None:
    (folder / "photos/broken.jpg").unlink()
    [script] = [block for block in blocks("sh", README) if "batch" in block]
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


def test_every_error_code_is_documented() -> None:
    from depthsvc import errors

    interface = (ROOT / "docs/http.md").read_text()
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.RequestError):
            assert f"`{error.code}`" in interface, f"{error.__name__} is not documented"


def test_every_command_is_documented() -> None:
    from depthsvc.cli import main

    assert {"serve", "predict", "batch", "export", "bench", "weights", "settings"} == set(main.commands)
    for name in main.commands:
        assert f"depthsvc {name}" in DOCUMENTS


def test_every_link_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def outline(text: str) -> list[str]:
    """What two languages share: levels of headings, commands without their comments, names and links."""
    headings = re.findall(r"^#+ ", text, re.MULTILINE)
    fenced = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
    code = [re.sub(r" +#.*", "", block) for block in fenced.findall(text)]
    prose = fenced.sub("", text)
    links = set(re.findall(r"\]\(([^)]+)\)", prose)) - {"README.md", "README.zh-CN.md"}
    return [*headings, *code, *sorted(set(re.findall(r"`[^`]+`", prose))), *sorted(links)]


def test_the_chinese_readme_keeps_step_with_the_english_one() -> None:
    english, chinese = outline(README), outline(CHINESE)
    assert [mark for mark in english if mark not in chinese] == []
    assert [mark for mark in chinese if mark not in english] == []
    assert english == chinese


def test_the_chinese_readme_gives_the_same_figures() -> None:
    english, chinese = (
        [re.findall(r"\d[\d.,]*\d|\d", row) for row in re.findall(r"^\|.*", text, re.MULTILINE)]
        for text in (README, CHINESE)
    )
    assert english == chinese
