"""Sizing: photo to network input, and network output to the photo's grid, with the same numbers as MiDaS."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.imaging.blocks import extremes, row_blocks
from depthsvc.imaging.spec import Enlargement, InputSpec, Interpolation, ResizeRule

MAX_ASPECT = 4
"""With `lower_bound` and `minimal` a side is at most this many times its input size, to limit the cost. The official
codes have no such limit: they differ for panoramas."""


def network_size(width: int, height: int, spec: InputSpec, size: int | None = None) -> tuple[int, int]:
    """Width and height of the network input for a photo of this width and height.

    As in MiDaS's Resize transform, a side is rounded half to even to a multiple, and down (or up) if rounding would
    break the bound. Where MiDaS would round a side to 0 and fail, it becomes one multiple.
    """
    targets = spec.sizes(size)
    if spec.rule is ResizeRule.STRETCH:
        return targets
    sides = [side + 2 * reflected_margin(side) for side in (width, height)] if spec.padded else [width, height]
    scales = [target / side for target, side in zip(targets, sides, strict=True)]
    scale = _SCALES[spec.rule](scales)
    bounds = (_bounds(spec.rule, target, spec.multiple) for target in targets)
    width, height = (
        _round_side(scale * side, spec.multiple, *bound) for side, bound in zip(sides, bounds, strict=True)
    )
    return width, height


_SCALES: dict[ResizeRule, Callable[[list[float]], float]] = {
    ResizeRule.UPPER_BOUND: min,
    ResizeRule.LOWER_BOUND: max,
    ResizeRule.MINIMAL: lambda scales: min(reversed(scales), key=lambda scale: abs(1 - scale)),
}
"""Which of the scales of width and height both sides get."""


def _bounds(rule: ResizeRule, target: int, multiple: int) -> tuple[int, int]:
    """The shortest and the longest side."""
    return (
        target if rule is ResizeRule.LOWER_BOUND else multiple,
        target if rule is ResizeRule.UPPER_BOUND else MAX_ASPECT * target,
    )


def reflected_margin(side: int) -> int:
    """By how many pixels a photo's side is extended at each end for a network whose input is padded."""
    return int(3 * math.sqrt(side / 2))


def _round_side(side: float, multiple: int, shortest: int, longest: int) -> int:
    rounded = round(side / multiple) * multiple
    if rounded > longest:
        rounded = math.floor(min(side, longest) / multiple) * multiple
    if rounded < shortest:
        rounded = math.ceil(max(side, shortest) / multiple) * multiple
    return rounded


def to_network_input(
    pixels: NDArray[np.uint8], width: int, height: int, spec: InputSpec, photo_size: tuple[int, int] | None = None
) -> NDArray[np.float32]:
    """RGB (h, w, 3) -> float32 (1, 3, height, width): extended, scaled to 0..1, resized, normalised, as `spec` says.

    `photo_size`: width and height of the photo if `pixels` are only some of its pixels.
    """
    planes = np.empty((1, 3, height, width), np.float32)
    if spec.interpolation is Interpolation.AREA:
        pixels = resized(pixels, width, height)
    elif spec.interpolation is Interpolation.BILINEAR:
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    margins = _margins(pixels, photo_size) if spec.padded else (0, 0)
    for channel in range(3):
        plane = _plane(pixels[..., channel], width, height, spec.interpolation, margins)
        np.multiply(plane, np.float32(1 / (255 * spec.std[channel])), out=planes[0, channel])
        planes[0, channel] -= np.float32(spec.mean[channel] / spec.std[channel])
    return planes


def _margins(pixels: NDArray[np.uint8], photo_size: tuple[int, int] | None) -> tuple[int, int]:
    """By how many rows and columns to extend pixels at each end."""
    height, width = pixels.shape[:2]
    whole_width, whole_height = photo_size or (width, height)
    return (
        round(reflected_margin(whole_height) * height / whole_height),
        round(reflected_margin(whole_width) * width / whole_width),
    )


def _plane(
    channel: NDArray[np.uint8], width: int, height: int, interpolation: Interpolation, margins: tuple[int, int]
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """One channel at the network's size."""
    if interpolation is Interpolation.BICUBIC:
        return _bicubic(channel, width, height)
    if interpolation is Interpolation.BILINEAR_CORNERS:
        rows, columns = (
            _Samples.between_corners(side, count, margin)
            for side, count, margin in zip(channel.shape, (height, width), margins, strict=True)
        )
        return columns.of(rows.of(channel).T).T
    return channel


@dataclass(frozen=True)
class _Samples:
    """Where an axis is sampled: each sample lies between two of its elements."""

    below: NDArray[np.intp]
    above: NDArray[np.intp]
    fraction: NDArray[np.float32]
    """How far each sample is from the one below to the one above."""

    @classmethod
    def between_corners(cls, length: int, count: int, margin: int = 0) -> _Samples:
        """`count` samples from the first element to the last, after `margin` reflected ones at each end.

        In float32, as in torch's `interpolate(..., align_corners=True)`.
        """
        extended = length + 2 * margin
        step = np.float32((extended - 1) / (count - 1)) if count > 1 else np.float32(0)
        at = step * np.arange(count, dtype=np.float32)
        below = at.astype(np.intp)
        above = np.minimum(below + 1, extended - 1)
        fraction = np.asarray(at - below, np.float32)
        return cls(_reflected(below - margin, length), _reflected(above - margin, length), fraction)

    def blocks(self) -> Iterator[_Samples]:
        """The same samples as `row_blocks` divides them."""
        parts = zip(row_blocks(self.below), row_blocks(self.above), row_blocks(self.fraction), strict=True)
        return (_Samples(*part) for part in parts)

    def of(self, array: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
        """The samples of an array along its first axis."""
        fraction = self.fraction[:, None]
        return np.asarray(array[self.below] * (1 - fraction) + array[self.above] * fraction, np.float32)


def _reflected(index: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Indices outside an axis, reflected into it without repeating its ends."""
    period = max(1, 2 * (length - 1))
    index = np.abs(index) % period
    return np.minimum(index, period - index) if length > 1 else np.zeros_like(index)


def _bicubic(channel: NDArray[np.uint8], width: int, height: int) -> NDArray[np.float32]:
    """Converts one channel at a time to floats, so that a large photo takes 4 bytes per pixel instead of 12."""
    plane = channel.astype(np.float32, order="C")  # OpenCV would copy any other order again
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def colours_of(planes: NDArray[np.float32], spec: InputSpec) -> NDArray[np.float32]:
    """A network input (1, 3, h, w) as RGB (h, w, 3), 0..1."""
    channels = zip(planes[0], spec.std, spec.mean, strict=True)
    return np.asarray(
        cv2.merge([plane * np.float32(std) + np.float32(mean) for plane, std, mean in channels]), np.float32
    )


def fitting(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height of a photo, shrunk if necessary until the longer side is at most `side`."""
    scale = min(1.0, side / max(width, height))
    return max(1, round(scale * width)), max(1, round(scale * height))


def within(width: int, height: int, pixels: float) -> tuple[int, int]:
    """Width and height of a photo, shrunk if necessary until it has at most this many pixels."""
    scale = min(1.0, math.sqrt(pixels / (width * height)))
    return max(1, int(scale * width)), max(1, int(scale * height))


def resized(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """RGB (h, w, 3) -> (height, width, 3), for viewing, or a plane: area averages to shrink, bilinear to enlarge."""
    if pixels.shape[:2] == (height, width):
        return pixels
    interpolation = cv2.INTER_AREA if height < len(pixels) else cv2.INTER_LINEAR
    if pixels.flags.c_contiguous or pixels.ndim == 2:
        return np.asarray(
            cv2.resize(np.ascontiguousarray(pixels), (width, height), interpolation=interpolation), np.uint8
        )
    result = np.empty((height, width, 3), np.uint8)
    for channel in range(3):  # OpenCV copies non-contiguous input; one channel at a time needs a third of the memory
        result[..., channel] = cv2.resize(pixels[..., channel], (width, height), interpolation=interpolation)
    return result


def upsample(
    values: NDArray[np.float32], width: int, height: int, enlargement: Enlargement = Enlargement.BICUBIC
) -> NDArray[np.float32]:
    """A map (h, w) -> (height, width), equal to torch's `interpolate`, with `align_corners` for BILINEAR_CORNERS.

    Bicubic interpolation overshoots at edges; values below 0, which depth cannot have, become 0.
    """
    if values.shape == (height, width):
        return values
    if enlargement is Enlargement.BILINEAR_CORNERS:
        return _between_corners(values, width, height)
    interpolation = cv2.INTER_CUBIC if enlargement is Enlargement.BICUBIC else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(values, (width, height), interpolation=interpolation), np.float32)
    low, _ = extremes(resized)
    return resized if low >= 0 else np.maximum(resized, 0, out=resized)


def _between_corners(values: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """A map (h, w) -> (height, width), whose corners' centres stay where they are."""
    rows, columns = (
        _Samples.between_corners(side, count) for side, count in zip(values.shape, (height, width), strict=True)
    )
    wide = np.ascontiguousarray(columns.of(values.T).T)
    result = np.empty((height, width), np.float32)
    for block, samples in zip(row_blocks(result), rows.blocks(), strict=True):
        block[:] = samples.of(wide)
    return result
