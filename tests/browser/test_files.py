"""What the page lets a person download are the service's own figures, and its modules agree with Python."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image
from playwright.sync_api import Route

from depthsvc.imaging.colormaps import color_table
from depthsvc.imaging.resize import upsample
from depthsvc.imaging.spec import Colormap, Enlargement
from tests.browser.conftest import StartVisit, Visit, asked, downloaded
from tests.conftest import RunningService, encoded, opened

VERTEX = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")])
ENLARGED = """[page.enlarged(
    { values: numbers[0], width: 256, height: 192, enlargement: given.enlargement }, given.width, given.height
)(0, given.height)]"""


def test_heatmap_png(visit: Visit, site: RunningService, scene: Path) -> None:
    visit.upload(scene)
    visit.page.select_option("#colormap", "viridis")
    name, data = downloaded(visit, "heatmap")
    assert name == "scene-depth.png"
    own = np.asarray(opened(data).convert("RGB")).astype(int)
    served = np.asarray(opened(asked(site, scene, "/upload?colormap=viridis"))).astype(int)
    assert own.shape == served.shape == (360, 480, 3)
    assert np.abs(own - served).max() <= 4, "one level apart at most"


def test_heatmap_png_is_as_shown(visit: Visit, scene: Path) -> None:
    visit.upload(scene)
    visit.page.select_option("#colormap", "gray")
    _, plain = downloaded(visit, "heatmap")
    visit.page.check("#invert")
    _, inverted = downloaded(visit, "heatmap")
    levels = [np.asarray(opened(data).convert("L")).astype(int) for data in (plain, inverted)]
    assert (levels[0] + levels[1] == 255).all()


@pytest.mark.parametrize(("locale", "colormap"), [("en-GB", "viridis"), ("zh-CN", "inferno")])
def test_photo_and_heatmap_side_by_side(start_visit: StartVisit, scene: Path, locale: str, colormap: str) -> None:
    visit = start_visit(locale=locale).upload(scene)
    visit.page.select_option("#colormap", colormap)
    _, heatmap = downloaded(visit, "heatmap")
    name, data = downloaded(visit, "pair")
    assert name == "scene-side-by-side.jpg"
    pair = np.asarray(opened(data).convert("RGB")).astype(int)
    height = pair.shape[0] - 2 * 15
    assert (height, pair.shape[1]) == (360, 2 * 480)
    for x, expected in ((0, Image.open(scene)), (480, opened(heatmap))):
        half = pair[:height, x : x + 480]
        assert np.abs(half - np.asarray(expected.convert("RGB")).astype(int)).mean() < 4
    caption = pair[height:]
    is_ink = caption.max(axis=2) < 100
    photo, depth = is_ink[:, :480], is_ink[:, 480:]
    assert photo.any(), "the photo is named"
    assert depth[:, :60].any(), "so is the depth"
    assert not photo[:, 240:].any()
    legend = caption[15]
    colours = [tuple(color) for color in color_table(Colormap(colormap)).astype(int)[[64, 128, 192]]]
    for color in colours:
        assert np.abs(legend - color).max(axis=1).min() < 24, "the legend shows the colours"


def test_16_bit_png(visit: Visit, site: RunningService, scene: Path) -> None:
    name, data = downloaded(visit.upload(scene), "png16")
    assert name == "scene-depth16.png"
    own = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    served = cv2.imdecode(np.frombuffer(asked(site, scene, "/depth?format=png16"), np.uint8), cv2.IMREAD_UNCHANGED)
    assert own is not None
    assert served is not None
    assert own.dtype == np.uint16
    assert own.shape == (360, 480)
    assert np.abs(own.astype(int) - served.astype(int)).max() <= 0.002 * 65535
    assert (np.asarray(opened(data)) == own).all()
    said, told = opened(data).info, opened(asked(site, scene, "/depth?format=png16")).info
    assert [said[name] for name in ("kind", "unit", "model")] == [told[name] for name in ("kind", "unit", "model")]
    assert float(said["min"]) == pytest.approx(float(told["min"]), rel=0.01)
    assert float(said["max"]) == pytest.approx(float(told["max"]), rel=0.01)


def test_npy(visit: Visit, site: RunningService, scene: Path) -> None:
    name, data = downloaded(visit.upload(scene), "npy")
    own, served = np.load(io.BytesIO(data)), np.load(io.BytesIO(asked(site, scene, "/depth?format=npy")))
    assert (name, own.dtype, own.shape) == ("scene-depth.npy", np.float16, (360, 480))
    np.testing.assert_allclose(own.astype(float), served.astype(float), atol=0.002 * float(np.ptp(served)))


def test_ply(visit: Visit, site: RunningService, scene: Path) -> None:
    name, data = downloaded(visit.upload(scene), "ply")
    assert name == "scene-points.ply"
    served, own = (pixels_and_points(ply) for ply in (asked(site, scene, "/pointcloud"), data))
    assert len(own) == pytest.approx(len(served), rel=0.002)  # those at the border of the sky may differ
    both = own.keys() & served.keys()
    assert len(both) > 0.998 * len(own)
    depth = np.array([(own[pixel]["z"], served[pixel]["z"]) for pixel in both])
    np.testing.assert_allclose(depth[:, 0], depth[:, 1], rtol=0.02)
    image = np.asarray(Image.open(scene).convert("RGB"))
    for column, row in both:
        assert own[column, row].tolist()[3:] == tuple(image[row, column])


def test_what_is_transparent_has_no_points(visit: Visit, site: RunningService, tmp_path: Path) -> None:
    """Nor does the colour that an editor has left there show."""
    pixels = np.full((360, 480, 4), (250, 0, 0, 0), np.uint8)
    pixels[100:300, 100:400] = 0, 200, 0, 255
    path = tmp_path / "cutout.png"
    path.write_bytes(encoded(pixels))
    _, data = downloaded(visit.upload(path), "ply")
    vertices = np.frombuffer(data.partition(b"end_header\n")[2], VERTEX)
    served = np.frombuffer(asked(site, path, "/pointcloud").partition(b"end_header\n")[2], VERTEX)
    assert 0 < len(vertices) <= 200 * 300
    assert len(vertices) == pytest.approx(len(served), rel=0.02)
    assert {tuple(vertex)[3:] for vertex in vertices} == {(0, 200, 0)}


def pixels_and_points(ply: bytes) -> dict[tuple[int, int], np.void]:
    """The points of a 480 x 360 photo by the pixels in which a camera of 60 degrees sees them."""
    trimesh.load(io.BytesIO(ply), file_type="ply")
    header, _, body = ply.partition(b"end_header\n")
    vertices = np.frombuffer(body, VERTEX)
    assert f"element vertex {len(vertices)}\n".encode() in header
    focal = 480 / (2 * np.tan(np.radians(30)))
    columns = np.round(vertices["x"] / -vertices["z"] * focal + 240 - 0.5).astype(int)
    rows = np.round(-vertices["y"] / -vertices["z"] * focal + 180 - 0.5).astype(int)
    points = dict(zip(zip(columns.tolist(), rows.tolist(), strict=True), vertices, strict=True))
    assert len(points) == len(vertices)
    return points


def test_what_the_service_makes(visit: Visit, site: RunningService, scene: Path) -> None:
    visit.upload(scene)
    for kind, route, expected in (
        ("mesh", "/mesh", "scene.glb"),
        ("normals", "/normals", "scene-normals.png"),
        ("stereo", "/stereo", "scene-stereo.jpg"),
    ):
        name, data = downloaded(visit, kind)
        assert name == expected
        assert data == asked(site, scene, route)


def test_refocused_jpeg(visit: Visit, scene: Path) -> None:
    visit.upload(scene).view("refocus")
    name, data = downloaded(visit, "refocused")
    assert (name, opened(data).size) == ("scene-refocused.jpg", (480, 360))
    sharp, photo = (np.asarray(Image.open(file).convert("L"), float) for file in (io.BytesIO(data), scene))
    assert np.diff(sharp).std() < 0.9 * np.diff(photo).std()


def test_refocusing_waits_for_a_busy_service_and_says_what_it_refuses(visit: Visit, scene: Path) -> None:
    refusals = iter([(503, '{"code": "queue_full", "detail": ""}'), (422, '{"code": "too_expensive", "detail": ""}')])

    def refuse(route: Route) -> None:
        status, body = next(refusals)
        route.fulfill(status=status, headers={"Retry-After": "6"}, body=body)  # long enough to be seen

    visit.upload(scene).view("refocus").page.route("**/bokeh*", refuse)
    visit.page.click("[data-save=refocused]")
    for words in ("The service is busy", "take the service too long"):
        visit.page.wait_for_function(
            "words => document.getElementById('saving').textContent.includes(words)", arg=words
        )


@pytest.mark.parametrize("enlargement", Enlargement)
@pytest.mark.parametrize(("height", "width"), [(480, 640), (97, 331), (40, 30), (192, 256)])
def test_enlarging_equals_the_services(lasting_visit: Visit, height: int, width: int, enlargement: Enlargement) -> None:
    values = (np.random.default_rng(1).random((192, 256), np.float32) * 1000).astype(np.float16).astype(np.float32)
    given = {"width": width, "height": height, "enlargement": enlargement}
    [own] = lasting_visit.computed("/static/depth/resize.js", ENLARGED, values, **given)
    own = own.reshape(height, width)
    np.testing.assert_allclose(own, upsample(values, width, height, enlargement), atol=1e-3 * 1000)


@pytest.mark.parametrize(("height", "width"), [(480, 640), (97, 331), (40, 30), (1, 1), (1000, 257)])
def test_enlarging_between_corners_has_exactly_the_services_numbers(
    lasting_visit: Visit, height: int, width: int
) -> None:
    values = (np.random.default_rng(3).random((192, 256), np.float32) * 80).astype(np.float16).astype(np.float32)
    given = {"width": width, "height": height, "enlargement": Enlargement.BILINEAR_CORNERS}
    [own] = lasting_visit.computed("/static/depth/resize.js", ENLARGED, values, **given)
    served = upsample(values, width, height, Enlargement.BILINEAR_CORNERS)
    assert (own.reshape(height, width) == served).all()


@pytest.mark.parametrize(("kind", "mean"), [("inverse_depth", 0.5), ("metres", 1)])
def test_a_map_shown_much_smaller_has_means(lasting_visit: Visit, kind: str, mean: float) -> None:
    """Of 1 and 0 in turn, where single values would be either; at 0 metres nothing is known."""
    values = np.indices((96, 120)).sum(axis=0).astype(np.float32) % 2
    smaller = """[page.upsample(
        { values: numbers[0], width: 120, height: 96, kind: given.kind, enlargement: "bilinear" }, 30, 24
    ).values]"""
    [own] = lasting_visit.computed("/static/depth/resize.js", smaller, values, kind=kind)
    assert own.shape == (24 * 30,)
    assert (own == mean).all()


def test_half_floats_are_numpys(lasting_visit: Visit) -> None:
    converted = """[
        page.fromFloat16(Uint16Array.from({ length: 0x7c00 }, (_, half) => half).buffer),
        new Uint16Array(page.toFloat16(numbers[0]).buffer),
    ]"""
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16)
    drawn = np.random.default_rng(2).random(3000, np.float32)
    between = (halves[1:].astype(np.float32) + halves[:-1].astype(np.float32)) / 2
    numbers = np.concatenate([halves.astype(np.float32), between, drawn * 1e-6, drawn, drawn * 65504]).astype(
        np.float32
    )
    decoded, encoded = lasting_visit.computed("/static/depth/float16.js", converted, numbers)
    assert (decoded == halves).all()
    assert (encoded == numbers.astype(np.float16).view(np.uint16)).all()


def test_the_colour_tables_are_the_services(lasting_visit: Visit) -> None:
    script = """async () => {
        const { loadColormaps } = await import("/static/views/heatmap_drawing.js");
        const tables = Object.entries(await loadColormaps());
        return Object.fromEntries(tables.map(([name, table]) => [name, Array.from(table)]));
    }"""
    tables = lasting_visit.page.evaluate(script)
    assert list(tables) == list(Colormap)
    for name, table in tables.items():
        assert np.reshape(table, (256, 3)).tolist() == color_table(Colormap(name)).tolist()
    options = lasting_visit.page.locator("#colormap option")
    offered = options.evaluate_all("options => options.map((option) => option.value)")
    assert set(offered) == set(Colormap)
