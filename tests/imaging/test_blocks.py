from __future__ import annotations

import numpy as np
import pytest

from depthsvc.imaging import blocks
from depthsvc.imaging.blocks import extremes, to_float16


@pytest.mark.parametrize("with_opencv", [True, False])
def test_values_become_the_float16_that_numpy_makes(with_opencv: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_WRITES_HALVES", with_opencv and blocks._WRITES_HALVES)
    random = np.random.default_rng(0).random(40_000, np.float32)
    values = np.concatenate([random * np.float32(scale) for scale in (1e-8, 1e-7, 6e-5, 1, 2048, 65504)])
    halves = np.arange(2**15 - 2**10, dtype=np.uint16).view(np.float16).astype(np.float32)
    ties = (halves[:-1] + halves[1:]) / 2
    values = np.concatenate([values, halves, ties])[None]
    result = np.empty(values.shape, np.float16)
    to_float16(values, result)
    assert np.array_equal(result.view(np.uint16), values.astype(np.float16).view(np.uint16))
    for shape in ((0, 4), (1, 1), (1, 4), (4, 1), (2, 2)):
        few = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 0.1
        result = np.empty(shape, np.float16)
        to_float16(few, result)
        assert np.array_equal(result, few.astype(np.float16))


def test_extremes_are_the_values_themselves() -> None:
    values = np.random.default_rng(0).random((37, 53), np.float32)
    assert extremes(values) == (float(values.min()), float(values.max()))
    assert extremes(values[::2, ::3]) == (float(values[::2, ::3].min()), float(values[::2, ::3].max()))
