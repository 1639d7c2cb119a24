"""The examples of README and docs run as they are printed, against a running service; the Chinese README keeps step."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from depthsvc import AsyncDepthClient, DepthClient, DepthEstimator
from depthsvc.settings import Settings, variable
from tests.conftest import LIGHT, RunningService, opened, point_cloud
from tests.parity import photo
from tests.server.conftest import answered, ask

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
CHINESE = (ROOT / "README.zh-CN.md").read_text()
DOCUMENTS = "\n".join([README, *(path.read_text() for path in sorted(DOCS.glob("*.md")))])
MOST_WORDS = 1100
"""Of README.md: who opens it is in a hurry."""


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
    script = script.replace("ws://localhost:7860", service.url.replace("http", "ws"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, **LIGHT, "PATH": path, "DEPTHSVC_MODEL": "embedded"}
    result = subprocess.run(
        [*command, script], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, f"{script}\n{result.stderr}"
    return result.stdout


def check_file(path: Path, size: tuple[int, int] = (80, 60)) -> None:
    """Whether an example has made a file of the photo in the folder."""
    if path.suffix == ".npy":
        assert np.load(path).shape == size[::-1]
    elif path.suffix == ".ply":
        assert 3000 < len(point_cloud(path).vertices) <= 4800
    else:
        assert opened(path).size == size


def runs_without_more(script: str) -> bool:
    """Whether a shell example needs nothing but the command, curl and a service, and takes nothing from other tests."""
    return not re.search(
        r"^(make|docker|eval|\S*pip|\S*python3?|depthsvc (batch|cache|doctor)|openapi-python-client)\b",
        script,
        re.MULTILINE,
    )


def test_no_example_that_installs_something_is_run() -> None:
    for script in ("pip install x", "python -m pip install x", ".venv/bin/pip install x", "true\npip install x"):
        assert not runs_without_more(script)


@pytest.mark.parametrize("script", [block for block in blocks("sh") if runs_without_more(block)])
def test_shell_examples_run(embedded_service: RunningService, folder: Path, script: str) -> None:
    before = set(folder.iterdir())
    output = run(["bash", "-euo", "pipefail", "-c"], script, embedded_service, folder)
    made = {path.name for path in set(folder.iterdir()) - before}
    expected = set(re.findall(r" -o (\S+)", script))
    assert made == expected
    assert made or output
    for name in made:
        check_file(folder / name)


def test_batch_examples_run(embedded_service: RunningService, folder: Path) -> None:
    (folder / "photos/broken.jpg").unlink()
    [script] = [block for block in blocks("sh", README) if "batch" in block]
    run(["bash", "-euo", "pipefail", "-c"], script, embedded_service, folder)
    made = {str(path.relative_to(folder)) for path in (folder / "depth").rglob("[!.]*.*")}
    assert made == {
        "depth/first.jpg.depth.png",
        "depth/second.png.depth.png",
        "depth/first.jpg.depth.npy",
        "depth/photos/second.png.depth.pair.png",
        "depth/report.jsonl",
    }


OUTPUTS = {
    'glob("*.*")': r"photos/broken\.jpg The JPEG file is damaged.*",
    "argmax": r"nearest point at x=\d+, y=\d+",
    "except RequestError": "400 not_an_image .*",
    "print(depth.model, ": r"embedded \(60, 80\) \S+ \S+",
    "print(depth, ": r"DepthMap\(.*\)\nPicture\(.*\)\n\(60, 80, 3\)\nPointCloud\(.* points\)",
    "print(depth)": r"DepthMap\(80 x 60, \S+ to \S+, by embedded\)",
    "print(client.health().model)": "embedded",
    "print(response.status_code)": "200",
    "ObstacleTracker(": r"nearness:( [01]\.\d\d){5}",
    ".video(frames)": r"0\.00 s: 256 x 192\n1\.00 s: 256 x 192\n2\.00 s: 256 x 192",
}
"""What a Python example prints, by what is in it; an example with none of them prints nothing."""
SIZES = {"pair.png": (160, 60), "thumbnail.png": (40, 30)}
"""Of pictures that are not of the photo's size."""


@pytest.mark.parametrize("script", blocks("python"))
def test_python_examples_run(embedded_service: RunningService, folder: Path, script: str) -> None:
    before = set(folder.iterdir())
    output = run([sys.executable, "-c"], script, embedded_service, folder)
    assert re.fullmatch(next((text for mark, text in OUTPUTS.items() if mark in script), ""), output.rstrip("\n"))
    made = {path.name for path in set(folder.iterdir()) - before}
    if "glob(" in script:
        assert made == {"depth_first.jpg", "depth_second.jpg"}
        assert opened(folder / "depth_first.jpg").size == (80, 60)
        assert opened(folder / "depth_second.jpg").size == (60, 80)
    else:
        assert made == set(re.findall(r"\.save\(\"(.*?)\"", script))
        for name in made:
            check_file(folder / name, SIZES.get(name, (80, 60)))
    if output.count("\n") > 1:
        pages = "".join((DOCS / name).read_text() for name in ("python.md", "video.md"))
        printed, shown = (re.sub(r"\d[\d.,]*", "0", text) for text in (output, pages))
        assert f"```\n{printed}```\n" in shown


@pytest.mark.parametrize("text", [README, CHINESE])
def test_what_docker_is_told_exists(text: str) -> None:
    [script] = [block for block in blocks("sh", text) if "docker" in block]
    settings = re.findall(r"-e (\w+)=", script)
    assert settings
    assert set(settings) <= set(map(variable, Settings.model_fields))


def test_what_the_image_is_told_exists() -> None:
    text = (ROOT / "deploy/README.md").read_text()
    [table] = re.findall(r"^\| build argument .*\n(?:\|.*\n)+", text, re.MULTILINE)
    described = {name for row in table.splitlines()[2:] for name in re.findall(r"`([A-Z_0-9]+)`", row.split("|")[1])}
    assert described == set(re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("face", [DepthEstimator, DepthClient, AsyncDepthClient])
def test_every_option_of_the_python_interface_is_documented(face: type) -> None:
    table = re.findall(r"^\| `(\w+)` \| an? `\w+`.*? \| (.*) \|$", (DOCS / "python.md").read_text(), re.MULTILINE)
    assert [verb for verb, _ in table] == ["depth", "heatmap", "point_cloud", "bokeh", "stereo", "normals", "mesh"]
    for verb, cell in table:
        parameters = inspect.signature(getattr(face, verb)).parameters.values()
        names = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
        assert set(re.findall(r"`(\w+)`", cell)) == names


def test_the_response_to_a_request_without_a_key_is_shown() -> None:
    [block] = blocks("json", (DOCS / "http.md").read_text())
    response = ask(answered(), headers={}, api_keys="first-key")
    shown, given = json.loads(block), response.json()
    assert {**shown, "request_id": given["request_id"]} == given
    assert f"`WWW-Authenticate: {response.headers['WWW-Authenticate']}`" in (DOCS / "http.md").read_text()


def test_every_error_code_is_documented() -> None:
    from depthsvc import errors

    interface = (DOCS / "http.md").read_text()
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.RequestError):
            assert f"`{error.code}`" in interface, f"{error.__name__} is not documented"


def test_every_command_is_documented() -> None:
    from depthsvc.cli import main

    assert set(main.commands) == {
        *("serve", "predict", "batch", "video", "compare", "eval", "export", "bench"),
        *("weights", "settings", "doctor", "cache"),
    }
    for name in main.commands:
        assert f"depthsvc {name}" in DOCUMENTS


def test_every_link_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= MOST_WORDS


def test_the_index_names_every_document() -> None:
    index = (DOCS / "README.md").read_text()
    linked = re.findall(r"^- \[[^]]+\]\(([^)]+)\): \S", index, re.MULTILINE)
    assert len(linked) == len(set(linked))
    assert {path.name for path in DOCS.glob("*.md")} - {"README.md"} == {link for link in linked if "/" not in link}
    assert "(docs/README.md)" in README


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
