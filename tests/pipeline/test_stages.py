from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from depthsvc.errors import InvalidParameter, TooManyPixels
from depthsvc.imaging.spec import InputSpec, ResizeRule
from depthsvc.model.choice import EngineChoice
from depthsvc.model.loaded import Model
from depthsvc.model.spec import ModelSpec, OutputKind, PreparedModel
from depthsvc.options import (
    BokehOptions,
    DepthFormat,
    DepthOptions,
    HeatmapOptions,
    Options,
    OutputSize,
    PointCloudOptions,
    SideBySideOptions,
    UploadQuery,
)
from depthsvc.pipeline.rendering import renderer_for
from depthsvc.pipeline.stages import Pipeline
from tests.conftest import encoded, opened
from tests.parity import photo


class FixedEngine:
    """Gives the same answer whatever it sees."""

    def __init__(self, output: NDArray[np.float32]) -> None:
        self.output = output
        self.seen: NDArray[np.float32] | None = None

    def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        self.seen = planes
        return self.output


def pipeline_of(
    engine: FixedEngine, rule: ResizeRule = ResizeRule.UPPER_BOUND, *, follows_edges: bool = False
) -> Pipeline:
    spec = InputSpec(64, rule, 32, (0, 0, 0), (1, 1, 1))
    model = ModelSpec("fixed", spec, OutputKind.INVERSE_DEPTH, follows_edges)
    return Pipeline(
        Model(PreparedModel(model, Path("m"), EngineChoice()), engine), max_pixels=10_000_000, max_input_size=128
    )


PHOTO = encoded(photo(30, 40))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_pixel_that_is_no_number_spoils_no_other(value: float) -> None:
    values = np.tile(np.linspace(1, 9, 64, dtype=np.float32), (64, 1))
    values[3, 3] = value
    pipeline = pipeline_of(FixedEngine(values[None]), follows_edges=True)
    depth = pipeline.infer(pipeline.decode(PHOTO)).values
    assert np.isfinite(depth).all()
    assert np.abs(depth[32:] - values[32:]).max() < 1


@pytest.mark.parametrize("value", [0.0, 5.0, np.nan, np.inf, -np.inf, -4.0, 1e30])
def test_a_constant_or_non_finite_map_is_a_valid_answer(value: float) -> None:
    pipeline = pipeline_of(FixedEngine(np.full((1, 64, 64), value, np.float32)))
    every_format = [DepthOptions(format=format) for format in DepthFormat]
    kinds: list[Options] = [HeatmapOptions(), *every_format, PointCloudOptions(), BokehOptions()]
    for options in kinds:
        answer = pipeline.answer(PHOTO, options)
        assert answer.shape == (30, 40)
        assert answer.min == pytest.approx(answer.max, rel=1e-6)
        assert 0 <= answer.min <= 65504
    raw = np.frombuffer(pipeline.answer(PHOTO, DepthOptions(normalize=True)).body, "<f2")
    assert not raw.any()


def test_one_bad_value_does_not_spoil_the_map() -> None:
    output = np.ones((1, 64, 64), np.float32)
    output[0, 0, 0] = np.nan
    answer = pipeline_of(FixedEngine(output)).answer(PHOTO, DepthOptions(size=OutputSize.MODEL))
    assert np.frombuffer(answer.body, "<f2").sum() == 64 * 64 - 1


def test_the_network_sees_the_photo_at_the_input_size() -> None:
    engine = FixedEngine(np.ones((1, 64, 64), np.float32))
    pipeline = pipeline_of(engine)
    for input_size, expected in ((None, (1, 3, 64, 64)), (128, (1, 3, 96, 128)), (32, (1, 3, 32, 32))):
        pipeline.answer(PHOTO, DepthOptions(input_size=input_size))
        assert engine.seen is not None
        assert engine.seen.shape == expected


@pytest.mark.parametrize("input_size", [33, 160])
def test_an_input_size_that_the_network_cannot_take_is_refused(input_size: int) -> None:
    pipeline = pipeline_of(FixedEngine(np.ones((1, 64, 64), np.float32)))
    with pytest.raises(InvalidParameter, match="Use a multiple of 32, at least 32 and at most 128"):
        pipeline.answer(PHOTO, HeatmapOptions(input_size=input_size))


def test_a_model_of_fixed_size_takes_no_other() -> None:
    pipeline = pipeline_of(FixedEngine(np.ones((1, 64, 64), np.float32)), ResizeRule.STRETCH)
    assert pipeline.answer(PHOTO, HeatmapOptions(input_size=64)).shape == (30, 40)
    with pytest.raises(InvalidParameter, match="only accepts 64"):
        pipeline.answer(PHOTO, HeatmapOptions(input_size=96))


def test_media_types_and_dtypes() -> None:
    pipeline = pipeline_of(FixedEngine(np.ones((1, 64, 64), np.float32)))
    kinds: list[Options] = [HeatmapOptions(), *(DepthOptions(format=format) for format in DepthFormat)]
    described = {
        options: (answer.media_type, answer.dtype) for options in kinds for answer in [pipeline.answer(PHOTO, options)]
    }
    assert list(described.values()) == [
        ("image/png", "uint8"),
        ("application/octet-stream", "float16"),
        ("application/x-npy", "float16"),
        ("image/png", "uint16"),
    ]


@pytest.mark.parametrize(("width", "height"), [(400, 100), (100, 400), (1000, 50), (130, 97)])
def test_the_network_never_sees_more_than_a_square_of_the_largest_input_size(width: int, height: int) -> None:
    engine = FixedEngine(np.ones((1, 64, 64), np.float32))
    pipeline = pipeline_of(engine, ResizeRule.LOWER_BOUND)
    pipeline.answer(encoded(photo(height, width)), DepthOptions(input_size=128, size=OutputSize.MODEL))
    assert engine.seen is not None
    assert 64 * 64 <= engine.seen[0, 0].size <= 128 * 128


def test_a_point_cloud_has_the_photos_colours_on_the_grid_that_was_asked_for() -> None:
    pipeline = pipeline_of(FixedEngine(np.ones((1, 64, 64), np.float32)))
    answer = pipeline.answer(PHOTO, PointCloudOptions(stride=2))
    header, vertices = answer.body.split(b"end_header\n")
    assert (answer.media_type, answer.dtype, answer.shape) == ("model/ply", "float32", (15, 20))
    assert b"element vertex 300\n" in header
    colors = np.frombuffer(vertices, np.uint8).reshape(15, 20, 15)[..., 12:]
    assert np.abs(colors - photo(30, 40).reshape(15, 2, 20, 2, 3).mean(axis=(1, 3))).max() <= 1


def test_a_side_that_no_jpeg_can_have_is_not_refocused() -> None:
    pipeline = pipeline_of(FixedEngine(np.ones((1, 32, 64), np.float32)))
    data = encoded(np.zeros((1, 65_501, 3), np.uint8))
    with pytest.raises(TooManyPixels, match="at most 65500 pixels a side"):
        pipeline.answer(data, BokehOptions())


def test_a_large_jpeg_keeps_the_pixels_that_its_result_needs() -> None:
    pipeline = pipeline_of(FixedEngine(np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(1, 64, 64)))
    data = encoded(photo(1200, 1600), "JPEG")
    refocused = pipeline.answer(data, BokehOptions(strength=0))
    assert (refocused.media_type, refocused.shape) == ("image/jpeg", (1200, 1600))
    assert np.abs(np.asarray(opened(refocused.body)).astype(int) - np.asarray(opened(data))).mean() < 3
    cloud = pipeline.answer(data, PointCloudOptions(max_points=200_000))
    assert cloud.shape == (300, 400)
    enough = renderer_for(PointCloudOptions(max_points=200_000)).pixels_needed
    assert pipeline.decode(data, enough=enough).pixels.shape[0] == 600


SLOPE = np.linspace(0, 9, 64 * 64, dtype=np.float32).reshape(1, 64, 64)


def test_side_by_side_is_the_photo_and_its_heatmap() -> None:
    pipeline = pipeline_of(FixedEngine(SLOPE))
    heatmap = np.asarray(opened(pipeline.answer(PHOTO, HeatmapOptions(colormap="hot", invert=True)).body))
    options = UploadQuery(colormap="hot", invert=True, side_by_side=True, palette=True).options()
    answer = pipeline.answer(PHOTO, options)
    pair = np.asarray(opened(answer.body))
    assert answer.shape == (30, 80)
    assert np.array_equal(pair[:, :40], photo(30, 40))
    assert np.array_equal(pair[:, 40:], heatmap)


def test_side_by_side_is_upright_and_follows_the_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[:, 20:] = 255  # right as stored, below as a person sees it
    turned = encoded(pixels, exif=exif)
    pipeline = pipeline_of(FixedEngine(SLOPE))
    pair = np.asarray(opened(pipeline.answer(turned, SideBySideOptions()).body))
    assert pair.shape == (40, 60, 3)
    assert (pair[:20, :30].max(), pair[20:, :30].min()) == (0, 255)
    small = opened(pipeline.answer(turned, SideBySideOptions(size=OutputSize.MODEL)).body)
    assert small.size == (128, 64)


def test_side_by_side_of_a_large_photo_is_bounded_and_keeps_its_detail() -> None:
    columns = np.zeros((100, 5000, 3), np.uint8)
    columns[:, ::500] = 255
    pipeline = pipeline_of(FixedEngine(SLOPE))
    for format in ("PNG", "JPEG"):
        pair = np.asarray(opened(pipeline.answer(encoded(columns, format), SideBySideOptions()).body))
        assert pair.shape == (82, 8192, 3)
        assert pair[:, :10].max() > 150  # one bright column in 500 would be lost at a reduced size
