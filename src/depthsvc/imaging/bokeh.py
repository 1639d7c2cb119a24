"""A photo refocused by its depth: what is nearer or farther than the focus is blurred, as with a wide aperture.

The photo is split into layers of equal blur, in linear light. Layers behind the focus are composited from far to near,
each with only its own pixels, so that a sharp foreground does not leak into its background. Layers in front of the
focus spread over what is behind them. Only the sharp part needs the photo's full size: the blurred layers are computed
on a small grid and upsampled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.imaging.blocks import row_ranges
from depthsvc.imaging.colormaps import normalized
from depthsvc.imaging.guided import GuidedMap, evaluate_guided
from depthsvc.imaging.lazy_upsampled import LazyUpsampled
from depthsvc.imaging.resize import fitting, resized

Floats = NDArray[np.float32]

_MAX_RADIUS = 0.03
"""Radius of the largest blur at full strength, as a fraction of the photo's longer side."""
_SHARP = 0.1
"""Points this close to the focus, as a fraction of the range of inverse depth, stay sharp: a face has depth too."""
_LAYERS = 8
"""Layers on either side of the focus."""
_SIDE = 768
"""Longer side of the grid on which blurred layers are computed."""
_KERNEL_RADIUS = 6
"""A layer with a larger blur is shrunk until its blur has this radius in pixels."""
_SALIENT = 0.9
"""The automatic focus is nearer than this fraction of what stands out."""


def layer_pixels(width: int, height: int) -> int:
    """Pixels of the grid on which the blurred layers of such a photo are computed."""
    return math.prod(fitting(width, height, _SIDE))


def refocus(
    pixels: NDArray[np.uint8], inverse_depth: Floats, *, focus: tuple[float, float] | None, strength: float
) -> NDArray[np.uint8]:
    """Blur a photo, RGB (h, w, 3), by its relative inverse depth, a map of any size.

    `focus` is the point that stays sharp, as fractions of width and height from the top left, or None for the nearest
    thing that stands out. `strength`, 0..1, scales the blur; at 1 its largest radius is 3 % of the longer side.
    """
    if strength == 0:
        return pixels
    guided = GuidedMap.fit(pixels, normalized(inverse_depth))
    width, height = fitting(pixels.shape[1], pixels.shape[0], _SIDE)
    small = resized(pixels, width, height)
    nearness = evaluate_guided(guided.upsampled(width, height).rows(0, height), small)
    lens = _Lens.focused(_nearness_at(nearness, focus) if focus else _salient_nearness(small, nearness))
    radius = strength * _MAX_RADIUS * max(width, height)
    light, blur = _LIGHT[small], lens.blur(nearness)
    return _compose(pixels, guided, lens, _behind(light, blur, radius), _before(light, blur, radius))


@dataclass(frozen=True)
class _Lens:
    focus: float
    """Nearness, 0..1, in focus."""
    reach: float
    """Difference in nearness at which the blur reaches its maximum."""

    @classmethod
    def focused(cls, focus: float) -> _Lens:
        return cls(focus, max(focus, 1 - focus) - _SHARP)

    def blur(self, nearness: Floats) -> Floats:
        """Blur in layers, from -_LAYERS at the farthest through 0, sharp, to _LAYERS in front of the focus."""
        off = nearness - np.float32(self.focus)
        blur = np.sign(off) * np.maximum(np.abs(off) - _SHARP, 0) * np.float32(_LAYERS / self.reach)
        return np.asarray(blur.clip(-_LAYERS, _LAYERS), np.float32)


def _nearness_at(nearness: Floats, focus: tuple[float, float]) -> float:
    """Median nearness around a point, 0..1."""
    height, width = nearness.shape
    x, y = min(int(focus[0] * width), width - 1), min(int(focus[1] * height), height - 1)
    reach = max(1, round(0.01 * max(width, height)))
    around = nearness[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
    return float(np.median(around).clip(0, 1))


def _salient_nearness(pixels: NDArray[np.uint8], nearness: Floats) -> float:
    """Nearness of the nearest thing that stands out: with detail, and close to the middle of the photo."""
    height, width = nearness.shape
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    reach = max(width, height) / 50
    detail = cv2.GaussianBlur(np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 2)), (0, 0), reach)
    x = (np.arange(width, dtype=np.float32) + 0.5) / width - 0.5
    y = (np.arange(height, dtype=np.float32) + 0.5) / height - 0.5
    weight = (detail + 1) * np.exp(-((x / 0.25) ** 2) - (y[:, None] / 0.25) ** 2)
    nearness, weight = nearness[::2, ::2], weight[::2, ::2]  # a quarter of the points, for speed
    order = np.argsort(nearness, axis=None)
    share = np.cumsum(weight.ravel()[order], dtype=np.float64)
    return float(nearness.ravel()[order[np.searchsorted(share, _SALIENT * share[-1])]].clip(0, 1))


_LIGHT = ((np.arange(256) / 255) ** 2).astype(np.float32)
"""Linear light of the 256 pixel values; a gamma of 2 is close to a screen's, and its inverse is a square root."""


def _layers(light: Floats, blur: Floats, radius: float, side: int) -> Iterator[Floats]:
    """The layers on one side of the focus, from far to near: light and coverage (h, w, 4), blurred."""
    covering = np.dstack([light, np.ones_like(blur)])
    numbers = range(_LAYERS, 0, -1) if side < 0 else range(1, _LAYERS + 1)
    for number in numbers:
        coverage = np.maximum(1 - np.abs(blur - side * number), 0)
        if coverage.any():
            yield _blur_layer(covering * coverage[..., None], radius * number / _LAYERS)


def _blur_layer(layer: Floats, radius: float) -> Floats:
    """A layer (h, w, 4) with every point spread to a disc of the given radius in pixels."""
    height, width = layer.shape[:2]
    scale = min(1.0, _KERNEL_RADIUS / max(radius, 1e-6))
    reduced = (max(1, round(scale * width)), max(1, round(scale * height)))
    small = cv2.resize(layer, reduced, interpolation=cv2.INTER_AREA)
    small = cv2.filter2D(small, -1, _disc(scale * radius), borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)


def _disc(radius: float) -> Floats:
    """A disc with a soft rim of one pixel, normalised to sum 1."""
    reach = int(np.ceil(radius))
    along = np.arange(-reach, reach + 1, dtype=np.float32)
    disc = (radius + 0.5 - np.hypot(along, along[:, None])).clip(0, 1)
    return np.asarray(disc / disc.sum(), np.float32)


_NOTHING = 1e-3
"""Coverage below this counts as none: only the sharp photo is seen there."""


def _behind(light: Floats, blur: Floats, radius: float) -> Floats:
    """Light (h, w, 3) of everything behind the focus, extended behind what is sharp."""
    over = np.zeros((*blur.shape, 4), np.float32)
    for layer in _layers(light, blur, radius, -1):
        over *= 1 - layer[..., 3:].clip(0, 1)
        over += layer
    return np.asarray(over[..., :3] / np.maximum(over[..., 3:], _NOTHING), np.float32)


def _before(light: Floats, blur: Floats, radius: float) -> Floats:
    """Light and coverage (h, w, 4) of everything in front of the focus."""
    total = np.zeros((*blur.shape, 4), np.float32)
    for layer in _layers(light, blur, radius, 1):
        total += layer
    return np.asarray(total / np.maximum(total[..., 3:], 1), np.float32)


def _compose(
    pixels: NDArray[np.uint8], guided: GuidedMap, lens: _Lens, behind: Floats, before: Floats
) -> NDArray[np.uint8]:
    """The sharp part of the photo composited between the layers behind it and those in front of it."""
    height, width = pixels.shape[:2]
    functions = guided.upsampled(width, height)
    back, front = LazyUpsampled(behind, width, height), LazyUpsampled(before, width, height)
    result = np.empty(pixels.shape, np.uint8)  # row-major even if `pixels` is a rotated view
    for top, bottom in row_ranges(height, width):
        block = pixels[top:bottom]
        blur = lens.blur(evaluate_guided(functions.rows(top, bottom), block))
        light = back.rows(top, bottom)
        photo = np.asarray(cv2.LUT(block, _LIGHT), np.float32)
        photo -= light
        photo *= _tripled(np.maximum(1 - np.abs(blur), 0))
        light += photo
        *over, cover = cv2.split(front.rows(top, bottom))
        light *= _tripled(1 - cover)
        light += cv2.merge(over)
        result[top:bottom] = _pixels(light)
    return result


def _tripled(plane: NDArray[Any]) -> Floats:
    """(h, w) -> (h, w, 3); NumPy takes twice as long to multiply by a broadcast plane."""
    return np.asarray(cv2.merge([plane, plane, plane]), np.float32)


def _pixels(light: Floats) -> Floats:
    """Pixel values of linear light, which is overwritten: the inverse of _LIGHT."""
    np.clip(light, 0, 1, out=light)
    np.sqrt(light, out=light)
    light *= 255
    return np.rint(light, out=light)
