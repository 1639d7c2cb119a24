from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import depthsvc
from depthsvc import DepthEstimator, DepthMap
from depthsvc.errors import InvalidParameter, NotAnImage, WeightsError
from depthsvc.model.loaded import Model
from tests import parity
from tests.conftest import encoded


def test_public_names() -> None:
    names = ["AsyncDepthClient", "DepthClient", "DepthEstimator", "DepthMap"]
    names += ["ObstacleTracker", "Sector", "TemporalFilter", "__version__", "obstacles"]
    assert depthsvc.__all__ == names
    assert all(hasattr(depthsvc, name) for name in depthsvc.__all__)
    with pytest.raises(AttributeError, match="Pipeline"):
        _ = depthsvc.Pipeline


@pytest.mark.parametrize(
    "module", ["depthsvc", "depthsvc.cli", "depthsvc.server.lifecycle", "depthsvc.client", "depthsvc.batch.run"]
)
def test_no_engine_is_imported_before_it_is_needed(module: str) -> None:
    code = f"import sys, {module}; sys.exit(bool({{'torch', 'openvino', 'onnxruntime'}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_every_kind_of_photo_gives_the_same_depth(midas: DepthEstimator, photo_png: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(photo_png)
    image = Image.open(io.BytesIO(photo_png))
    expected = midas.predict(photo_png)
    assert isinstance(expected, DepthMap)
    assert (expected.model, expected.width, expected.height) == ("midas_small", 320, 240)
    for photo in (path, str(path), image, np.asarray(image)):
        assert np.array_equal(midas.predict(photo).values, expected.values)


def test_values_are_those_of_the_official_code(midas: DepthEstimator) -> None:
    golden = parity.goldens()["upsampled_0_640x480"]
    values = midas.predict(parity.photo(480, 640)).values
    assert np.abs(values[::8, ::8] - golden).max() < 2e-4 * golden.max()


def test_size_and_input_size(midas: DepthEstimator, photo_png: bytes) -> None:
    assert midas.predict(photo_png, size="model").values.shape == (192, 256)
    assert midas.predict(photo_png, size="model", input_size=512).values.shape == (384, 512)
    with pytest.raises(InvalidParameter, match=r"100 is not valid.*at least 32 and at most 1024"):
        midas.predict(photo_png, input_size=100)


def test_an_unknown_size_is_named(midas: DepthEstimator, photo_png: bytes) -> None:
    with pytest.raises(InvalidParameter, match="'huge' is not one of source, screen, model"):
        midas.predict(photo_png, size="huge")


def test_a_grey_array_is_a_photo(midas: DepthEstimator) -> None:
    grey = parity.photo(60, 80)[..., 0]
    assert np.array_equal(midas.predict(grey).values, midas.predict(np.dstack([grey] * 3)).values)


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_other_arrays_are_refused(midas: DepthEstimator, array: np.ndarray) -> None:
    with pytest.raises(NotAnImage, match=r"An array must be uint8 \(h, w, 3\) or \(h, w\)"):
        midas.predict(array)


def test_a_photo_that_is_not_there(midas: DepthEstimator) -> None:
    with pytest.raises(FileNotFoundError):
        midas.predict("no/such/photo.jpg")


def test_auto_becomes_the_embedded_model_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    estimator = DepthEstimator("auto", worker_threads=1)
    assert (estimator.model, estimator.degraded) == ("embedded", True)
    assert "FALLING BACK to the embedded model" in caplog.text


def test_midas_small_insists() -> None:
    with pytest.raises(WeightsError, match="downloading is off"):
        DepthEstimator("midas_small")


def test_the_first_run_of_the_network_is_not_a_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[tuple[int, ...]] = []
    depth = Model.depth

    def counted(self: Model, planes: np.ndarray) -> np.ndarray:
        runs.append(planes.shape)
        return depth(self, planes)

    monkeypatch.setattr(Model, "depth", counted)
    DepthEstimator("embedded", worker_threads=1)
    assert runs == [(1, 3, 96, 128)]


def test_a_jpeg_decoded_at_reduced_size_has_nearly_the_depth_of_the_whole(embedded: DepthEstimator) -> None:
    """Scaled decoding is a speed-up, not another photo."""
    scene = Image.fromarray(parity.photo(192, 256)).resize((2048, 1536), Image.Resampling.BICUBIC)
    data = encoded(scene, "JPEG", quality=92)
    reduced = embedded.predict(data, size="model").normalized().values
    whole = embedded.predict(Image.open(io.BytesIO(data)), size="model").normalized().values
    assert np.abs(reduced - whole).mean() < 0.02


def test_a_point_cloud_from_python(embedded: DepthEstimator, photo_png: bytes, tmp_path: Path) -> None:
    cloud = embedded.point_cloud(photo_png, fov=50, max_points=10_000)
    assert 5_000 < len(cloud.points) <= 10_000
    assert cloud.points[:, 2].max() == pytest.approx(-1, abs=0.01)
    cloud.save(tmp_path / "cloud.ply")
    assert (tmp_path / "cloud.ply").read_bytes().startswith(b"ply\nformat binary_little_endian 1.0\n")


def test_a_refocused_photo_from_python(embedded: DepthEstimator, photo_png: bytes) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(photo_png)))
    assert np.array_equal(embedded.bokeh(photo_png, strength=0).pixels, pixels)
    refocused = embedded.bokeh(photo_png, focus=f"{1 / 3},9e-1", strength=1).pixels
    assert refocused.shape == pixels.shape
    assert np.diff(refocused.astype(int), axis=1).std() < np.diff(pixels.astype(int), axis=1).std()
    with pytest.raises(InvalidParameter, match="x,y with both between 0 and 1"):
        embedded.bokeh(photo_png, focus="middle")
