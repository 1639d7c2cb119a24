"""What the numbers of a video mean as colours: matrix, range, primaries and transfer, and HDR as SDR.

The codes are those of ITU-T H.273, which video files contain and FFmpeg uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

UNSPECIFIED = 2
BT709 = 1
BT2020 = 9
_BT601 = 6
_LUMA = {
    1: (0.2126, 0.0722),
    4: (0.3, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""Weights of red and blue in luma, by matrix."""
_CONSTANT_LUMINANCE = 10
_SCALER_CODES = {4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
"""swscale's numbers for matrices; BT.709 is 1."""
_RGB_FORMATS = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal", "x2")
"""Beginnings of FFmpeg's names for formats without a matrix and a range."""
_PQ, _HLG = 16, 18

_HD_WIDTH, _SD_HEIGHT = 1280, 576
"""Where players start to take pictures without a matrix for BT.709 (mpv's rule)."""

_PEAK_NITS = 1000.0
_WHITE_NITS = 203.0
"""What is white in SDR, in HDR (ITU-R BT.2408)."""
_KNEE = 0.3
"""Fraction of white up to which tone mapping leaves brightness alone."""
_TO_BT709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]], np.float32
)
"""Linear BT.2020 to linear BT.709 (ITU-R BT.2087, inverted)."""
_STEPS = 4096


@dataclass(frozen=True)
class Colour:
    """How a picture's numbers are to be shown."""

    matrix: int = BT709
    """Between YUV and RGB: 1 BT.709, 5 or 6 BT.601, 9 BT.2020, 7 SMPTE 240M, 4 FCC."""
    full_range: bool = False
    """Luma from 0 to 255 instead of from 16 to 235."""
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def is_hdr(self) -> bool:
        """Whether it is PQ (HDR10) or HLG."""
        return self.transfer in {_PQ, _HLG}

    @property
    def scaler_code(self) -> int:
        """The matrix in swscale's numbers."""
        return _SCALER_CODES.get(self.matrix, 1)

    @property
    def range_code(self) -> int:
        """The range in FFmpeg's numbers: 1 limited, 2 full."""
        return 2 if self.full_range else 1

    def for_display(self) -> Colour:
        """The colour in which a result is written: the same, or BT.709 for HDR."""
        return Colour(BT709, False, BT709, BT709) if self.is_hdr else self

    def yuv(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """RGB (..., 3) from 0 to 255 as Y, U and V (..., 3) of this matrix and range."""
        red_weight, blue_weight = _LUMA[self.matrix]
        red, green, blue = np.moveaxis(rgb.astype(np.float64) / 255, -1, 0)
        luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
        chroma = [(blue - luma) / (2 - 2 * blue_weight), (red - luma) / (2 - 2 * red_weight)]
        low, span, chroma_span = (0, 255, 255) if self.full_range else (16, 219, 224)
        planes = [low + span * luma, *(128 + chroma_span * plane for plane in chroma)]
        rounded: NDArray[np.uint8] = np.rint(np.stack(planes, -1)).clip(0, 255).astype(np.uint8)
        return rounded


def colour_of(
    matrix: int, range_code: int, primaries: int, transfer: int, *, size: tuple[int, int], pixel_format: str
) -> Colour:
    """A decoded picture's colour, from FFmpeg's numbers; what is not specified is assumed as players do.

    `size`: width and height as stored. `pixel_format`: FFmpeg's name for how it is stored.
    """
    if matrix == _CONSTANT_LUMINANCE:
        matrix = BT2020
    if matrix not in _LUMA:
        width, height = size
        matrix = BT709 if width >= _HD_WIDTH or height > _SD_HEIGHT else _BT601
        if transfer in {_PQ, _HLG}:
            matrix = BT2020
    by_format = pixel_format.startswith(("yuvj", "gray", "ya")) if range_code != 2 else True
    full = range_code != 1 and by_format and not pixel_format.startswith(_RGB_FORMATS)
    return Colour(matrix, full, primaries, transfer)


def sdr(pixels: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """HDR as SDR: BT.2020 RGB (h, w, 3) of PQ (16) or HLG (18), from 0 to 65535, as RGB (h, w, 3) from 0 to 255.

    Colours up to `_KNEE` of white stay as bright as they are; brighter ones, up to 1000 nits, are compressed by their
    largest component, so that hues stay (FFmpeg's and mpv's "mobius").
    """
    light = _light(transfer)[pixels]
    if transfer == _HLG:
        luminance = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light *= (luminance**0.2 * np.float32(_PEAK_NITS / _WHITE_NITS))[..., None]
    brightest = light.max(axis=-1, keepdims=True)
    light *= _compressed(brightest) / np.maximum(brightest, np.float32(1e-6))
    light = light @ _TO_BT709.T
    np.multiply(light, _STEPS - 1, out=light)
    return _shown()[light.clip(0, _STEPS - 1).astype(np.intp)]


def _compressed(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Brightness 0 to 1 of brightness in units of SDR's white, by the Möbius curve through knee and peak."""
    peak = _PEAK_NITS / _WHITE_NITS
    a = -_KNEE * _KNEE * (peak - 1) / (_KNEE * _KNEE - 2 * _KNEE + peak)
    b = (_KNEE * _KNEE - 2 * _KNEE * peak + peak) / (peak - 1)
    curve = (b * b + 2 * b * _KNEE + _KNEE * _KNEE) / (b - a) * (light + a) / (light + b)
    return np.where(light <= _KNEE, light, curve.clip(0, 1)).astype(np.float32)


@cache
def _light(transfer: int) -> NDArray[np.float32]:
    """Light of each number from 0 to 65535: PQ's in units of SDR's white (SMPTE 2084), HLG's of the scene, 0 to 1."""
    signal = np.arange(65536) / 65535
    if transfer == _PQ:
        root = signal ** (1 / 78.84375)
        nits = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
        return (nits / _WHITE_NITS).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12).astype(np.float32)


@cache
def _shown() -> NDArray[np.uint8]:
    """sRGB from 0 to 255 of linear light in `_STEPS` steps from 0 to 1."""
    light = np.arange(_STEPS) / (_STEPS - 1)
    signal = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    rounded: NDArray[np.uint8] = np.rint(255 * signal).astype(np.uint8)
    return rounded
