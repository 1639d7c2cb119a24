from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from depthsvc.errors import InvalidParameter
from depthsvc.imaging.resize import InputSpec, ResizeRule
from depthsvc.model.engine import EngineName, Precision
from depthsvc.model.loading import Model, PreparedModel
from depthsvc.model.registry import OutputKind
from depthsvc.options import DepthFormat, DepthOptions, HeatmapOptions, OutputSize
from depthsvc.pipeline import Pipeline
from tests.conftest import encoded
from tests.parity import photo


class FixedEngine:
    """Gives the same answer whatever it sees."""

    def __init__(self, output: NDArray[np.float32]) -> None:
        self.output = output
        self.seen: NDArray[np.float32] | None = None

    def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        self.seen = planes
        return self.output


def pipeline_of(engine: FixedEngine, rule: ResizeRule = ResizeRule.UPPER_BOUND) -> Pipeline:
    spec = InputSpec(64, rule, 32, (0, 0, 0), (1, 1, 1))
    prepared = PreparedModel(
        "fixed", spec, OutputKind.INVERSE_DEPTH, Path("m"), EngineName.TORCHSCRIPT, Precision.FP32, degraded=False
    )
    return Pipeline(Model(prepared, engine), max_pixels=10_000_000, max_input_size=128)


PHOTO = encoded(photo(30, 40))


@pytest.mark.parametrize("value", [0.0, 5.0, np.nan, np.inf, -np.inf, -4.0, 1e30])
def test_a_constant_or_non_finite_map_is_a_valid_answer(value: float) -> None:
    pipeline = pipeline_of(FixedEngine(np.full((1, 64, 64), value, np.float32)))
    for options in (HeatmapOptions(), *(DepthOptions(format=format) for format in DepthFormat)):
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
    with pytest.raises(InvalidParameter, match="must be a multiple of 32, at least 32 and at most 128"):
        pipeline.answer(PHOTO, HeatmapOptions(input_size=input_size))


def test_a_model_of_fixed_size_takes_no_other() -> None:
    pipeline = pipeline_of(FixedEngine(np.ones((1, 64, 64), np.float32)), ResizeRule.STRETCH)
    assert pipeline.answer(PHOTO, HeatmapOptions(input_size=64)).shape == (30, 40)
    with pytest.raises(InvalidParameter, match="takes 64 only"):
        pipeline.answer(PHOTO, HeatmapOptions(input_size=96))


def test_media_types_and_dtypes() -> None:
    pipeline = pipeline_of(FixedEngine(np.ones((1, 64, 64), np.float32)))
    described = {
        options: (answer.media_type, answer.dtype)
        for options in (HeatmapOptions(), *(DepthOptions(format=format) for format in DepthFormat))
        for answer in [pipeline.answer(PHOTO, options)]
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
