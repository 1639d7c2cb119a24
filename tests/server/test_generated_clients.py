"""Clients that generators make of the OpenAPI document, each skipped where its generator is not installed."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from shutil import which
from typing import Any

import httpx
import pytest

from tests.conftest import RunningService, StartService, opened

ROOT = Path(__file__).parents[2]


def run(*command: str | Path) -> str:
    """What a generator says; it must not fail."""
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


RESULTS = ("upload", "depth", "pointcloud", "bokeh", "stereo", "normals", "mesh")


@pytest.fixture
def document(client: httpx.Client, tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_text(client.get("/openapi.json").text)
    return path


def test_the_document_says_whose_it_is_and_names_operations_like_routes(document: Path) -> None:
    described = json.loads(document.read_text())
    assert described["servers"] == [{"url": "/"}]
    assert described["info"]["license"]["identifier"] == "MIT"
    assert described["info"]["contact"]["url"] in (ROOT / "pyproject.toml").read_text()
    operations = {
        path: operation["operationId"] for path, by in described["paths"].items() for operation in by.values()
    }
    assert operations == {
        **{f"/{name}": name for name in (*RESULTS, "models", "metrics", "health")},
        "/health/live": "live",
        "/health/ready": "ready",
    }


def test_all_errors_are_one_schema(document: Path) -> None:
    described = json.loads(document.read_text())
    responses = [
        (status, response)
        for by in described["paths"].values()
        for operation in by.values()
        for status, response in operation["responses"].items()
    ]
    problems = [response for _, response in responses if "application/problem+json" in response["content"]]
    assert len(problems) > 40
    for problem in problems:
        assert problem["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert all("Retry-After" in response["headers"] for status, response in responses if status == "429")
    assert "ValidationError" not in document.read_text()


@pytest.fixture
def generated(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a package that openapi-python-client has made, without a warning."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)  # it runs ruff
    program = which("openapi-python-client")
    if program is None:
        pytest.skip("there is no openapi-python-client")
    package = tmp_path / "generated_depth_client"
    options = ("--path", document, "--output-path", package, "--meta", "none", "--fail-on-warning")
    assert "warning" not in run(program, "generate", *options).lower()
    monkeypatch.syspath_prepend(tmp_path)
    return package.name


def test_the_python_client_gets_answers(generated: str, service: RunningService, photo_png: bytes) -> None:
    def module(name: str) -> Any:
        return importlib.import_module(f"{generated}.{name}")

    file, form = module("types").File, module("models").PhotoForm
    photo = file(payload=BytesIO(photo_png), file_name="photo.png", mime_type="image/png")
    no_photo = file(payload=BytesIO(b"no photo"), file_name="photo.png")
    npy, small = module("models").DepthFormat.NPY, module("models").OutputSize.MODEL
    with module("client").Client(base_url=service.url) as client:
        heatmap = module("api.depth.upload").sync(client=client, body=form(image=photo))
        assert opened(heatmap.payload.read()).size == (320, 240)
        bare = file(payload=BytesIO(photo_png))
        values = module("api.depth.depth").sync(client=client, body=bare, format_=npy, size=small, normalize=True)
        assert values.payload.read(6) == b"\x93NUMPY"
        problem = module("api.depth.bokeh").sync(client=client, body=form(image=no_photo))
        assert (problem.status, problem.code) == (400, "not_an_image")
        assert module("api.health.health").sync(client=client).status.value == "ok"
        assert module("api.models.models").sync(client=client).in_use == "midas_small"
        assert "depthsvc_requests" in module("api.health.metrics").sync(client=client)


def test_the_python_client_sends_a_key(generated: str, start_service: StartService) -> None:
    service = start_service("--model", "embedded", "--workers", "1", "--api-keys", "the-key")
    clients = importlib.import_module(f"{generated}.client")
    models = importlib.import_module(f"{generated}.api.models.models")
    with clients.Client(base_url=service.url) as unknown:
        assert models.sync(client=unknown).code == "unauthorized"
    with clients.AuthenticatedClient(base_url=service.url, token="the-key") as known:
        assert models.sync(client=known).in_use == "embedded"


def test_typescript_types_are_made_without_warnings(document: Path, tmp_path: Path) -> None:
    installed = map(str, ROOT.glob(".tools/openapi-typescript-*/node_modules/.bin/openapi-typescript"))
    program = next(installed, None) or which("openapi-typescript")
    if program is None:
        pytest.skip("there is no openapi-typescript")
    said = run(program, document, "-o", tmp_path / "depth.ts")
    assert "warn" not in said.lower()
    assert "⚠" not in said
    types = (tmp_path / "depth.ts").read_text()
    assert all(f'operations["{name}"]' in types for name in RESULTS)


def test_a_result_has_the_type_of_plain_bytes_if_only_that_is_accepted(client: httpx.Client, photo_png: bytes) -> None:
    types = []
    for accept in ("application/octet-stream", "image/png, application/octet-stream", "*/*"):
        response = client.post("/upload", files={"image": photo_png}, headers={"Accept": accept})
        types.append(response.headers["Content-Type"])
        assert opened(response.content).size == (320, 240)
    assert types == ["application/octet-stream", "image/png", "image/png"]
