"""The image, without an engine to build it: its Dockerfile is read, its steps are run, and its command is started as an
engine would start it."""

from __future__ import annotations

import fnmatch
import io
import json
import os
import re
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

from depthsvc.settings import Settings, variable
from tests.conftest import opened, until
from tests.deploy.conftest import ROOT, checked, needed

TEXT = (ROOT / "Dockerfile").read_text()
PARSED = DockerfileParser(fileobj=io.BytesIO(TEXT.encode()))
CACHE = "/opt/depthsvc-cache"


def steps(stage: int) -> list[tuple[str, str]]:
    """Instructions of one stage and their arguments."""
    stages: list[list[tuple[str, str]]] = []
    for step in PARSED.structure:
        if step["instruction"] == "FROM":
            stages.append([])
        if stages and step["instruction"] != "COMMENT":
            stages[-1].append((step["instruction"], step["value"]))
    return stages[stage]


def only(instruction: str) -> str:
    """The argument of the image's one instruction of this kind."""
    [value] = [value for name, value in steps(-1) if name == instruction]
    return value


def model_step() -> str:
    [step] = [value for name, value in steps(0) if name == "RUN" and "DepthEstimator" in value]
    return step


def test_a_linter_has_nothing_to_say() -> None:
    assert checked(needed("hadolint"), ROOT / "Dockerfile") == ""


def test_it_is_built_in_one_stage_and_runs_in_another() -> None:
    assert [parent for parent in PARSED.parent_images if "-slim" in parent] == PARSED.parent_images
    assert len(PARSED.parent_images) == 2
    brought = {name: value for name, value in steps(-1) if name in {"COPY", "ADD"}}
    assert brought
    assert all(value.startswith("--from=build") for value in brought.values())
    assert not any("pip" in value for name, value in steps(-1) if name == "RUN")


def test_python_is_the_one_that_the_project_supports() -> None:
    [version] = set(re.findall(r"python:(\d+\.\d+)", TEXT))
    floor = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert tuple(map(int, version.split("."))) >= tuple(map(int, floor.split(".")))


def test_what_is_tested_is_what_is_installed_and_no_index_is_named() -> None:
    assert "-c constraints.txt" in TEXT
    assert "ARG PIP_EXTRA_INDEX_URL" in TEXT
    assert not re.search(r"https?://(?!127\.0\.0\.1)", TEXT)


def test_it_runs_as_a_number_that_is_not_root() -> None:
    assert int(only("USER")) >= 1000
    assert [name for name, _ in steps(-1)].index("USER") > max(
        index for index, (name, _) in enumerate(steps(-1)) if name in {"RUN", "COPY"}
    )


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
    assert Settings(host=PARSED.envs["DEPTHSVC_HOST"], model=PARSED.envs["DEPTHSVC_MODEL"]).model == "midas_small"


def test_it_says_what_it_is() -> None:
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in PARSED.labels.items()}
    assert set(labels) >= {"title", "description", "licenses"}
    assert labels["licenses"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]


def test_nothing_but_the_package_is_sent_to_the_engine() -> None:
    text = (ROOT / ".dockerignore").read_text()
    first, *rules = [line for line in text.splitlines() if not line.startswith("#")]
    assert first == "*"
    let_in = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    copied = [source for name, value in steps(0) if name == "COPY" for source in value.split()[:-1]]
    assert sorted(copied) == sorted(let_in)
    assert all((ROOT / source).exists() for source in copied)
    assert [rule for rule in rules if fnmatch.fnmatch("src/depthsvc/__pycache__", rule)] == ["**/__pycache__"]
    assert not re.search(r"(?i)(token|secret|password|api_key)", "".join(value for _, value in steps(0) + steps(-1)))


def run_model_step(cache: Path, **arguments: str) -> subprocess.CompletedProcess[str]:
    """Prepare the model as the build does, with this Python and a folder of our own."""
    script = model_step().replace("/opt/depthsvc/bin/python", sys.executable)
    temporary = cache.parent / "tmp"  # empty, as it is in a build
    temporary.mkdir()
    environment = {**os.environ, "DEPTHSVC_CACHE_DIR": str(cache), "TMPDIR": str(temporary), "WEIGHTS_SHA256": ""}
    environment |= {"OMP_WAIT_POLICY": "PASSIVE", **arguments}  # the tests share the processors
    return subprocess.run(["sh", "-euc", script], env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of an image without the weights of MiDaS_small."""
    cache = tmp_path_factory.mktemp("image") / "cache"
    result = run_model_step(cache, FETCH_WEIGHTS="false")
    assert result.returncode == 0, result.stderr
    return cache


def test_the_network_is_traced_into_the_image_for_every_user(cache: Path) -> None:
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".ts", ".json"}
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in files)
    assert all(path.stat().st_mode & 0o555 == 0o555 for path in cache.rglob("*") if path.is_dir())


def test_weights_that_are_not_the_published_ones_break_the_build(tmp_path: Path) -> None:
    weights = tmp_path / "midas_v21_small-70d6b9c8.pt"
    weights.write_bytes(b"something else")
    result = run_model_step(tmp_path / "cache", FETCH_WEIGHTS="true", DEPTHSVC_WEIGHTS_DIR=str(tmp_path))
    assert result.returncode != 0
    assert "is refused: its SHA-256 is" in result.stderr


def test_a_pinned_hash_is_kept_to(tmp_path: Path) -> None:
    result = run_model_step(tmp_path / "cache", FETCH_WEIGHTS="false", WEIGHTS_SHA256="0" * 64)
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
    with log.open("w") as stderr:
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
            + [only("USER"), " ".join(folders), "env", "-i", f"PYTHONPATH={ROOT / 'src'}"]
            + [f"{name}={value}" for name, value in inside.items()]
            + command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert outside.stdout is not None
    try:
        address = re.search(r"http://\S+", outside.stdout.readline())
        assert address, log.read_text()
        [first] = psutil.Process(outside.pid).children()
        yield Container(outside, first, address.group(), log)
    finally:
        outside.kill()
        outside.wait()
        outside.stdout.close()


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

    # A killed process leaves orphans. They die with it, and process 1 reaps them.
    [server] = [process for process in family if "forkserver" in " ".join(process.cmdline())][:1]
    orphans = server.children()
    assert orphans
    server.kill()
    until(lambda: not any(process.is_running() for process in [server, *orphans]))

    container.first.terminate()
    assert container.outside.wait(timeout=30) == 0
