from __future__ import annotations

import io
import math
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import numpy as np
import pytest
import trimesh
from PIL import Image

from depthsvc import DepthEstimator
from tests import parity
from tests.conftest import RunningService, encoded, exif, opened, point_cloud, until


def png(response: httpx.Response) -> Image.Image:
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "image/png"
    return Image.open(io.BytesIO(response.content), formats=["PNG"])


def half(response: httpx.Response) -> np.ndarray:
    """The map in a raw answer."""
    assert response.status_code == 200, response.text
    shape = tuple(map(int, response.headers["X-Depth-Shape"].split(",")))
    return np.frombuffer(response.content, "<f2").reshape(shape)


@pytest.mark.parametrize("field", ["image", "file"])
def test_upload_answers_a_truecolour_heatmap_of_the_photos_size(
    client: httpx.Client, photo_png: bytes, field: str
) -> None:
    image = png(client.post("/upload", files={field: photo_png}))
    assert (image.mode, image.size) == ("RGB", (320, 240))
    image.save(io.BytesIO(), "JPEG")


def test_upload_answers_the_photo_beside_its_heatmap(client: httpx.Client, photo_png: bytes) -> None:
    heatmap = png(client.post("/upload", files={"image": photo_png}))
    answer = client.post("/upload?side_by_side=true", files={"image": photo_png})
    pair = np.asarray(png(answer))
    assert answer.headers["X-Depth-Shape"] == "240,640"
    assert np.array_equal(pair[:, :320], parity.photo(240, 320))
    assert np.array_equal(pair[:, 320:], np.asarray(heatmap))


def test_bare_bytes_are_the_same_photo(client: httpx.Client, photo_png: bytes) -> None:
    multipart = client.post("/depth", files={"image": photo_png})
    bare = client.post("/depth", content=photo_png, headers={"Content-Type": "image/png"})
    assert bare.content == multipart.content


def test_depth_over_http_is_that_of_the_official_code(client: httpx.Client) -> None:
    data = encoded(parity.photo(480, 640))
    golden = parity.goldens()["upsampled_0_640x480"]
    depth = half(client.post("/depth", files={"image": data}))[::8, ::8]
    assert np.abs(depth - golden).max() <= np.spacing(np.float16(golden.max()))


def test_depth_over_http_is_that_of_the_python_face(
    client: httpx.Client, midas: DepthEstimator, photo_png: bytes
) -> None:
    for parameters in ({}, {"size": "model"}, {"input_size": 384}):
        depth = half(client.post("/depth", files={"image": photo_png}, params=parameters))
        expected = midas.predict(photo_png, **parameters).float16()
        assert depth.shape == expected.shape
        assert np.abs(depth.astype(np.float32) - expected).max() <= np.spacing(expected.max())


def test_the_three_formats_agree(client: httpx.Client, photo_png: bytes) -> None:
    raw_answer = client.post("/depth", files={"image": photo_png})
    raw = half(raw_answer)
    npy = client.post("/depth", files={"image": photo_png}, params={"format": "npy"})
    png16 = client.post("/depth", files={"image": photo_png}, params={"format": "png16"})
    low, high = (float(png16.headers[f"X-Depth-{end}"]) for end in ("Min", "Max"))
    assert raw_answer.headers["Content-Type"] == "application/octet-stream"
    assert np.array_equal(np.load(io.BytesIO(npy.content), allow_pickle=False), raw)
    grey = np.asarray(png(png16)).astype(np.float64)
    assert png(png16).info == {
        "min": png16.headers["X-Depth-Min"],
        "max": png16.headers["X-Depth-Max"],
        "kind": "inverse_depth",
        "unit": "relative",
        "model": png16.headers["X-Depth-Model"],
    }
    assert np.abs(low + grey / 65535 * (high - low) - raw).max() <= np.spacing(raw.max())


def test_the_angle_of_view_is_that_of_the_photos_exif_data(client: httpx.Client, photo_png: bytes) -> None:
    photo = encoded(opened(photo_png), "JPEG", exif=exif(26))
    known, unknown = (client.post("/upload", files={"image": data}).headers for data in (photo, photo_png))
    assert float(known["X-Depth-Fov"]) == pytest.approx(math.degrees(2 * math.atan(0.8 * math.hypot(36, 24) / 52)))
    assert "X-Depth-Fov" not in unknown


def test_pointcloud_answers_a_ply_of_the_photos_colours(client: httpx.Client, photo_png: bytes) -> None:
    response = client.post("/pointcloud", files={"image": photo_png}, params={"stride": 4, "fov": 70})
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "model/ply"
    assert response.headers["X-Depth-Shape"] == "60,80"
    cloud = point_cloud(response.content)
    assert 3000 < len(cloud.vertices) <= 4800
    assert cloud.vertices[:, 2].max() == pytest.approx(-1)
    assert cloud.vertices[:, 2].min() > -6


def test_normals_are_colours_of_the_photos_size_or_the_networks(client: httpx.Client, photo_png: bytes) -> None:
    for params, size in (({"fov": 70}, (320, 240)), ({"size": "model"}, (256, 192))):
        response = client.post("/normals", files={"image": photo_png}, params=params)
        assert response.headers["Content-Type"] == "image/png"
        assert response.headers["X-Depth-Shape"] == f"{size[1]},{size[0]}"
        assert png(response).size == size
        directions = np.asarray(png(response)) / 127.5 - 1
        assert np.median(np.linalg.norm(directions, axis=2)) == pytest.approx(1, abs=0.01)


def test_a_mesh_has_at_most_as_many_vertices_as_asked_for(client: httpx.Client, photo_png: bytes) -> None:
    for most, (rows, columns) in ((250_000, (192, 256)), (10_000, (64, 86)), (100, (8, 11))):
        response = client.post("/mesh", files={"image": photo_png}, params={"max_vertices": most, "fov": 70})
        assert response.headers["Content-Type"] == "model/gltf-binary"
        assert response.headers["X-Depth-Shape"] == f"{rows},{columns}"
        [mesh] = trimesh.load_scene(io.BytesIO(response.content), file_type="glb").geometry.values()
        assert rows * columns / 2 < len(mesh.vertices) <= rows * columns
        assert mesh.faces.max() == len(mesh.vertices) - 1
        assert -6.001 < mesh.vertices[:, 2].min() < mesh.vertices[:, 2].max() < -0.999
        assert mesh.visual.material.baseColorTexture.size == (320, 240)


def test_bokeh_keeps_the_focus_and_blurs_the_rest(client: httpx.Client, photo_png: bytes) -> None:
    sharp = client.post("/bokeh", files={"image": photo_png}, params={"strength": 0})
    soft = client.post("/bokeh", files={"image": photo_png}, params={"strength": 1, "focus": "0.1,0.9"})
    assert soft.headers["Content-Type"] == "image/jpeg"
    assert soft.headers["X-Depth-Shape"] == "240,320"
    photo = np.asarray(opened(photo_png)).astype(float)
    assert np.abs(np.asarray(opened(sharp.content)) - photo).mean() < 5
    assert np.diff(np.asarray(opened(soft.content)).astype(float)).std() < np.diff(photo).std()


def test_a_stereo_picture_shows_both_views(client: httpx.Client, photo_png: bytes) -> None:
    sizes = {"side_by_side": (640, 240), "half": (320, 240), "cross_eyed": (640, 240), "anaglyph": (320, 240)}
    views = {}
    for layout, (width, height) in sizes.items():
        response = client.post("/stereo", files={"image": photo_png}, params={"layout": layout, "divergence": 6})
        assert response.headers["Content-Type"] == "image/jpeg"
        assert response.headers["X-Depth-Shape"] == f"{height},{width}"
        views[layout] = np.asarray(opened(response.content)).astype(float)
        assert views[layout].shape == (height, width, 3)
    pair = views["side_by_side"]
    assert np.abs(pair - np.hstack([views["cross_eyed"][:, 320:], views["cross_eyed"][:, :320]])).mean() < 3
    assert np.abs(pair[:, :320] - pair[:, 320:]).mean() > 5
    flat = client.post("/stereo", files={"image": photo_png}, params={"divergence": 0})
    photo = np.asarray(opened(photo_png)).astype(float)
    assert np.abs(np.asarray(opened(flat.content)) - np.hstack([photo, photo])).mean() < 5


@pytest.mark.parametrize(
    ("path", "parameters", "detail"),
    [
        ("/bokeh", {"focus": "0.5"}, "focus: use auto, or a point as x,y with both between 0 and 1, such as 0.5,0.25."),
        ("/bokeh", {"focus": "0.5,1.5"}, "focus: use auto"),
        ("/bokeh", {"focus": "nan,0.5"}, "focus: use auto"),
        ("/bokeh", {"focus": "\uff10,0.5"}, "focus: use auto"),
        ("/bokeh", {"strength": "2"}, "strength: Input should be less than or equal to 1."),
        ("/pointcloud", {"fov": "nan"}, "fov: Input should be"),
        ("/pointcloud", {"stride": "0"}, "stride: Input should be greater than or equal to 1."),
        ("/pointcloud", {"max_points": "100000000"}, "max_points: Input should be less than or equal to 4000000."),
        ("/stereo", {"divergence": "10.5"}, "divergence: Input should be less than or equal to 10."),
        ("/stereo", {"divergence": "nan"}, "divergence: Input should be "),
        ("/stereo", {"convergence": "-0.1"}, "convergence: Input should be greater than or equal to 0."),
        ("/stereo", {"layout": "top"}, "layout: 'top' is not one of side_by_side, half, cross_eyed, anaglyph."),
        ("/normals", {"fov": "171"}, "fov: Input should be less than or equal to 170."),
        ("/mesh", {"max_vertices": "1000001"}, "max_vertices: Input should be less than or equal to 1000000."),
        ("/pointcloud", {"size": "model"}, "size: there is no such parameter"),
    ],
)
def test_wrong_parameters_of_results_in_space_are_explained(
    client: httpx.Client, photo_png: bytes, path: str, parameters: dict[str, str], detail: str
) -> None:
    response = client.post(path, files={"image": photo_png}, params=parameters)
    assert response.status_code == 422
    assert response.json()["code"] == "invalid_parameter"
    assert response.json()["detail"].startswith(detail)


def test_the_answers_headers_describe_it(client: httpx.Client, photo_png: bytes) -> None:
    response = client.post("/depth", files={"image": photo_png}, headers={"X-Request-ID": "mine-1"})
    depth = half(response).astype(np.float32)
    headers = response.headers
    assert headers["X-Depth-Model"] == "midas_small"
    assert headers["X-Depth-Shape"] == "240,320"
    assert headers["X-Depth-Dtype"] == "float16"
    assert float(headers["X-Depth-Min"]) == pytest.approx(depth.min(), rel=1e-3)
    assert float(headers["X-Depth-Max"]) == pytest.approx(depth.max(), rel=1e-3)
    assert headers["X-Request-ID"] == "mine-1"
    stages = [part.split(";dur=") for part in headers["Server-Timing"].split(", ")]
    assert [name for name, _ in stages] == ["queue", "decode", "infer", "render", "cpu", "expected_cpu"]
    assert all(float(milliseconds) >= 0 for _, milliseconds in stages)


def test_normalized_depth_spans_zero_to_one(client: httpx.Client, photo_png: bytes) -> None:
    response = client.post("/depth", files={"image": photo_png}, params={"normalize": True})
    depth = half(response)
    assert (depth.min(), depth.max()) == (0, 1)
    assert (response.headers["X-Depth-Min"], response.headers["X-Depth-Max"]) == ("0", "1")


def test_refine_draws_depth_to_the_whole_photo(client: httpx.Client, midas: DepthEstimator, photo_png: bytes) -> None:
    plain = half(client.post("/depth", files={"image": photo_png}))
    fine = half(client.post("/depth?refine=true", files={"image": photo_png}))
    assert np.array_equal(fine, midas.predict(photo_png, refine=True).float16())
    assert fine.shape == plain.shape
    assert not np.array_equal(fine, plain)
    pair = png(client.post("/upload?refine=true&side_by_side=true", files={"image": photo_png}))
    image = png(client.post("/upload?refine=true", files={"image": photo_png}))
    assert np.array_equal(np.asarray(pair)[:, 320:], np.asarray(image))
    model: dict[str, Any] = {"size": "model", "refine": True}
    assert half(client.post("/depth", files={"image": photo_png}, params=model)).shape == (192, 256)


def test_size_model_gives_the_networks_grid(client: httpx.Client, photo_png: bytes) -> None:
    assert half(client.post("/depth", files={"image": photo_png}, params={"size": "model"})).shape == (192, 256)
    image = png(client.post("/upload", files={"image": photo_png}, params={"size": "model", "input_size": 128}))
    assert image.size == (128, 96)


def test_colormap_invert_and_palette(client: httpx.Client, photo_png: bytes) -> None:
    def heatmap(**parameters: Any) -> np.ndarray:
        image = png(client.post("/upload", files={"image": photo_png}, params=parameters))
        assert image.mode == ("P" if parameters.get("palette") else "RGB")
        return np.asarray(image.convert("RGB")).astype(int)

    gray = heatmap(colormap="gray")
    assert np.array_equal(gray[..., 0], gray[..., 2])
    assert (gray.min(), gray.max()) == (0, 255)
    assert np.array_equal(heatmap(colormap="gray", invert=True), 255 - gray)
    assert np.array_equal(heatmap(palette=True), heatmap())


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_photo_has_the_depth_of_the_upright_one(
    client: httpx.Client, photo_png: bytes, orientation: int
) -> None:
    upright = half(client.post("/depth", files={"image": photo_png}))
    stored_by = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.open(io.BytesIO(photo_png)).transpose(Image.Transpose(stored_by[orientation]))
    turned = half(client.post("/depth", files={"image": encoded(stored, exif=exif)}))
    assert np.array_equal(turned, upright)


@pytest.mark.parametrize(
    ("image", "format"),
    [
        (Image.new("L", (50, 40), 90), "JPEG"),
        (Image.new("P", (50, 40), 3), "PNG"),
        (Image.new("RGBA", (50, 40), (1, 2, 3, 0)), "PNG"),
        (Image.new("CMYK", (50, 40), (9, 99, 0, 0)), "JPEG"),
        (Image.new("I;16", (50, 40), 30000), "PNG"),
        (Image.new("1", (50, 40), 1), "PNG"),
        (Image.new("LA", (50, 40), (9, 9)), "WEBP"),
        (Image.new("RGB", (1, 1), "red"), "PNG"),
        (Image.new("RGB", (1, 5000), "red"), "PNG"),
        (Image.new("RGB", (5000, 1), "red"), "JPEG"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.mode}-{value.width}x{value.height}",
)
def test_photos_of_every_kind_work(client: httpx.Client, image: Image.Image, format: str) -> None:
    files = {"image": encoded(image, format)}
    assert png(client.post("/upload", files=files)).size == image.size
    assert np.isfinite(half(client.post("/depth", files=files))).all()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "missing_image"),
        (b"no image at all", 400, "not_an_image"),
        (encoded(parity.photo(9, 9))[:-40], 400, "broken_image"),
        (b"%PDF-1.7 and so on", 415, "unsupported_media_type"),
        (encoded(Image.new("1", (11_000, 11_000))), 422, "too_many_pixels"),
        (bytes(32_000_001), 413, "body_too_large"),
    ],
)
def test_bad_photos_get_their_own_problem(client: httpx.Client, body: bytes, status: int, code: str) -> None:
    for response in (
        client.post("/upload", files={"image": ("photo.jpg", body)}),
        client.post("/depth", content=body, headers={"Content-Type": "image/jpeg"}),
    ):
        assert response.headers["Content-Type"] == "application/problem+json"
        problem = response.json()
        assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
        assert problem["request_id"] == response.headers["X-Request-ID"]
        assert problem["detail"].endswith(".")


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"size": "huge"}, "size"),
        ({"input_size": "abc"}, "input_size"),
        ({"input_size": 100}, "Use a multiple of 32"),
        ({"input_size": 4096}, "at most 1024"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_parameters_are_named(
    client: httpx.Client, photo_png: bytes, parameters: dict[str, Any], word: str
) -> None:
    for route in ("/upload", "/depth"):
        response = client.post(route, files={"image": photo_png}, params=parameters)
        assert (response.status_code, response.json()["code"]) == (422, "invalid_parameter")
        assert word in response.json()["detail"]


def test_bodies_without_a_photo_are_explained(client: httpx.Client, photo_png: bytes) -> None:
    missing = client.post("/upload", files={"picture": photo_png})
    assert (missing.status_code, missing.json()["code"]) == (400, "missing_image")
    assert "curl -F image=@photo.jpg" in missing.json()["detail"]
    text = client.post("/upload", data={"image": "photo.jpg"}, files={"other": b""})
    assert (text.status_code, text.json()["code"]) == (400, "missing_image")
    malformed = client.post("/upload", content=b"x", headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert (malformed.status_code, malformed.json()["code"]) == (400, "malformed_body")
    compressed = client.post("/upload", content=b"x", headers={"Content-Encoding": "gzip"})
    assert (compressed.status_code, compressed.json()["code"]) == (415, "unsupported_media_type")
    assert "The body is compressed (gzip)" in compressed.json()["detail"]
    json_body = client.post("/upload", json={})
    assert (json_body.status_code, json_body.json()["code"]) == (415, "unsupported_media_type")


def test_a_killed_worker_costs_nobody_an_answer(service: RunningService, photo_png: bytes) -> None:
    with ThreadPoolExecutor(6) as threads, service.client() as client:
        with service.at_a_stand():
            answers = threads.map(partial(_depth_status, service), [photo_png] * 12)
            until(lambda: client.get("/health").json()["queue"]["in_flight"] == 6)
            os.kill(service.workers()[0], signal.SIGKILL)
        assert list(answers) == [200] * 12
        until(lambda: client.get("/health").status_code == 200)
        assert client.get("/health").json()["workers"]["warm"] == 2


def test_health_answers_while_all_workers_are_busy(service: RunningService, photo_png: bytes) -> None:
    with ThreadPoolExecutor(4) as threads, service.client() as client:
        with service.at_a_stand():
            answers = threads.map(partial(_depth_status, service), [photo_png] * 4)
            until(lambda: client.get("/health").json()["queue"]["waiting"] > 0)
            assert client.get("/health").status_code == 200
        assert list(answers) == [200] * 4


def _depth_status(service: RunningService, photo: bytes) -> int:
    """The status that a client of its own gets for a photo."""
    with service.client() as client:
        return client.post("/depth", files={"image": photo}).status_code


@pytest.mark.parametrize("content_type", ["", "application/octet-stream", "image/jpeg", "image/x-anything"])
def test_bytes_of_a_photo_need_no_type(client: httpx.Client, photo_png: bytes, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert client.post("/upload", content=photo_png, headers=headers).status_code == 200


def test_options_may_be_fields_of_a_form_and_the_query_wins(client: httpx.Client, photo_png: bytes) -> None:
    files = {"image": photo_png}
    fields = {"format": "npy", "size": "model"}
    as_query = client.post("/depth", params=fields, files=files)
    as_fields = client.post("/depth", data=fields, files=files)
    assert as_fields.content == as_query.content != client.post("/depth", files=files).content
    both = client.post("/depth", params={"format": "f16"}, data=fields, files=files)
    assert both.headers["X-Depth-Shape"] == as_query.headers["X-Depth-Shape"]
    assert both.content == as_query.content[-len(both.content) :]
    assert client.post("/upload", data={"side_by_side": "true"}, files=files).headers["X-Depth-Shape"] == "240,640"


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"sise": "model"}, "sise: there is no such parameter"), ({"size": "huge"}, "size: 'huge' is not one of")],
)
def test_wrong_fields_of_a_form_are_named(
    client: httpx.Client, photo_png: bytes, fields: dict[str, str], words: str
) -> None:
    response = client.post("/depth", data=fields, files={"image": photo_png})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_parameter")
    assert words in response.json()["detail"]
