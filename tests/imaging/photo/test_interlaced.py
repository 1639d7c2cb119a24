from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from benchmarks.material import interlaced_png
from depthsvc.errors import BrokenImage
from depthsvc.imaging.photo import pillow
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.pixels import Bounds, at_least

CHANCE = np.random.default_rng(0)
PALETTE = CHANCE.integers(0, 256, (256, 3), dtype=np.uint8)
KINDS = {
    "grey": {"color_type": 0, "bits": 8},
    "1-bit grey": {"color_type": 0, "bits": 1},
    "2-bit grey": {"color_type": 0, "bits": 2},
    "4-bit grey": {"color_type": 0, "bits": 4},
    "16-bit grey": {"color_type": 0, "bits": 16},
    "RGB": {"color_type": 2, "bits": 8},
    "16-bit RGB": {"color_type": 2, "bits": 16},
    "palette": {"color_type": 3, "bits": 8},
    "1-bit palette": {"color_type": 3, "bits": 1},
    "grey with alpha": {"color_type": 4, "bits": 8},
    "RGBA": {"color_type": 6, "bits": 8},
    "16-bit RGBA": {"color_type": 6, "bits": 16},
}
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


@pytest.fixture(autouse=True)
def _small_photos_count_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pillow, "DETAIL_PIXELS", 0)


def file_of(kind: str, width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    about = KINDS[kind]
    channels = SAMPLES[about["color_type"]] * max(1, about["bits"] // 8)
    samples = CHANCE.integers(0, 2 ** min(8, about["bits"]), (height, width, channels), dtype=np.uint8)
    colours = [(b"PLTE", PALETTE[: 2 ** about["bits"]].tobytes())] if about["color_type"] == 3 else []
    return interlaced_png(samples, **about, chunks=[*colours, *chunks])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("width", "height"), [(37, 29), (64, 64), (9, 200), (1, 9), (8, 1)])
def test_a_reduced_picture_has_every_second_fourth_or_eighth_pixel_of_the_whole(
    kind: str, width: int, height: int
) -> None:
    data = file_of(kind, width, height)
    whole = decode(data, Bounds(10**6)).pixels
    assert whole.shape == (height, width, 3)
    for divisor in (2, 4, 8):
        reduced = decode(data, Bounds(10**6, at_least(min(width, height) / divisor)))
        assert (reduced.width, reduced.height) == (width, height)
        assert np.array_equal(reduced.pixels, whole[::divisor, ::divisor])


def test_it_is_turned_as_the_whole_would_be() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = file_of("RGB", 40, 24, (b"eXIf", exif.tobytes()[6:]))
    reduced, whole = decode(data, Bounds(10**6, at_least(12))), decode(data, Bounds(10**6))
    assert (reduced.width, reduced.height) == (24, 40) == (whole.width, whole.height)
    assert reduced.pixels.shape == (20, 12, 3)


@pytest.mark.parametrize("end", [60, 400, 2000])
def test_a_picture_that_is_cut_off_is_broken(end: int) -> None:
    with pytest.raises(BrokenImage):
        decode(file_of("RGB", 400, 300)[:end], Bounds(10**6, at_least(150)))


def test_a_picture_whose_coded_data_are_damaged_is_broken() -> None:
    data = bytearray(file_of("RGB", 400, 300))
    data[data.index(b"IDAT") + 4] = 0
    with pytest.raises(BrokenImage):
        decode(bytes(data), Bounds(10**6, at_least(150)))


def test_a_picture_with_too_few_rows_is_broken() -> None:
    tall, short = file_of("RGB", 64, 64), file_of("RGB", 64, 8)
    with pytest.raises(BrokenImage):
        decode(tall[:33] + short[33:], Bounds(10**6, at_least(32)))


def test_its_last_passes_are_not_even_inflated() -> None:
    """So a large picture takes a small part of its time."""
    black = zlib.compress(bytes(64 * 193))
    data = interlaced_png(np.zeros((64, 64, 3), np.uint8))
    start = data.index(b"IDAT") - 4
    broken_later = interlaced_png(np.zeros((64, 64, 3), np.uint8), chunks=[(b"IDAT", black[: len(black) // 2])])
    assert start
    assert decode(broken_later, Bounds(10**6, at_least(8))).pixels.shape == (8, 8, 3)


def test_pillow_agrees_that_the_test_files_are_right() -> None:
    image = Image.open(io.BytesIO(file_of("16-bit RGB", 5, 7)))
    assert (image.size, image.info.get("interlace")) == ((5, 7), 1)
