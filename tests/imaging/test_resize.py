from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from depthsvc.imaging.resize import network_size, reflected_margin, to_network_input, upsample
from depthsvc.imaging.spec import Enlargement, InputSpec, Interpolation, ResizeRule
from tests import parity

MIDAS = InputSpec(256, ResizeRule.UPPER_BOUND, 32, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SHORT_SIDE = InputSpec(192, ResizeRule.LOWER_BOUND, 32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

RESIZE_CASES = json.loads((parity.DATA / "midas_resize_cases.json").read_text())


@pytest.mark.parametrize(("target", "width", "height", "net_width", "net_height", "official"), RESIZE_CASES)
def test_sizes_are_those_of_the_official_transform(
    target: int, width: int, height: int, net_width: int, net_height: int, official: bool
) -> None:
    expected = (net_width, net_height) if official else (max(net_width, 32), max(net_height, 32))
    assert network_size(width, height, MIDAS, target) == expected


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (640, 480, (256, 192)),
        (480, 640, (192, 256)),
        (1920, 1080, (352, 192)),
        (500, 500, (192, 192)),
        (1, 1, (192, 192)),
        (5000, 1, (768, 192)),
        (1, 5000, (192, 768)),
    ],
)
def test_lower_bound_sizes_by_the_short_side_up_to_an_aspect_of_4(
    width: int, height: int, expected: tuple[int, int]
) -> None:
    assert network_size(width, height, SHORT_SIDE) == expected


def test_stretch_ignores_the_aspect() -> None:
    spec = InputSpec(224, ResizeRule.STRETCH, 32, (0, 0, 0), (1, 1, 1))
    assert network_size(4000, 10, spec) == (224, 224)


@pytest.mark.parametrize(("seed", "width", "height"), [(0, 640, 480), (1, 300, 517), (2, 1279, 200)])
def test_preprocessing_equals_the_official_one(seed: int, width: int, height: int) -> None:
    goldens = parity.goldens()
    name = f"transform_{seed}_{width}x{height}"
    planes = to_network_input(parity.photo(height, width, seed), *network_size(width, height, MIDAS), MIDAS)
    assert planes.dtype == np.float32
    assert planes.shape == tuple(goldens[f"{name}_shape"])
    assert np.abs(planes[:, :, ::5, ::5] - goldens[name]).max() < 2e-6


def test_area_averages_where_bicubic_aliases() -> None:
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    for interpolation, contrast in ((Interpolation.AREA, 0.2), (Interpolation.BICUBIC, 1.0)):
        spec = InputSpec(128, ResizeRule.UPPER_BOUND, 32, (0.5,) * 3, (0.5,) * 3, interpolation)
        planes = to_network_input(stripes, 128, 128, spec)
        assert np.abs(planes).max() == pytest.approx(contrast, abs=0.01)


def test_upsampling_equals_torch_bicubic() -> None:
    import torch

    values = np.random.default_rng(0).uniform(1, 9, (24, 32)).astype(np.float32)
    for height, width in ((480, 640), (37, 91), (10, 12), (1, 5000)):
        expected = torch.nn.functional.interpolate(
            torch.from_numpy(values)[None, None], (height, width), mode="bicubic", align_corners=False
        ).clamp(min=0)
        assert np.abs(upsample(values, width, height) - expected[0, 0].numpy()).max() < 1e-4


def test_upsampling_never_goes_below_zero() -> None:
    edge = np.zeros((8, 8), np.float32)
    edge[:, 4:] = 100
    assert upsample(edge, 64, 64).min() == 0


DPT = InputSpec(384, ResizeRule.MINIMAL, 32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
ZOE = InputSpec(
    384,
    ResizeRule.MINIMAL,
    32,
    (0.5, 0.5, 0.5),
    (0.5, 0.5, 0.5),
    interpolation=Interpolation.BILINEAR_CORNERS,
    width=512,
    padded=True,
)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (640, 480, (512, 384)),
        (480, 640, (384, 512)),
        (517, 300, (384, 224)),
        (300, 517, (224, 384)),
        (1920, 1080, (672, 384)),
        (100, 50, (384, 192)),
        (384, 384, (384, 384)),
        (9000, 300, (1536, 384)),
        (4000, 1, (384, 32)),
    ],
)
def test_minimal_changes_a_photo_as_little_as_one_of_its_scales_does(
    width: int, height: int, expected: tuple[int, int]
) -> None:
    assert network_size(width, height, DPT) == expected


def test_a_padded_photo_is_sized_with_its_surroundings() -> None:
    assert [reflected_margin(side) for side in (480, 640)] == [46, 53]
    assert network_size(640, 480, ZOE) == (512, 384)
    assert network_size(1000, 400, ZOE) == (896, 384)
    assert network_size(640, 480, ZOE, 768) == (992, 768)


def test_corners_stay_where_they_are() -> None:
    values = np.array([[0, 1, 2], [10, 11, 12]], np.float32)
    wide = upsample(values, 5, 3, Enlargement.BILINEAR_CORNERS)
    assert np.allclose(wide, [[0, 0.5, 1, 1.5, 2], [5, 5.5, 6, 6.5, 7], [10, 10.5, 11, 11.5, 12]])
    assert upsample(values, 1, 1, Enlargement.BILINEAR_CORNERS).tolist() == [[0]]
    assert upsample(values[:1, :1] + 3, 4, 4, Enlargement.BILINEAR_CORNERS).tolist() == [[3] * 4] * 4


@pytest.mark.parametrize(("width", "height"), [(64, 48), (7, 5), (1, 1), (2, 40)])
def test_a_padded_input_is_that_of_the_padded_photo(width: int, height: int) -> None:
    pixels = parity.photo(height, width)
    rows, columns = reflected_margin(height), reflected_margin(width)
    padded = np.asarray(cv2.copyMakeBorder(pixels, rows, rows, columns, columns, cv2.BORDER_REFLECT_101), np.uint8)
    expected = to_network_input(padded, 96, 64, replace(ZOE, padded=False))
    assert np.abs(to_network_input(pixels, 96, 64, ZOE) - expected).max() < 1e-5


def test_a_photo_decoded_at_half_its_size_has_half_the_surroundings() -> None:
    pixels = parity.photo(240, 320)
    whole = np.asarray(cv2.resize(pixels, (640, 480), interpolation=cv2.INTER_LINEAR), np.uint8)
    expected = to_network_input(whole, 96, 64, ZOE)
    assert np.abs(to_network_input(pixels, 96, 64, ZOE, (640, 480)) - expected).mean() < 0.05
