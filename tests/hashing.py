"""Random numbers that are the same bits on every machine: integer hashing (splitmix64) and IEEE arithmetic alone."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Shape = tuple[int, ...]

_BLOCK = 1 << 15
"""Numbers that are made at a time: these stay in a processor's cache, and hundreds of millions are made in seconds."""


def uniform(name: str, seed: int, shape: Shape) -> Array:
    """Multiples of 2**-53 in [0, 1), keyed by name and seed."""
    key = _key(name, seed)
    return _in_blocks(shape, lambda positions: _draw(key, positions, 0))


def normal(name: str, seed: int, shape: Shape) -> Array:
    """Sum of four uniforms, centred and scaled to unit variance, keyed by name and seed."""
    key = _key(name, seed)

    def draw(positions: NDArray[np.uint64]) -> Array:
        total = _draw(key, positions, 0)
        for lane in (1, 2, 3):
            total += _draw(key, positions, lane)
        return (total - 2.0) * 1.7320508075688772

    return _in_blocks(shape, draw)


def _in_blocks(shape: Shape, draw: Callable[[NDArray[np.uint64]], Array]) -> Array:
    numbers = np.empty(math.prod(shape))
    for start in range(0, numbers.size, _BLOCK):
        stop = min(start + _BLOCK, numbers.size)
        numbers[start:stop] = draw(np.arange(start, stop, dtype=np.uint64))
    return numbers.reshape(shape)


def _key(name: str, seed: int) -> NDArray[np.uint64]:
    return _splitmix64(np.array([(zlib.crc32(name.encode()) << 32) | seed], np.uint64))


def _draw(key: NDArray[np.uint64], positions: NDArray[np.uint64], lane: int) -> Array:
    steps = positions * np.uint64(8) + np.uint64(lane + 1)
    bits = _splitmix64(key + steps * np.uint64(0x9E3779B97F4A7C15))
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _splitmix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x ^ (x >> np.uint64(31))
