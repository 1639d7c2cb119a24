"""Depth of real photos from stereo pairs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data import read_rgbd
from training.stereo_pairs import disparity, main

HEIGHT, WIDTH = 120, 240
NEAR, FAR = 20, 6


def _pair() -> tuple[np.ndarray, np.ndarray]:
    """A textured square in front of a textured wall, seen from the left and from the right."""
    rng = np.random.default_rng(0)
    wall, square = (rng.integers(0, 256, (HEIGHT, WIDTH + 40, 3), dtype=np.uint8) for _ in range(2))
    views = []
    for wall_shift, square_shift in ((0, 0), (FAR, NEAR)):
        view = wall[:, wall_shift : wall_shift + WIDTH].copy()
        view[40:80, 100 - square_shift : 140 - square_shift] = square[40:80, 100:140]
        views.append(view)
    return views[0], views[1]


def test_disparity_is_found_where_both_pictures_show_the_same() -> None:
    found = disparity(*_pair())
    assert found.shape == (HEIGHT, WIDTH)
    np.testing.assert_allclose(np.nanmedian(found[50:70, 110:130]), NEAR, atol=0.25)
    np.testing.assert_allclose(np.nanmedian(found[5:30, 80:]), FAR, atol=0.25)
    assert np.isnan(found[50:70, 88:98]).mean() > 0.8, "the square hides this part of the wall from the right"


def test_a_folder_of_pairs_becomes_pictures_with_inverse_depth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, output = tmp_path / "pairs/scene", tmp_path / "output"
    scene.mkdir(parents=True)
    for name, picture in zip(("left", "right"), _pair(), strict=True):
        cv2.imwrite(str(scene / f"{name}.png"), picture)
        cv2.imwrite(str(scene / f"plain_{name}.png"), np.full_like(picture, 90))
    camera = {"fx": 100.0, "cx0": 120.0, "cx1": 124.0, "baseline_meters": 0.1}
    (scene / "stereodemo_calibration.json").write_text(json.dumps(camera))
    monkeypatch.setattr(sys, "argv", ["stereo_pairs", "--pairs", str(tmp_path / "pairs"), "--output", str(output)])
    main()
    [pair] = read_rgbd(output)
    assert pair.image.name == "scene_left.png"
    assert "scene_plain_left: 0.0" in capsys.readouterr().out
    inverse = pair.load_inverse_depth()
    np.testing.assert_allclose(np.nanmedian(inverse[50:70, 110:130]), (NEAR + 4) / (100 * 0.1), rtol=0.02)
