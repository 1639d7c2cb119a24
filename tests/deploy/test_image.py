"""The image, built and run with an engine; `make image` runs these tests.

IMAGE_OPTIONS are further options of the build, such as `--build-arg MODEL=embedded`.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

import httpx
import pytest

from tests.conftest import opened, until
from tests.deploy.conftest import ROOT
from tests.deploy.engines import Engine, Image, engine

pytestmark = pytest.mark.image

NAME = "depthsvc"
OPTIONS = shlex.split(os.environ.get("IMAGE_OPTIONS", ""))


@pytest.fixture(scope="module")
def chosen() -> Engine:
    found = engine()
    if found is None:
        pytest.skip("there is neither Docker nor Podman, nor buildah with runc and the rights of root")
    return found


@pytest.fixture(scope="module")
def image(chosen: Engine) -> Image:
    return chosen.build(ROOT, NAME, OPTIONS)


def test_it_is_made_for_a_user_without_a_name(image: Image) -> None:
    assert image.config["User"] == "10001:10001"
    assert image.config["Healthcheck"]["Test"][0] == "CMD"
    assert image.config["Labels"]["org.opencontainers.image.title"] == "depthsvc"


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_it_serves_and_finishes_what_it_has_accepted(
    chosen: Engine, image: Image, photo_png: bytes, tmp_path: Path
) -> None:
    variables = dict(variable.split("=", 1) for variable in image.config["Env"])
    workers = {"DEPTHSVC_WORKERS": "2", "DEPTHSVC_WORKER_THREADS": "1"}
    with (
        chosen.running(image, workers, tmp_path) as container,
        httpx.Client(base_url=container.url, timeout=60) as client,
    ):
        until(lambda: _is_ready(client), longest_s=60)
        answer = client.post("/upload", files={"image": photo_png})
        assert answer.status_code == 200
        assert answer.headers["X-Depth-Model"] == variables["DEPTHSVC_MODEL"]
        assert opened(answer.content).size == (320, 240)
    assert container.status == 0
    events = [json.loads(line)["event"] for line in container.log.read_text().splitlines()]
    assert any(event.startswith("ready at ") for event in events)
    assert not any("cannot be written" in event for event in events), "the cache of the image is used as it is"


def test_an_edit_changes_one_small_layer(chosen: Engine, image: Image, tmp_path: Path) -> None:
    context = tmp_path / "context"
    shutil.copytree(ROOT, context, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    shutil.copy(ROOT / ".dockerignore", context)
    for edited in ("README.md", "src/depthsvc/server/app.py"):
        with (context / edited).open("a") as file:
            file.write("\n# One more line.\n")
    changed = chosen.build(context, f"{NAME}:edited", OPTIONS)
    assert changed.layers[:-1] == image.layers[:-1]
    assert changed.layers[-1] != image.layers[-1]
