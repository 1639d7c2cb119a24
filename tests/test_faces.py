"""DepthEstimator and both clients: the same verbs, arguments and defaults, and the same things that come back."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic.fields import FieldInfo

from depthsvc import AsyncDepthClient, DepthClient, DepthEstimator, DepthMap
from depthsvc.errors import (
    ConfigurationError,
    DepthServiceError,
    InvalidParameter,
    ServiceUnreachable,
    TooManyPixels,
)
from depthsvc.imaging import encode
from depthsvc.imaging.photo.source import PhotoSource
from depthsvc.imaging.picture import Picture
from depthsvc.imaging.pointcloud import PointCloud
from depthsvc.options import (
    BokehOptions,
    DepthOptions,
    MeshOptions,
    NormalsOptions,
    PointCloudOptions,
    StereoOptions,
    UploadQuery,
)
from depthsvc.settings import Settings
from tests.conftest import encoded, opened
from tests.parity import photo

FACES = (DepthEstimator, DepthClient, AsyncDepthClient)
VERBS = {
    "depth": DepthOptions,
    "heatmap": UploadQuery,
    "point_cloud": PointCloudOptions,
    "bokeh": BokehOptions,
    "stereo": StereoOptions,
    "normals": NormalsOptions,
    "mesh": MeshOptions,
}


def keywords(function: Callable[..., Any]) -> dict[str, Any]:
    """The keyword arguments of a verb and their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(("verb", "options"), VERBS.items())
def test_a_verb_takes_what_its_options_are(face: type, verb: str, options: Any) -> None:
    fields: dict[str, FieldInfo] = dict(options.model_fields)
    fields.pop("format", None)  # a DepthMap can be saved as any
    given = keywords(getattr(face, verb))
    assert given.keys() == fields.keys()
    assert {name: value for name, value in given.items() if name != "palette"} == {
        name: field.default for name, field in fields.items() if name != "palette"
    }
    assert inspect.signature(getattr(face, verb)).parameters["photo"].annotation == "PhotoSource"


@pytest.mark.parametrize("face", FACES)
def test_aliases(face: Any) -> None:
    assert face.predict is face.depth
    assert face.upload is face.heatmap


def test_the_estimator_takes_settings() -> None:
    names = keywords(DepthEstimator.__init__).keys() - {"settings"}
    assert names < Settings.model_fields.keys()
    with pytest.raises(ConfigurationError, match="leave out model, engine"):
        DepthEstimator("embedded", engine="torchscript", settings=Settings())


def test_the_asynchronous_client_raises_when_it_is_awaited() -> None:
    async def ask() -> list[Any]:
        async with AsyncDepthClient("http://127.0.0.1:9", retries=0) as client:
            wrong: Any = {"zz": 1}
            asked = (client.depth(b"photo", **wrong), client.heatmap(b"photo", size="huge"), client.depth(b"photo"))
            return list(await asyncio.gather(*asked, return_exceptions=True))

    assert all(inspect.iscoroutinefunction(getattr(AsyncDepthClient, verb)) for verb in VERBS)
    assert list(map(type, asyncio.run(ask()))) == [InvalidParameter, InvalidParameter, ServiceUnreachable]


@pytest.fixture
def picture() -> np.ndarray:
    return photo(48, 64)


def test_every_result_can_be_saved_and_shown(embedded: DepthEstimator, picture: np.ndarray, tmp_path: Path) -> None:
    heatmap = embedded.heatmap(picture, colormap="viridis")
    heatmap.save(tmp_path / "heatmap.png")
    heatmap.save(str(tmp_path / "heatmap.jpg"))
    assert (tmp_path / "heatmap.png").read_bytes() == heatmap
    assert opened(tmp_path / "heatmap.jpg").format == "JPEG"
    assert np.array_equal(heatmap.pixels, embedded.depth(picture).heatmap("viridis"))
    assert np.array_equal(np.asarray(heatmap.to_image()), heatmap.pixels)
    assert repr(heatmap) == str(heatmap) == "Picture(64 x 48, image/png)"
    assert embedded.heatmap(picture, side_by_side=True).pixels.shape == (48, 128, 3)
    with pytest.raises(ConfigurationError, match=r"Save a picture as \.png or \.jpg"):
        heatmap.save(tmp_path / "heatmap.tiff")
    embedded.bokeh(picture, focus=(0.5, 0.6)).save(tmp_path / "refocused.jpeg")
    assert opened(tmp_path / "refocused.jpeg").size == (64, 48)
    cloud = embedded.point_cloud(picture)
    cloud.save(str(tmp_path / "points.ply"))
    read = PointCloud.of_ply((tmp_path / "points.ply").read_bytes())
    assert np.array_equal(read.points, cloud.points)
    assert np.array_equal(read.colors, cloud.colors)
    with pytest.raises(ConfigurationError, match=r"Save a point cloud as \.ply"):
        cloud.save(tmp_path / "points.png")
    assert repr(cloud) == f"PointCloud({len(cloud.points):,} points)"


def test_a_point_of_focus_is_two_numbers_or_their_text(embedded: DepthEstimator, picture: np.ndarray) -> None:
    by_text = embedded.bokeh(picture, focus="0.5,0.6")
    assert embedded.bokeh(picture, focus=(0.5, 0.6)) == by_text
    assert embedded.bokeh(picture, focus="0.5, 0.6") == by_text
    assert embedded.bokeh(picture, focus=(np.float64(0.5), 0.6)) == by_text


def test_a_depth_map_shows_itself(embedded: DepthEstimator, picture: np.ndarray, tmp_path: Path) -> None:
    depth = embedded.depth(picture)
    assert repr(depth).startswith("DepthMap(64 x 48, ")
    assert repr(depth).endswith(", by embedded)")
    assert len(repr(depth)) < 80
    assert np.array_equal(np.asarray(opened(depth._repr_png_())), depth.heatmap())
    assert np.array_equal(np.asarray(depth.to_image("magma", invert=True)), depth.heatmap("magma", invert=True))
    depth.save(tmp_path / "inverted.png", invert=True)
    assert np.array_equal(np.asarray(opened(tmp_path / "inverted.png")), depth.heatmap(invert=True))


def test_every_source_of_a_photo_is_the_same_photo(
    embedded: DepthEstimator, picture: np.ndarray, tmp_path: Path
) -> None:
    data = encoded(picture)
    (tmp_path / "photo.png").write_bytes(data)
    expected = embedded.depth(picture).values
    with (tmp_path / "photo.png").open("rb") as file:
        sources: list[PhotoSource] = [str(tmp_path / "photo.png"), data, bytearray(data), memoryview(data), file]
        for source in sources:
            assert np.array_equal(embedded.depth(source).values, expected)
    with Path(__file__).open() as text, pytest.raises(TypeError, match="binary mode"):
        embedded.depth(text)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not int"):
        embedded.depth(3)  # type: ignore[arg-type]


def wrong_calls() -> dict[str, Callable[[Any], object]]:
    """Names and values that do not exist, on whichever face."""
    data = encoded(photo(8, 8))
    return {
        "colour: there is no such parameter": lambda face: face.heatmap(data, colour="hot"),
        "strenght: there is no such parameter; did you mean strength?": lambda face: face.bokeh(data, strenght=1),
        "colormap: 'infrno' is not one of inferno, magma": lambda face: face.heatmap(data, colormap="infrno"),
        "size: 'huge' is not one of source, screen, model": lambda face: face.depth(data, size="huge"),
        "fov: Input should be less than or equal to 170": lambda face: face.point_cloud(data, fov=500),
        "focus: use auto, or a point": lambda face: face.bokeh(data, focus=(0.5, 1.5)),
        "focus: use auto, or a point as": lambda face: face.bokeh(data, focus=("a", "b")),
        "focus: use auto, or a point as x": lambda face: face.bokeh(data, focus=(0.5, 0.5, 0.5)),
    }


@pytest.mark.parametrize("message", wrong_calls())
def test_what_does_not_exist_is_named(embedded: DepthEstimator, message: str) -> None:
    call = wrong_calls()[message]
    with DepthClient("http://127.0.0.1:9") as client:
        for face in (embedded, client):
            with pytest.raises(InvalidParameter) as caught:
                call(face)
            assert str(caught.value).startswith(message)


def test_wrong_names_of_formats_and_settings_are_our_own_errors(tmp_path: Path) -> None:
    depth = DepthMap.of(np.ones((2, 3), np.float32), "m")
    wrong: list[Callable[[], object]] = [
        lambda: depth.save(tmp_path / "d.png", colormap="infrno"),
        lambda: depth.heatmap("infrno"),
        lambda: depth.to_image("infrno"),
        lambda: depth.save(tmp_path / "d", format="webp"),
        lambda: DepthEstimator("embedded", engine="tensorflow"),
        lambda: DepthEstimator("embedded", worker_threads=0),
        lambda: DepthEstimator("nonesuch"),
    ]
    for call in wrong:
        with pytest.raises(DepthServiceError):
            call()
    with pytest.raises(ConfigurationError, match=r"engin: there is no such parameter; did you mean engine\?"):
        DepthEstimator(engin="openvino")  # type: ignore[call-arg]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("client", [DepthClient, AsyncDepthClient])
@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout_s": 0},
        {"timeout_s": "5"},
        {"retries": -1},
        {"max_wait_s": float("nan")},
        {"api_key": 3},
        {"timeout": 3},
    ],
)
def test_a_client_that_cannot_work_is_a_configuration_error(client: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        client("http://127.0.0.1:9", **wrong)


def test_a_picture_is_light_and_shows_itself(embedded: DepthEstimator, picture: np.ndarray, tmp_path: Path) -> None:
    refocused = embedded.bokeh(picture)
    assert refocused._repr_mimebundle_() == {"image/jpeg": bytes(refocused)}
    for copied in (pickle.loads(pickle.dumps(refocused)), copy.deepcopy(refocused)):
        assert isinstance(copied, Picture)
        assert copied == refocused
    assert len(pickle.dumps(refocused)) < len(refocused) + 200
    assert repr(Picture(b"nonsense")) == "Picture(8 bytes that are not a picture)"
    wide = Picture.of(encode.rgb_png(np.zeros((1, 65_535, 3), np.uint8)))
    with pytest.raises(TooManyPixels, match=r"at most 65500 pixels a side. Save it as \.png"):
        wide.save(tmp_path / "wide.jpg")


def test_another_ply_file_is_no_cloud() -> None:
    cloud = PointCloud(np.zeros((2, 3), np.float32), np.zeros((2, 3), np.uint8))
    data = cloud.ply()
    assert len(PointCloud.of_ply(memoryview(data)).points) == 2
    assert len(PointCloud.of_ply(data.replace(b"not metres", b"in other words")).points) == 2
    for wrong in (data[:-15], data + b"\0" * 30, data.replace(b"float x", b"double x"), data[:40], b"ply\n", b""):
        with pytest.raises(ValueError, match="not a PLY file of depthsvc"):
            PointCloud.of_ply(wrong)
