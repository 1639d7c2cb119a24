"""The page with a model that predicts metres: what it shows and saves is what the service says."""

from __future__ import annotations

import io
import json
import math
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from playwright.sync_api import Browser

from depthsvc import DepthMap
from depthsvc.imaging.encode import png16
from depthsvc.imaging.pointcloud import PointCloud
from depthsvc.imaging.spec import DepthKind, Enlargement
from tests.browser.conftest import StartVisit, Visit, asked, downloaded, visits_of
from tests.conftest import RunningService, encoded, exif, opened, services

DESCRIPTION = {
    "input": {"size": 96, "rule": "stretch", "mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "area"},
    "output": "metres",
    "enlargement": "bilinear_corners",
}


class TenMetresOfRed(torch.nn.Module):
    """Distance by the amount of red: 10 m where it is full, unknown where there is none."""

    def forward(self, photo: torch.Tensor) -> torch.Tensor:
        return photo[:, 0] * 10


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    path = tmp_path_factory.mktemp("model") / "ten-metres.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated, in words that change
        torch.jit.save(torch.jit.trace(TenMetresOfRed().eval(), torch.rand(1, 3, 96, 96)), path)  # type: ignore[no-untyped-call]
    path.with_suffix(".json").write_text(json.dumps(DESCRIPTION))
    with services(tmp_path_factory) as start:
        yield start("--model", str(path), "--workers", "1", "--worker-threads", "1")


@pytest.fixture
def start_visit(browser: Browser, site: RunningService) -> Iterator[StartVisit]:
    with visits_of(browser, site) as start:
        yield start


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """480 x 360, by a wide lens: 9 m at the top to 1 m at the bottom, 2.4 m in the middle, unknown top left."""
    pixels = np.zeros((360, 480, 3), np.uint8)
    pixels[..., 0] = np.linspace(0.9 * 255, 0.1 * 255, 360)[:, None]
    pixels[120:240, 180:300, 0] = round(0.24 * 255)
    pixels[:100, :120, 0] = 0
    path = tmp_path_factory.mktemp("photos") / "hall.png"
    path.write_bytes(encoded(pixels, exif=exif(18)))
    return path


def network_map(site: RunningService, photo: Path) -> DepthMap:
    """The map that the page gets."""
    with site.client() as client:
        response = client.post("/depth?size=model", files={"image": photo.read_bytes()}).raise_for_status()
    height, width = map(int, response.headers["X-Depth-Shape"].split(","))
    values = np.frombuffer(response.content, "<f2").astype(np.float32).reshape(height, width)
    return DepthMap.of(values, response.headers["X-Depth-Model"], Enlargement.BILINEAR_CORNERS, DepthKind.METRES)


def point_at(visit: Visit, x: float, y: float) -> str:
    """What the page reads out where the mouse is."""
    box = visit.page.locator("#heatmap").bounding_box()
    assert box
    visit.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    return visit.page.inner_text("#readout")


def test_pointing_reads_out_metres(visit: Visit, site: RunningService, hall: Path) -> None:
    served = np.load(io.BytesIO(asked(site, hall, "/depth?format=npy"))).astype(float)
    visit.upload(hall)
    for x, y in ((0.9, 0.1), (0.5, 0.5), (0.7, 0.9)):
        found = re.fullmatch(r"About ([\d.]+) m away", point_at(visit, x, y))
        assert found
        assert float(found[1]) == pytest.approx(served[int(y * 360), int(x * 480)], abs=0.06)
    assert point_at(visit, 0.5, 0.5) == "About 2.4 m away"
    assert point_at(visit, 0.1, 0.1) == "Distance unknown"


@pytest.mark.parametrize(
    ("metres", "words"),
    [(0.0123, "0.012"), (0.35, "0.35"), (2.04, "2.0"), (9.96, "10"), (31.4, "31"), (99.7, "100"), (1234.5, "1235")],
)
def test_distances_have_two_digits_or_whole_metres(visit: Visit, metres: float, words: str) -> None:
    script = "async (metres) => (await import('/static/words/distance.js')).distance(metres)"
    assert visit.page.evaluate(script, metres) == words


def test_the_legend_of_the_pictures_side_by_side_is_in_metres(visit: Visit, hall: Path) -> None:
    _, data = downloaded(visit.upload(hall), "pair")
    caption = np.asarray(opened(data).convert("L"))[360:]
    ink = (caption[:, -110:] < 100).any(axis=0)
    assert ink.sum() > 40, "not only near, but near, 1.0 m"


def test_near_is_bright_as_one_over_distance(visit: Visit, site: RunningService, hall: Path) -> None:
    visit.upload(hall)
    visit.page.select_option("#colormap", "gray")
    height, width = visit.size("heatmap")
    shown = np.frombuffer(visit.pixels("heatmap"), np.uint8).reshape(height, width, 4)[..., 0]
    expected = 255 * network_map(site, hall).enlarged(width, height).normalized().values
    assert np.abs(shown - expected).max() <= 1
    assert shown[: height // 4, : width // 5].max() == 0, "unknown is dark"
    assert shown[-1].min() > 2 * shown[height // 2, width // 2] > 4 * shown[0, -1], "1, 2.4 and 9 m"


def test_the_scale_names_the_distances_of_both_ends(visit: Visit, hall: Path, tmp_path: Path) -> None:
    pixels = np.zeros((360, 480, 3), np.uint8)
    pixels[..., 0] = np.linspace(204, 51, 480)
    (tmp_path / "wall.png").write_bytes(encoded(pixels))
    visit.upload(tmp_path / "wall.png")
    assert visit.page.inner_text("#scale-note") == "Colours follow 1 / distance."
    assert visit.page.inner_text("#far-end") == "far, 8.0 m"
    assert visit.page.inner_text("#near-end") == "near, 2.0 m"
    visit.page.click("#language")
    assert visit.page.inner_text("#far-end") == "远，8.0 米"
    visit.upload(hall)
    assert visit.page.inner_text("#far-end") == "距离未知"


def test_the_page_says_that_the_values_are_metres(visit: Visit, hall: Path) -> None:
    assert visit.page.inner_text("#model") == "Model: ten-metres"
    visit.upload(hall).view("space")
    assert "The values are metres" in visit.page.inner_text("#meaning")
    assert "not metres" not in visit.page.inner_text("main")
    assert "Distances are estimated, not measured." in visit.page.inner_text("#space-controls")
    for kind in ("png16", "npy", "ply"):
        assert visit.page.inner_text(f"[data-save={kind}]").endswith("metres")
    visit.page.click("#language")
    assert "数值以米为单位" in visit.page.inner_text("#meaning")


def test_the_heatmap_is_the_services(visit: Visit, site: RunningService, hall: Path) -> None:
    _, data = downloaded(visit.upload(hall), "heatmap")
    own = np.asarray(opened(data).convert("RGB")).astype(int)
    served = np.asarray(opened(asked(site, hall, "/upload"))).astype(int)
    assert np.abs(own - served).max() <= 8, "two levels apart at most"


def test_the_npy_file_has_metres(visit: Visit, site: RunningService, hall: Path) -> None:
    _, data = downloaded(visit.upload(hall), "npy")
    own, served = np.load(io.BytesIO(data)), np.load(io.BytesIO(asked(site, hall, "/depth?format=npy")))
    assert (own.dtype, own.shape) == (np.float16, (360, 480))
    np.testing.assert_allclose(own.astype(float), served.astype(float), rtol=2e-3, atol=2e-3)
    assert (own == network_map(site, hall).enlarged(480, 360).float16()).all(), "exactly, from the same numbers"


def levels(data: bytes) -> NDArray[np.int64]:
    return np.asarray(opened(data)).astype(np.int64)


def test_the_16_bit_png_has_millimetres(visit: Visit, site: RunningService, hall: Path) -> None:
    _, data = downloaded(visit.upload(hall), "png16")
    served = asked(site, hall, "/depth?format=png16")
    assert np.abs(levels(data) - levels(served)).max() <= 4, "float16 rounds to 4 mm at 9 m"
    depth = network_map(site, hall).enlarged(480, 360)
    exact = png16(depth.values, about=depth.about)
    assert (levels(data) == levels(exact)).all()
    assert opened(data).info == opened(exact).info
    assert opened(data).info.keys() == opened(served).info.keys()
    assert opened(data).info["scale"] == "0.001"


@pytest.mark.parametrize("farthest", [65.5, 65.6, 80.0, 1000.0, 65504.0])
def test_16_bit_pngs_of_far_things_have_as_few_millimetres_a_step_as_the_services(
    visit: Visit, farthest: float
) -> None:
    values = (np.random.default_rng(4).random((40, 60), np.float32) * np.float32(farthest)).astype(np.float32)
    values[0, 0] = farthest
    script = """async ([values, width, height]) => {
        const { depthPng16 } = await import("/static/files/depth_files.js");
        const map = { values: Float32Array.from(values), width, height, kind: "metres", model: "far" };
        const file = await depthPng16(map, { width, height });
        return Array.from(new Uint8Array(await file.arrayBuffer()));
    }"""
    own = bytes(visit.page.evaluate(script, [values.ravel().tolist(), 60, 40]))
    served = png16(values, about={"kind": "metres", "unit": "metres", "model": "far"})
    assert (levels(own) == levels(served)).all()
    assert opened(own).info == opened(served).info


def test_the_point_cloud_is_in_metres_by_the_photos_focal_length(
    visit: Visit, site: RunningService, hall: Path
) -> None:
    _, data = downloaded(visit.upload(hall), "ply")
    own, served = PointCloud.of_ply(data), PointCloud.of_ply(asked(site, hall, "/pointcloud"))
    assert b"\ncomment depth in metres\n" in data
    assert own.kind is served.kind is DepthKind.METRES
    assert len(own.points) == len(served.points) < 480 * 360, "unknown distances have no points, the farthest have"
    np.testing.assert_allclose(own.points, served.points, rtol=2e-3, atol=2e-3)
    assert (own.colors == served.colors).all()
    assert own.points[:, 2].min() == pytest.approx(-9, abs=0.1)
    right, focal = (480 - 0.5) - 480 / 2, 18 * 600 / math.hypot(36, 24)  # in pixels, of a diagonal of 600
    assert (own.points[:, 0] / -own.points[:, 2]).max() == pytest.approx(right / focal, rel=1e-3)


def test_the_three_dimensional_view_shows_metres(visit: Visit, hall: Path) -> None:
    """What is farther than the subject moves against the hand, and the subject, the box in the middle, stays."""
    visit.upload(hall).view("space")
    before = space(visit)
    for _ in range(3):
        visit.page.press("#space-frame", "ArrowRight")
    after = space(visit)
    height, width, _ = before.shape
    top, middle = slice(height // 20, height // 9), slice(height // 2 - 9, height // 2 + 9)
    corner = [int(np.abs(np.diff(shown[top, :, 0].mean(axis=0))).argmax()) for shown in (before, after)]
    assert -0.1 * width < corner[1] - corner[0] < -0.01 * width
    box = [np.flatnonzero(shown[middle, :, 0].mean(axis=0) < 95).mean() for shown in (before, after)]
    assert abs(box[1] - box[0]) < 0.02 * width


def space(visit: Visit) -> NDArray[np.int64]:
    """RGBA (h, w, 4) of the 3-D view."""
    return np.frombuffer(visit.pixels("space"), np.uint8).reshape(*visit.size("space"), 4).astype(np.int64)


def test_refocusing_goes_by_inverse_depth(visit: Visit, hall: Path) -> None:
    """The thing in the middle, which is nearest there, is what is sharp first."""
    visit.upload(hall).view("refocus")
    left, top = visit.page.locator("#refocus-frame .focus").evaluate("mark => [mark.style.left, mark.style.top]")
    x, y = (float(text.removesuffix("%")) / 100 for text in (left, top))
    assert 180 / 480 < x < 300 / 480
    assert 120 / 360 < y < 240 / 360
