"""Sizing: photo to network input, and network output to the photo's grid, with the same numbers as MiDaS."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.imaging.spec import Enlargement, InputSpec, Interpolation, ResizeRule

LOWER_BOUND_MAX_ASPECT = 4
"""With `lower_bound` the long side is at most this many times the input size, to limit the cost."""


def network_size(width: int, height: int, spec: InputSpec, size: int | None = None) -> tuple[int, int]:
    """Width and height of the network input for a photo of this width and height.

    As in MiDaS's Resize transform, a side is rounded half to even to a multiple, and down (or up) if rounding would
    break the bound. Where MiDaS would round a side to 0 and fail, it becomes one multiple.
    """
    target = size or spec.size
    if spec.rule is ResizeRule.STRETCH:
        return target, target
    if spec.rule is ResizeRule.UPPER_BOUND:
        scale = min(target / width, target / height)
        longest = target
    else:
        scale = max(target / width, target / height)
        longest = LOWER_BOUND_MAX_ASPECT * target
    shortest = spec.multiple if spec.rule is ResizeRule.UPPER_BOUND else target
    return (
        _round_side(scale * width, spec.multiple, shortest, longest),
        _round_side(scale * height, spec.multiple, shortest, longest),
    )


def _round_side(side: float, multiple: int, shortest: int, longest: int) -> int:
    rounded = round(side / multiple) * multiple
    if rounded > longest:
        rounded = math.floor(min(side, longest) / multiple) * multiple
    if rounded < shortest:
        rounded = math.ceil(max(side, shortest) / multiple) * multiple
    return rounded


def to_network_input(pixels: NDArray[np.uint8], width: int, height: int, spec: InputSpec) -> NDArray[np.float32]:
    """RGB (h, w, 3) -> float32 (1, 3, height, width): scaled to 0..1, resized, normalised."""
    planes = np.empty((1, 3, height, width), np.float32)
    averages = spec.interpolation is Interpolation.AREA
    if averages:
        pixels = resized(pixels, width, height)
    for channel in range(3):
        plane = pixels[..., channel] if averages else _bicubic(pixels[..., channel], width, height)
        np.multiply(plane, np.float32(1 / (255 * spec.std[channel])), out=planes[0, channel])
        planes[0, channel] -= np.float32(spec.mean[channel] / spec.std[channel])
    return planes


def _bicubic(channel: NDArray[np.uint8], width: int, height: int) -> NDArray[np.float32]:
    """Converts one channel at a time to floats, so that a large photo takes 4 bytes per pixel instead of 12."""
    plane = channel.astype(np.float32, order="C")  # OpenCV would copy any other order again
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def colours_of(planes: NDArray[np.float32], spec: InputSpec) -> NDArray[np.float32]:
    """A network input (1, 3, h, w) as RGB (h, w, 3), 0..1."""
    std, mean = np.array(spec.std, np.float32), np.array(spec.mean, np.float32)
    return np.asarray(planes[0].transpose(1, 2, 0) * std + mean, np.float32)


def fitting(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height of a photo, shrunk if necessary until the longer side is at most `side`."""
    scale = min(1.0, side / max(width, height))
    return max(1, round(scale * width)), max(1, round(scale * height))


def within(width: int, height: int, pixels: int) -> tuple[int, int]:
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
    inverse_depth: NDArray[np.float32], width: int, height: int, enlargement: Enlargement = Enlargement.BICUBIC
) -> NDArray[np.float32]:
    """(h, w) -> (height, width), equal to torch's `interpolate(..., align_corners=False)`.

    Bicubic interpolation overshoots at edges; values below 0, which inverse depth cannot have, become 0.
    """
    if inverse_depth.shape == (height, width):
        return inverse_depth
    interpolation = cv2.INTER_CUBIC if enlargement is Enlargement.BICUBIC else cv2.INTER_LINEAR
    resized = cv2.resize(inverse_depth, (width, height), interpolation=interpolation)
    return np.maximum(resized, 0, out=resized).astype(np.float32, copy=False)
