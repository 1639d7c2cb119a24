from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
from PIL import Image

from depthsvc import DepthMap
from depthsvc.depth import _OVERSHOOT
from depthsvc.errors import ConfigurationError
from depthsvc.imaging.spec import DepthKind, Enlargement
from tests.conftest import opened


def test_any_array_is_brought_into_the_contract() -> None:
    values = np.array([[np.nan, np.inf, -np.inf], [-3, 7, 1e9]], np.float32)
    assert DepthMap.of(values, "m").values.tolist() == [[0, 65504, 0], [0, 7, 65504]]


@pytest.mark.parametrize("dtype", ["<f8", ">f4", ">f8", "<f2", "<i4", "u1", "?"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (5, 7)])
def test_numbers_of_any_type_are_kept_as_float32(dtype: str, shape: tuple[int, int]) -> None:
    numbers = np.arange(1, 1 + math.prod(shape)).reshape(shape).astype(dtype)
    depth = DepthMap.of(numbers, "m")
    assert depth.values.dtype == np.dtype("=f4")
    assert (depth.min, depth.max) == (numbers.min(), numbers.max())
    assert np.array_equal(depth.float16(), numbers.astype(np.float16))
    assert depth.enlarged(9, 9).values.shape == (9, 9)


def test_a_map_that_somebody_changes_says_what_it_is_now() -> None:
    depth = DepthMap.of(np.array([[1, 2]], np.float32), "m")
    assert (depth.min, depth.max) == (1, 2)
    depth.values[:] = 7, 9
    assert (depth.min, depth.max) == (7, 9)


def test_a_map_within_the_contract_is_not_copied() -> None:
    values = np.array([[0, 65504]], np.float32)
    assert DepthMap.of(values, "m").values is values


def test_enlarging_the_largest_values_makes_none_that_float16_cannot_hold() -> None:
    values = np.zeros((8, 8), np.float32)
    values[3:5, 3:5] = 65504
    assert DepthMap.of(values, "m").enlarged(80, 80).max == 65504
    steep = np.zeros((8, 8), np.float32)
    steep[3:5, 3:5] = 1
    assert 1 < DepthMap.of(steep, "m").enlarged(80, 80).max < _OVERSHOOT


def test_float16_never_overflows() -> None:
    assert np.isfinite(DepthMap.of(np.full((2, 2), 7e4, np.float32), "m").float16()).all()


def test_size_range_and_normalization() -> None:
    depth = DepthMap.of(np.array([[2, 4, 6]], np.float32), "m")
    assert (depth.width, depth.height, depth.min, depth.max) == (3, 1, 2, 6)
    assert depth.normalized().values.tolist() == [[0, 0.5, 1]]


def test_near_is_bright_and_invert_turns_it_round() -> None:
    depth = DepthMap.of(np.array([[1, 9]], np.float32), "m")
    far, near = depth.heatmap().astype(int).sum(axis=2)[0]
    assert near > far + 400
    assert np.array_equal(depth.heatmap(invert=True), depth.heatmap()[:, ::-1])


@pytest.mark.parametrize("values", [np.zeros((4, 5)), np.full((4, 5), np.nan), np.full((4, 5), np.inf)])
def test_a_constant_map_has_a_heatmap_of_one_colour(values: np.ndarray) -> None:
    heatmap = DepthMap.of(values.astype(np.float32), "m").heatmap()
    assert heatmap.shape == (4, 5, 3)
    assert len(np.unique(heatmap.reshape(-1, 3), axis=0)) == 1


def test_files_agree_with_the_values(tmp_path: Path) -> None:
    depth = DepthMap.of(np.linspace(1, 3, 12, dtype=np.float32).reshape(3, 4), "m")
    for name in ("d.png", "d.npy", "d.f16", "d.png16"):
        depth.save(tmp_path / name)
    assert np.array_equal(np.asarray(opened(tmp_path / "d.png")), depth.heatmap())
    assert np.array_equal(np.load(tmp_path / "d.npy"), depth.float16())
    assert (tmp_path / "d.f16").read_bytes() == depth.float16().tobytes()
    with Image.open(tmp_path / "d.png16", formats=["PNG"]) as image:
        assert np.abs(np.asarray(image) / 65535 * 2 + 1 - depth.values).max() < 1e-4


def test_the_name_of_a_16_bit_png_is_understood(tmp_path: Path) -> None:
    depth = DepthMap.of(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4), "test")
    depth.save(tmp_path / "depth.16.png")
    assert np.asarray(opened(tmp_path / "depth.16.png")).max() == 65535


def test_an_unknown_extension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Unknown output format 'webp'"):
        DepthMap.of(np.zeros((1, 1), np.float32), "m").save(tmp_path / "d.webp")


METRES = DepthMap.of(np.array([[0.5, 2, 4], [8, 0, 80]], np.float32), "m", kind=DepthKind.METRES)
"""The last but one is unknown."""


def test_infinite_metres_are_unknown() -> None:
    values = np.array([[np.inf, 3], [np.nan, -1]], np.float32)
    assert DepthMap.of(values, "m", kind=DepthKind.METRES).values.tolist() == [[0, 3], [0, 0]]


def test_enlarging_metres_makes_no_point_nearer_or_unknown() -> None:
    """Bicubic interpolation gives less than nothing beside a step from half a metre to ten."""
    step = np.full((4, 12), 10, np.float32)
    step[:, :6] = 0.5
    enlarged = DepthMap.of(step, "m", kind=DepthKind.METRES).enlarged(120, 40)
    assert enlarged.min > 0.1
    assert enlarged.inverse.max() == 2
    assert (enlarged.normalized().values[:, :50] > 0.9).all()
    assert (enlarged.enlarged(240, 80).inverse <= 2).all()


def test_metres_are_inverted_for_whatever_shows_them() -> None:
    assert np.allclose(METRES.inverse, [[2, 0.5, 0.25], [0.125, 0, 0.0125]])
    relative = DepthMap.of(METRES.inverse, "m")
    assert relative.inverse is relative.values
    assert np.array_equal(METRES.heatmap(), relative.heatmap())
    near, *_, far = METRES.heatmap().astype(int).sum(axis=2).reshape(-1)
    assert near > far + 400
    normalized = METRES.normalized()
    assert normalized.kind is DepthKind.INVERSE_DEPTH
    assert normalized.values.tolist() == relative.normalized().values.tolist()


def test_metres_stay_metres_when_they_are_enlarged_and_say_so() -> None:
    assert METRES.enlarged(6, 4).kind is DepthKind.METRES
    assert METRES.refined(np.zeros((4, 6, 3), np.uint8)).kind is DepthKind.METRES
    assert repr(METRES) == "DepthMap(3 x 2, 0 to 80 metres, by m)"
    assert METRES.about == {"kind": "metres", "unit": "metres", "model": "m"}


def test_a_16_bit_png_has_millimetres_or_as_few_as_the_farthest_point_allows(tmp_path: Path) -> None:
    for farthest, step in ((4, 0.001), (65.535, 0.001), (80, 0.002), (150, 0.003)):
        values = np.array([[0, 1.2345, farthest]], np.float32)
        DepthMap.of(values, "m", kind=DepthKind.METRES).save(tmp_path / "d.16.png")
        image = opened(tmp_path / "d.16.png")
        assert image.info["unit"] == "metres"
        assert float(image.info["scale"]) == step
        assert np.abs(np.asarray(image) * step - values).max() <= step / 2 + 1e-5


@pytest.mark.parametrize(("kind", "channel"), [(DepthKind.METRES, "Z"), (DepthKind.INVERSE_DEPTH, "Y")])
def test_exr_holds_every_bit_of_the_values(kind: DepthKind, channel: str, tmp_path: Path) -> None:
    smooth = np.linspace(0, 9, 53 * 37, dtype=np.float32).reshape(37, 53)
    noise = np.random.default_rng(0).random((37, 53), np.float32)
    for values in (smooth, noise, smooth[:1, :1], noise[:17, :2]):
        depth = DepthMap.of(values, "some model", kind=kind)
        depth.save(tmp_path / "d.exr")
        with OpenEXR.File(str(tmp_path / "d.exr")) as file:
            assert np.array_equal(file.channels()[channel].pixels, values)
            assert {name: file.header()[name] for name in ("kind", "unit", "model")} == depth.about


@pytest.mark.parametrize("name", ["d.f32.tif", "d.tiff"])
def test_a_tiff_holds_every_bit_of_the_values_and_says_what_they_are(name: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((37, 53), np.float32)
    for kind in DepthKind:
        depth = DepthMap.of(values, "some model", kind=kind)
        depth.save(tmp_path / name)
        read = cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED)
        assert read is not None
        assert read.dtype == np.float32
        assert np.array_equal(read, values)
        said = json.loads(opened(tmp_path / name).tag_v2[270])  # type: ignore[attr-defined]
        assert said == {**depth.about, "min": depth.min, "max": depth.max}


def test_a_map_with_surroundings_is_upsampled_with_them_and_shown_without() -> None:
    wide = np.tile(np.arange(16, dtype=np.float32), (12, 1))
    depth = DepthMap.within(wide, (0.25, 0.3), "m", Enlargement.BILINEAR, DepthKind.METRES)
    assert depth.values.shape == (8, 10)
    assert depth.values[0].tolist() == list(range(3, 13))
    enlarged = depth.enlarged(20, 40)
    assert enlarged.values.shape == (40, 20)
    assert enlarged.kind is DepthKind.METRES
    assert np.allclose(np.diff(enlarged.values[0]), 0.5)
    assert np.isclose(enlarged.values[0].mean(), 7.5)
