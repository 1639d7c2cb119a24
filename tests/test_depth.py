from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from depthsvc import DepthMap
from depthsvc.errors import ConfigurationError
from tests.conftest import opened


def test_any_array_is_brought_into_the_contract() -> None:
    values = np.array([[np.nan, np.inf, -np.inf], [-3, 7, 1e9]], np.float32)
    assert DepthMap.of(values, "m").values.tolist() == [[0, 65504, 0], [0, 7, 65504]]


def test_a_map_within_the_contract_is_not_copied() -> None:
    values = np.array([[0, 65504]], np.float32)
    assert DepthMap.of(values, "m").values is values


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
    with pytest.raises(ConfigurationError, match="Unknown output format 'tiff'"):
        DepthMap.of(np.zeros((1, 1), np.float32), "m").save(tmp_path / "d.tiff")
