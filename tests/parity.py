"""Deterministic weights and photos for parity with the official MiDaS code, and the golden figures made with it.

The goldens in tests/data were computed by the official code from the same weights and photos.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.hashing import Array, normal, uniform

DATA = Path(__file__).parent / "data"


def state_dict_entries() -> list[tuple[str, tuple[int, ...], str]]:
    """Key, shape and dtype of every entry of the official checkpoint, in its order."""
    entries = json.loads((DATA / "midas_small_state_dict.json").read_text())
    return [(key, tuple(shape), dtype) for key, shape, dtype in entries]


def goldens() -> dict[str, NDArray[np.float32]]:
    with np.load(DATA / "midas_small_goldens.npz") as archive:
        return {name: archive[name] for name in archive.files}


def weights(seed: int = 0, output_bias: float = 0.5) -> dict[str, NDArray[np.float32]]:
    """A whole state dict of MiDaS_small, whose output stays positive unless the bias is very negative."""
    return {key: _tensor(key, shape, seed, output_bias) for key, shape, _ in state_dict_entries()}


def photo(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """RGB (height, width, 3): crossing triangle waves, hashed 16-pixel blocks and four bits of noise."""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    channels = []
    for channel in range(3):
        waves = _triangle(3 * x + (2 + channel) * y + 40 * seed, 611 + 64 * channel) + _triangle(
            5 * y - (1 + channel) * x + 17 * seed + 4096, 397 - 50 * channel
        )
        blocks_shape = (-(-height // 16), -(-width // 16))
        blocks = (uniform(f"blocks{channel}", seed, blocks_shape) * 96).astype(np.int64)[y // 16, x // 16]
        noise = (uniform(f"noise{channel}", seed, (height, width)) * 16).astype(np.int64)
        channels.append(np.clip(waves * 3 // 5 + blocks + noise - 16, 0, 255))
    return np.stack(channels, axis=2).astype(np.uint8)


def network_input(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """A photo normalised as MiDaS does it, (1, 3, height, width)."""
    mean, std = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))
    normalized = (photo(height, width, seed) / 255.0 - mean) / std
    return np.ascontiguousarray(normalized.transpose(2, 0, 1)[None]).astype(np.float32)


def _triangle(phase: NDArray[np.int64], period: int) -> NDArray[np.int64]:
    phase = phase % period
    rising_and_falling: NDArray[np.int64] = np.minimum(phase, period - phase) * 254 // period
    return rising_and_falling


def _tensor(key: str, shape: tuple[int, ...], seed: int, output_bias: float) -> NDArray[np.float32]:
    kind = key.rpartition(".")[2]
    encoder = key.startswith("pretrained.")
    values: Array
    if kind == "num_batches_tracked":
        return np.array(1000, np.int64)
    if kind == "running_var":
        values = 0.6 + 0.8 * uniform(key, seed, shape)
    elif kind == "running_mean":
        values = 0.1 * normal(key, seed, shape)
    elif key == "scratch.output_conv.4.bias":
        values = np.full(shape, output_bias)
    elif key == "scratch.output_conv.4.weight":
        values = np.abs(normal(key, seed, shape)) * (0.5 / 32**0.5)
    elif kind == "bias":
        values = (0.2 if encoder else 0.05) * normal(key, seed, shape)
    elif len(shape) == 1:  # scale of a batch norm, small at the end of a residual block
        residual = key.endswith(".bn3.weight") and not key.endswith(".0.bn3.weight")
        low, span = (0.2, 0.15) if residual else (0.8, 0.4)
        values = low + span * uniform(key, seed, shape)
    else:
        fan_in = shape[1] * shape[2] * shape[3]
        values = normal(key, seed, shape) * (_gain(key) * (2.0 / fan_in) ** 0.5)
    return values.astype(np.float32)


def _gain(key: str) -> float:
    if key.startswith("pretrained."):
        return 1.25
    if "_rn." in key:
        return 0.8
    if "resConfUnit" in key:
        return 1.0 if ".conv1." in key else 0.4
    return 0.75
