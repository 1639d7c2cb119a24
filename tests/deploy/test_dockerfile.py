"""The Dockerfile, which is read, whose steps are run, and whose command is started as an engine would start it.

`make image` builds it (test_image.py).
"""

from __future__ import annotations

import fnmatch
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from dockerfile_parse import DockerfileParser

from depthsvc.settings import LogFormat, Settings, variable
from tests.conftest import opened, until
from tests.deploy.conftest import ROOT, checked, needed

TEXT = (ROOT / "Dockerfile").read_text()
PARSED = DockerfileParser(fileobj=io.BytesIO(TEXT.encode()))
CACHE = "/opt/depthsvc-cache"


def stages() -> dict[str, list[tuple[str, str]]]:
    """Instructions of each stage and their arguments; the last stage is `image`."""
    found: dict[str, list[tuple[str, str]]] = {}
    for step in PARSED.structure:
        if step["instruction"] == "FROM":
            current = found.setdefault(step["value"].partition(" AS ")[2] or "image", [])
        if found and step["instruction"] != "COMMENT":
            current.append((step["instruction"], step["value"]))
    return found


STAGES = stages()


def steps(stage: str, instruction: str) -> list[str]:
    """The arguments of a stage's instructions of this kind."""
    return [value for name, value in STAGES[stage] if name == instruction]


def sources(stage: str) -> list[str]:
    """What a stage copies from the project."""
    copies = [value.split() for value in steps(stage, "COPY") if not value.startswith("--from")]
    return [source for *given, _ in copies for source in given]


def only(instruction: str) -> str:
    """The argument of the image's one instruction of this kind."""
    [value] = steps("image", instruction)
    return value


def model_step() -> str:
    [step] = steps("model", "RUN")
    return re.sub(r"--mount=\S+ ", "", step)


def test_a_linter_has_nothing_to_say() -> None:
    assert checked(needed("hadolint"), ROOT / "Dockerfile") == ""


def test_it_is_built_in_stages_and_runs_in_another() -> None:
    assert {parent for parent in PARSED.parent_images if parent not in STAGES} == {PARSED.parent_images[-1]}
    assert "-slim" in PARSED.parent_images[-1]
    assert "image" in STAGES
    assert all(value.startswith("--from=") for value in steps("image", "COPY"))
    assert steps("image", "ADD") == []
    assert not any("pip" in value for value in steps("image", "RUN"))


def test_an_edit_of_the_sources_installs_and_fetches_nothing_again() -> None:
    """What is large is made from files that are seldom edited, and lies under what is not."""
    assert [value.split()[0] for value in steps("image", "COPY")] == [
        "--from=packages",
        "--from=model",
        "--from=package",
    ]
    assert not {"src", "README.md"} & {source.split("/")[0] for source in sources("requirements") + sources("packages")}
    assert not {"src", "README.md"} & set(sources("model")), "only the modules that prepare a model"
    assert "--no-deps" in steps("package", "RUN")[-1]
    assert "type=cache,target=/fetched" in steps("model", "RUN")[0]


def test_the_requirements_are_those_of_the_project(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    [script] = steps("requirements", "RUN")
    script = script.replace("python -c", f"{sys.executable} -c")
    subprocess.run(["sh", "-euc", script], cwd=tmp_path, env={**os.environ, "EXTRAS": "otel, onnx"}, check=True)
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = document["project"]["optional-dependencies"]
    expected = [*document["project"]["dependencies"], *extras["otel"], *extras["onnx"]]
    assert (tmp_path / "run.txt").read_text().splitlines() == expected
    assert (tmp_path / "build.txt").read_text().splitlines() == document["build-system"]["requires"]


def test_everything_that_is_installed_is_constrained() -> None:
    constrained = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {"setuptools", "hatchling", "hatch-fancy-pypi-readme", "torch"} <= constrained
    installing = [line for line in re.split(r"&&|\n(?=\w)", TEXT) if re.search(r"pip\b.* install\b", line)]
    assert installing
    assert all("-c constraints.txt" in line or "--no-deps --no-index" in line for line in installing)


def test_python_is_the_one_that_the_project_supports() -> None:
    [version] = set(re.findall(r"python:(\d+\.\d+)", TEXT))
    floor = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert tuple(map(int, version.split("."))) >= tuple(map(int, floor.split(".")))


def test_it_runs_as_numbers_that_are_not_root() -> None:
    [number] = set(only("USER").split(":"))
    assert int(number) >= 1000
    [accounts] = [value for value in steps("image", "RUN") if "useradd" in value]
    assert f"groupadd --gid {number}" in accounts
    assert f"useradd --uid {number} --gid {number}" in accounts
    assert "/nonexistent" in accounts
    assert "nologin" in accounts
    names = [name for name, _ in STAGES["image"]]
    assert names.index("USER") > max(index for index, name in enumerate(names) if name in {"RUN", "COPY"})


def test_its_command_is_one_of_the_service() -> None:
    *init, entry = json.loads(only("ENTRYPOINT"))
    assert init == ["/usr/bin/tini", "--"]
    assert Path(entry).name in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert json.loads(only("CMD")) == ["serve"]
    assert only("STOPSIGNAL") == "SIGTERM"


def test_its_variables_and_port_are_the_settings() -> None:
    ours = {name for name in PARSED.envs if name.startswith("DEPTHSVC_")}
    assert ours
    assert ours <= {variable(name) for name in Settings.model_fields}
    assert int(only("EXPOSE")) == Settings.model_fields["port"].default
    settings = Settings(host=PARSED.envs["DEPTHSVC_HOST"], log_format=PARSED.envs["DEPTHSVC_LOG_FORMAT"])
    assert settings.log_format is LogFormat.JSON


def test_it_runs_the_model_that_it_was_built_with() -> None:
    assert re.search(r"^ARG MODEL=midas_small\n(.*\n)*?FROM", TEXT, re.MULTILINE), "for all stages"
    for stage in ("model", "image"):
        assert "MODEL" in steps(stage, "ARG"), stage
        assert any("DEPTHSVC_MODEL=$MODEL" in value for value in steps(stage, "ENV")), stage


def test_it_says_what_it_is() -> None:
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in PARSED.labels.items()}
    assert set(labels) >= {"title", "description", "licenses", "source", "version", "revision", "base.name"}
    assert {"VERSION", "REVISION", "BASE"} <= {value.partition("=")[0] for value in steps("image", "ARG")}
    assert labels["licenses"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]


def test_the_bake_file_gives_arguments_that_the_image_has() -> None:
    text = (ROOT / "docker-bake.hcl").read_text()
    given = re.findall(r"^    (\w+) += (\w+)$", text, re.MULTILINE)
    assert given
    assert all(name == value for name, value in given)
    assert {name for name, _ in given} <= set(re.findall(r"^ARG (\w+)", TEXT, re.MULTILINE))
    defaults = dict(re.findall(r'^variable "(\w+)" {\n  default = "(.*)"', text, re.MULTILINE))
    for name in ("BASE", "MODEL"):
        assert f"ARG {name}={defaults[name]}\n" in TEXT
    assert 'platforms = ["linux/amd64", "linux/arm64"]' in text


def test_nothing_but_the_package_is_sent_to_the_engine() -> None:
    text = (ROOT / ".dockerignore").read_text()
    first, *rules = [line for line in text.splitlines() if not line.startswith("#")]
    assert first == "*"
    let_in = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    copied = {source for stage in STAGES for source in sources(stage)}
    assert {source.split("/depthsvc")[0] for source in copied} == set(let_in)
    assert all(list(ROOT.glob(source)) for source in copied)
    assert [rule for rule in rules if fnmatch.fnmatch("src/depthsvc/__pycache__", rule)] == ["**/__pycache__"]
    assert not re.search(r"(?i)(token|secret|password|api_key)", TEXT)


def run_model_step(folder: Path, **arguments: str) -> subprocess.CompletedProcess[str]:
    """Prepare the model as the build does, with this Python, the modules that the stage has and folders of our own."""
    (folder / "tmp").mkdir(parents=True)  # empty, as it is in a build
    for copied in steps("model", "COPY"):
        pattern, place = copied.split()
        for source in ROOT.glob(pattern):
            if source.is_dir():
                shutil.copytree(source, folder / "src" / place)
            else:
                (folder / "src" / place).mkdir(parents=True, exist_ok=True)
                shutil.copy(source, folder / "src" / place)
    script = model_step().replace("/opt/depthsvc/bin/python", sys.executable).replace("/fetched", f"{folder}/fetched")
    environment = {**os.environ, "DEPTHSVC_MODEL": "midas_small", "DEPTHSVC_CACHE_DIR": f"{folder}/cache"}
    environment |= {"PYTHONPATH": f"{folder}/src", "TMPDIR": f"{folder}/tmp", "WEIGHTS_SHA256": ""}
    environment |= {"OMP_WAIT_POLICY": "PASSIVE", **arguments}  # the tests share the processors
    return subprocess.run(["sh", "-euc", script], env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of an image without the weights of MiDaS_small."""
    folder = tmp_path_factory.mktemp("image")
    result = run_model_step(folder, DEPTHSVC_MODEL="embedded")
    assert result.returncode == 0, result.stderr
    return folder / "cache"


def test_the_network_is_traced_into_the_image_for_every_user(cache: Path) -> None:
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".ts", ".pt", ".json"}
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in files)
    assert all(path.stat().st_mode & 0o555 == 0o555 for path in cache.rglob("*") if path.is_dir())


def test_weights_that_are_not_the_published_ones_break_the_build(tmp_path: Path) -> None:
    weights = tmp_path / "midas_v21_small-70d6b9c8.pt"
    weights.write_bytes(b"something else")
    result = run_model_step(tmp_path / "build", DEPTHSVC_WEIGHTS_DIR=str(tmp_path))
    assert result.returncode != 0
    assert "is refused: its SHA-256 is" in result.stderr


def test_a_pinned_hash_is_kept_to(tmp_path: Path) -> None:
    result = run_model_step(tmp_path / "build", DEPTHSVC_MODEL="embedded", WEIGHTS_SHA256="0" * 64)
    assert result.returncode != 0
    assert "is refused: its SHA-256 is" in result.stderr


@dataclass(frozen=True)
class Container:
    """The image's command in namespaces of its own."""

    outside: subprocess.Popen[str]
    first: psutil.Process
    """Its process 1."""
    url: str
    log: Path


def _namespaces_can_be_made() -> bool:
    return os.getuid() == 0 and subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"]).returncode == 0


@pytest.fixture
def container(cache: Path, tmp_path: Path) -> Iterator[Container]:
    """The service as an engine runs the image with --read-only, --tmpfs /tmp, --cap-drop ALL and no-new-privileges."""
    if not _namespaces_can_be_made():
        pytest.skip("namespaces cannot be made here")
    needed("tini")
    root = tmp_path / "root"
    root.mkdir()
    folders = [sys.prefix, f"{sys.prefix}:/opt/depthsvc", sys.base_prefix, str(ROOT / "src"), f"{cache}:{CACHE}"]
    inside = {**PARSED.envs, "DEPTHSVC_MODEL": "embedded", "DEPTHSVC_PORT": "0", "DEPTHSVC_WORKERS": "1"}
    inside["OMP_WAIT_POLICY"] = "PASSIVE"
    assert PARSED.envs["DEPTHSVC_CACHE_DIR"] == CACHE
    command = [*json.loads(only("ENTRYPOINT")), *json.loads(only("CMD"))]
    log = tmp_path / "log"
    with log.open("w") as output:
        outside = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                str(ROOT / "tests/deploy/container.sh"),
                str(root),
            ]
            + [only("USER").partition(":")[0], " ".join(folders), "env", "-i", f"PYTHONPATH={ROOT / 'src'}"]
            + [f"{name}={value}" for name, value in inside.items()]
            + command,
            stdout=output,
            stderr=output,
            text=True,
        )
    try:
        until(lambda: outside.poll() is not None or "ready at http" in log.read_text())
        address = re.search(r"ready at (http://\S+)", log.read_text())
        assert address, log.read_text()
        [first] = psutil.Process(outside.pid).children()
        yield Container(outside, first, address[1], log)
    finally:
        outside.kill()
        outside.wait()


def test_it_serves_a_stranger_from_a_tree_that_cannot_be_written_to(container: Container, photo_png: bytes) -> None:
    with httpx.Client(base_url=container.url, timeout=60) as client:
        answer = client.post("/upload", files={"image": photo_png})
        assert answer.status_code == 200
        assert opened(answer.content).size == (320, 240)

        family = [container.first, *container.first.children(recursive=True)]
        assert {process.uids().effective for process in family} == {10001}
        status = Path(f"/proc/{container.first.pid}/status").read_text()
        assert re.search(r"CapBnd:\s0+\n", status)
        assert "cannot be written" not in container.log.read_text()  # the cache of the image is used as it is

        probe = json.loads(only("HEALTHCHECK").partition("CMD ")[2])
        port = {"DEPTHSVC_PORT": container.url.rpartition(":")[2]}
        assert subprocess.run([sys.executable, *probe[1:]], env=port).returncode == 0
        assert subprocess.run([sys.executable, *probe[1:]], env={"DEPTHSVC_PORT": "1"}, stderr=-3).returncode == 1

    # A killed fork server leaves orphans, which go on. Process 1 reaps them when they end.
    [server] = [process for process in family if "forkserver" in " ".join(process.cmdline())][:1]
    orphans = server.children()
    assert orphans
    for process in (server, *orphans):
        process.kill()
    until(lambda: not any(process.is_running() for process in [server, *orphans]))

    container.first.terminate()
    assert container.outside.wait(timeout=30) == 0
    assert all(json.loads(line)["event"] for line in container.log.read_text().splitlines())
