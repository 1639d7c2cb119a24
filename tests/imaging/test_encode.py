from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from depthsvc.imaging import encode
from depthsvc.imaging.colormaps import color_table, quantized
from depthsvc.imaging.spec import Colormap

RAMP = np.linspace(2, 10, 60 * 80, dtype=np.float32).reshape(60, 80)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_a_heatmap_is_a_truecolour_png_that_pillow_saves_as_jpeg() -> None:
    image = opened(encode.heatmap_png(RAMP))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (80, 60))
    image.save(io.BytesIO(), "JPEG")


def test_a_palette_heatmap_has_the_same_colours() -> None:
    for invert in (False, True):
        truecolour = opened(encode.heatmap_png(RAMP, colormap=Colormap.MAGMA, invert=invert))
        palette = opened(encode.heatmap_png(RAMP, colormap=Colormap.MAGMA, invert=invert, palette=True))
        assert palette.mode == "P"
        assert np.array_equal(np.asarray(palette.convert("RGB")), np.asarray(truecolour))


def test_raw_npy_and_png16_hold_the_same_depth() -> None:
    half = RAMP.astype(np.float16)
    raw = np.frombuffer(encode.f16(RAMP), "<f2").reshape(60, 80)
    npy = np.load(io.BytesIO(encode.npy(RAMP)), allow_pickle=False)
    grey = np.asarray(opened(encode.png16(RAMP))).astype(np.float64)
    assert np.array_equal(raw, half)
    assert np.array_equal(npy, half)
    assert npy.dtype == np.dtype("<f2")
    assert np.abs(2 + grey / 65535 * 8 - RAMP).max() <= 8 / 65535


def test_float16_is_written_little_endian() -> None:
    assert encode.f16(np.array([[1.0]], np.float32)) == b"\x00\x3c"
    buffer = io.BytesIO()
    np.save(buffer, RAMP.astype("<f2"))
    assert encode.npy(RAMP) == buffer.getvalue()
    assert encode.f16(np.zeros((0, 5), np.float32)) == b""


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (31, 3), (33, 5), (200, 1)])
def test_every_shape_of_png_comes_back_as_it_was(shape: tuple[int, int]) -> None:
    numbers = np.random.default_rng(0)
    values = numbers.random(shape, np.float32)
    heat = quantized(values, np.uint8)
    photo = numbers.integers(0, 256, (*shape, 3), dtype=np.uint8)
    colors = color_table(Colormap.INFERNO)[heat]
    assert np.array_equal(np.asarray(opened(encode.heatmap_png(values))), colors)
    assert np.array_equal(np.asarray(opened(encode.heatmap_png(values, palette=True)).convert("RGB")), colors)
    assert np.array_equal(np.asarray(opened(encode.png16(values))), quantized(values, np.uint16))
    assert np.array_equal(np.asarray(opened(encode.photo_file(photo))), photo)
    assert np.array_equal(np.asarray(opened(encode.rgb_png(photo))), photo)


def test_other_libraries_read_the_same_pixels() -> None:
    deep = cv2.imdecode(buffer(encode.png16(RAMP)), cv2.IMREAD_UNCHANGED)
    assert deep is not None
    assert np.array_equal(deep, quantized(RAMP, np.uint16))
    colors = cv2.imdecode(buffer(encode.heatmap_png(RAMP)), cv2.IMREAD_COLOR_RGB)
    assert colors is not None
    assert np.array_equal(colors, encode.heatmap(RAMP))


def buffer(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)
