"""Several models in one service, one of them in metres."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from torch import Tensor

from depthsvc import DepthClient
from depthsvc.errors import ConfigurationError, InvalidParameter
from depthsvc.imaging.pointcloud import PointCloud
from depthsvc.imaging.spec import DepthKind
from depthsvc.model.choice import Precision
from depthsvc.model.engines.torchscript import write
from depthsvc.model.networks.base import Network
from depthsvc.pool.launch import prepared_models
from depthsvc.settings import read_settings
from tests.conftest import RunningService, encoded, opened, services

DARK_AND_BRIGHT = np.zeros((40, 60, 3), np.uint8)
DARK_AND_BRIGHT[:, 30:] = 255
PHOTO = encoded(DARK_AND_BRIGHT)


class Brightness(Network):
    """Dark is 2 m away, bright 102 m."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 + 100 * x[:, 0]


@pytest.fixture(scope="module")
def metric_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "brightness.ts"
    write(Brightness().eval(), (1, 3, 32, 32), path, Precision.FP32, whole=True)
    spec = {"size": 64, "multiple": 4, "mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "area"}
    description = {"input": spec, "output": "metres", "enlargement": "bilinear", "farthest_m": 102}
    path.with_suffix(".json").write_text(json.dumps(description))
    return path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, metric_model: Path) -> Iterator[RunningService]:
    with services(tmp_path_factory) as start:
        yield start("--model", "embedded", "--model", str(metric_model), "--workers", "1")


@pytest.fixture
def client(service: RunningService) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def test_photos_get_the_first_model_unless_they_ask_for_another(client: httpx.Client, service: RunningService) -> None:
    assert "embedded, brightness" in service.announcement
    models = client.get("/models").json()
    assert (models["in_use"], models["served"]) == ("embedded", ["embedded", "brightness"])
    custom = next(model for model in models["models"] if model["name"] == "brightness")
    assert (custom["kind"], custom["in_use"], custom["licence"]) == ("metres", True, "unknown")
    for asked, used in ((None, "embedded"), ("embedded", "embedded"), ("brightness", "brightness")):
        response = client.post("/upload", files={"image": PHOTO}, params={"model": asked} if asked else {})
        assert response.headers["X-Depth-Model"] == used
    in_form = client.post("/upload", files={"image": PHOTO}, data={"model": "brightness"})
    assert in_form.headers["X-Depth-Model"] == "brightness"


@pytest.mark.parametrize("route", ["/upload", "/depth", "/pointcloud", "/bokeh", "/stereo", "/normals", "/mesh"])
def test_a_model_that_is_not_served_is_an_error_that_lists_those_that_are(client: httpx.Client, route: str) -> None:
    response = client.post(route, files={"image": PHOTO}, params={"model": "dpt_large"})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_parameter")
    assert "Use one of embedded, brightness." in response.json()["detail"]


def test_metres_say_that_they_are_metres(client: httpx.Client) -> None:
    response = client.post("/depth", files={"image": PHOTO}, params={"model": "brightness", "format": "png16"})
    headers = response.headers
    assert (headers["X-Depth-Kind"], headers["X-Depth-Unit"]) == ("metres", "metres")
    assert np.allclose([float(headers["X-Depth-Min"]), float(headers["X-Depth-Max"])], [2, 102], atol=1e-3)
    image = opened(response.content)
    metres = np.asarray(image) * float(image.info["scale"])
    assert np.allclose(metres[20, [5, 55]], [2, 102], atol=0.01)
    relative = client.post("/depth", files={"image": PHOTO}).headers
    assert (relative["X-Depth-Kind"], relative["X-Depth-Unit"]) == ("inverse_depth", "relative")


def test_near_is_bright_in_metres_too(client: httpx.Client) -> None:
    heatmap = np.asarray(opened(client.post("/upload?model=brightness", files={"image": PHOTO}).content)).astype(int)
    assert heatmap[20, 5].sum() > heatmap[20, 55].sum() + 400


def test_points_of_a_metric_model_are_in_metres(client: httpx.Client) -> None:
    cloud = PointCloud.of_ply(client.post("/pointcloud?model=brightness", files={"image": PHOTO}).content)
    assert cloud.kind is DepthKind.METRES
    assert np.allclose([cloud.points[:, 2].max(), cloud.points[:, 2].min()], [-2, -102], atol=0.01)


def test_clients_ask_for_a_model_and_get_its_kind_of_depth(service: RunningService) -> None:
    with DepthClient(service.url) as client:
        metric = client.depth(PHOTO, model="brightness")
        assert (metric.kind, metric.model) == (DepthKind.METRES, "brightness")
        assert client.depth(PHOTO).kind is DepthKind.INVERSE_DEPTH
        with pytest.raises(InvalidParameter, match="is not served here"):
            client.heatmap(PHOTO, model="other")


def test_metrics_tell_models_apart(client: httpx.Client) -> None:
    client.post("/upload?model=brightness", files={"image": PHOTO})
    text = client.get("/metrics").text
    assert 'depthsvc_stage_seconds_count{model="brightness",stage="infer"}' in text
    assert 'depthsvc_info{degraded="false",engine="torchscript",model="brightness"' in text


def test_a_model_given_twice_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="The model embedded is given twice"):
        prepared_models(read_settings({"model": "embedded,embedded"}))


def test_a_weights_file_belongs_to_one_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--weights-dir"):
        prepared_models(read_settings({"model": "embedded,midas_small", "weights": tmp_path / "file.pt"}))
