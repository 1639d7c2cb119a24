"""Results that show a photo's own detail do so at a bounded size, unless all of it is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from depthsvc.errors import TooManyPixels
from depthsvc.imaging.spec import StereoLayout
from depthsvc.options import (
    BokehOptions,
    DepthOptions,
    HeatmapOptions,
    NormalsOptions,
    OutputSize,
    SideBySideOptions,
    StereoOptions,
)
from depthsvc.pipeline import rendering
from depthsvc.pipeline.rendering import renderer_for
from tests.conftest import encoded, opened
from tests.imaging.photo.test_decode import png_bytes
from tests.parity import photo
from tests.pipeline.test_stages import SLOPE, FixedEngine, pipeline_of

WIDTH, HEIGHT = 400, 300
PHOTO = encoded(photo(HEIGHT, WIDTH))


@pytest.fixture(autouse=True)
def _a_quarter_is_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "DETAIL_PIXELS", WIDTH * HEIGHT // 4)
    monkeypatch.setattr(rendering, "EDGE_PIXELS", WIDTH * HEIGHT // 4)


def test_a_large_photo_is_refocused_at_a_smaller_size() -> None:
    pipeline = pipeline_of(FixedEngine(SLOPE))
    answer = pipeline.answer(PHOTO, BokehOptions())
    assert answer.shape == (HEIGHT // 2, WIDTH // 2)
    assert opened(answer.body).size == (WIDTH // 2, HEIGHT // 2)
    whole = pipeline.answer(PHOTO, BokehOptions(full_size=True))
    assert whole.shape == (HEIGHT, WIDTH)
    assert opened(whole.body).size == (WIDTH, HEIGHT)


def test_a_small_photo_keeps_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "DETAIL_PIXELS", WIDTH * HEIGHT)
    pipeline = pipeline_of(FixedEngine(SLOPE))
    assert pipeline.answer(PHOTO, BokehOptions()).body == pipeline.answer(PHOTO, BokehOptions(full_size=True)).body


def test_refined_depth_of_a_large_photo_has_the_photos_size_and_edges() -> None:
    pipeline = pipeline_of(FixedEngine(SLOPE))
    values = [
        np.frombuffer(pipeline.answer(PHOTO, options).body, "<f2").reshape(HEIGHT, WIDTH).astype(np.float32)
        for options in (
            DepthOptions(refine=True, full_size=True),
            DepthOptions(refine=True),
            DepthOptions(refine=False),
        )
    ]
    whole, reduced, smooth = values
    assert 0 < np.abs(whole - reduced).mean() < 0.5 * np.abs(whole - smooth).mean()


def test_each_half_of_a_pair_is_bounded() -> None:
    pipeline = pipeline_of(FixedEngine(SLOPE))
    assert pipeline.answer(PHOTO, SideBySideOptions()).shape == (HEIGHT // 2, WIDTH)


def test_each_view_of_a_stereo_picture_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = pipeline_of(FixedEngine(SLOPE))
    assert pipeline.answer(PHOTO, StereoOptions()).shape == (HEIGHT // 2, WIDTH)
    monkeypatch.setattr(rendering, "DETAIL_PIXELS", WIDTH * HEIGHT)
    assert pipeline.answer(PHOTO, StereoOptions(full_size=True)).shape == (HEIGHT, 2 * WIDTH)
    assert pipeline.answer(PHOTO, StereoOptions(full_size=True, layout=StereoLayout.ANAGLYPH)).shape == (HEIGHT, WIDTH)


def test_a_photo_wider_than_half_a_jpeg_is_made_narrower() -> None:
    pipeline = pipeline_of(FixedEngine(np.ones((1, 32, 64), np.float32)))
    assert pipeline.answer(encoded(np.zeros((1, 60_000, 3), np.uint8)), StereoOptions()).shape[1] <= 65_500


@pytest.mark.parametrize("options", [BokehOptions(), HeatmapOptions(refine=True), SideBySideOptions(), StereoOptions()])
def test_a_large_jpeg_is_decoded_no_larger_than_that(
    options: BokehOptions | HeatmapOptions | SideBySideOptions | StereoOptions,
) -> None:
    pipeline = pipeline_of(FixedEngine(SLOPE))
    data = encoded(photo(HEIGHT, WIDTH), "JPEG")
    assert pipeline.decode(data, enough=renderer_for(options, pipeline.model.spec).enough).pixels.shape == (
        HEIGHT // 2,
        WIDTH // 2,
        3,
    )


def test_a_side_that_no_jpeg_can_have_is_refused_before_decoding() -> None:
    pipeline = pipeline_of(FixedEngine(np.ones((1, 32, 64), np.float32)))
    header_alone = png_bytes(65_501, 1, 8, 0, b"")
    with pytest.raises(TooManyPixels, match="at most 65500 pixels a side"):
        pipeline.answer(header_alone, BokehOptions(full_size=True))


def test_a_map_for_the_screen_has_the_photos_shape_and_no_more_pixels_than_a_screen_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rendering, "SCREEN_PIXELS", WIDTH * HEIGHT // 16)
    pipeline = pipeline_of(FixedEngine(SLOPE), follows_edges=True)
    screen = OutputSize.SCREEN
    for options in (HeatmapOptions(size=screen), DepthOptions(size=screen), NormalsOptions(size=screen)):
        assert pipeline.answer(PHOTO, options).shape == (HEIGHT // 4, WIDTH // 4)
    assert pipeline.answer(PHOTO, SideBySideOptions(size=screen)).shape == (HEIGHT // 4, WIDTH // 2)
    small = encoded(photo(HEIGHT // 5, WIDTH // 5))
    for options in (DepthOptions(), DepthOptions(refine=False)):
        at_screen = options.model_copy(update={"size": screen})
        assert pipeline.answer(small, at_screen).body == pipeline.answer(small, options).body
