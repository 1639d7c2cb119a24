"""Deterministic weights and inputs for parity of the zoo's networks with their official code, and its figures.

The figures in tests/model/networks/data were computed by the official code from the same weights and inputs. The
weights are random, but each tensor's size keeps the features of every layer in a range as trained weights do.

A file of figures is one family's, {"about": ..., "networks": {NAME: {"state_dict": {"count": ..., "sha256": ...},
"mean": [...], "std": [...], "goldens": {...}}}}. `mean` and `std` normalise the input; `Golden` describes a golden,
and `digest` the state dict.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from depthsvc.imaging.spec import InputSpec
from depthsvc.model.choice import EngineName, Precision
from depthsvc.model.engines.kinds import KINDS, TORCHSCRIPT, EngineKind
from depthsvc.model.networks.base import Network
from tests.hashing import Array, Shape, normal, uniform
from tests.parity import photo

ENGINE_TOLERANCES = {EngineName.TORCHSCRIPT: 5e-6, EngineName.OPENVINO: 1e-5, EngineName.ONNXRUNTIME: 1e-5}
"""Largest differences of an engine's output from the network's, as fractions of its maximum."""

ENGINES = [
    pytest.param(kind, id=name, marks=[] if kind is TORCHSCRIPT else [pytest.mark.zoo])
    for name, kind in KINDS.items()
    if kind.families is None
]
"""The engines of all networks, for parametrize. Other formats than the default's take long to write."""

DATA = Path(__file__).parent / "model" / "networks" / "data"


@dataclass(frozen=True)
class Filling:
    """What weights are made with."""

    seed: int = 0
    output_bias: float = 0.5
    """Bias of the convolution that gives depth."""
    domain: str = "nyu"
    """Head that ZoeD_NK's router chooses: nyu or kitti."""


DEFAULT_FILLING = Filling()


@dataclass(frozen=True)
class Golden:
    """An output of the official network at a few pixels."""

    name: str
    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    filling: Filling
    maximum: float
    """Of the whole output."""
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    values: NDArray[np.float32]
    """Output at each pair of a row and a column, (rows, columns)."""

    def input(self) -> NDArray[np.float32]:
        """float32 (1, 3, height, width)."""
        return network_input(self.height, self.width, self.filling.seed, self.mean, self.std)

    def error(self, output: NDArray[np.float32]) -> float:
        """Largest difference of an output (1, height, width) from the official one, as a fraction of its maximum."""
        assert output.shape == (1, self.height, self.width)
        difference = np.abs(output[0][np.ix_(self.rows, self.columns)] - self.values).max()
        return float(max(difference, abs(output.max() - self.maximum)) / self.maximum)


def figures(family: str, network: str) -> dict[str, Any]:
    """All figures of a network."""
    figures: dict[str, Any] = json.loads((DATA / f"{family}.json").read_text())["networks"][network]
    return figures


def goldens(family: str, network: str) -> list[Golden]:
    """The official outputs of a network."""
    of_network = figures(family, network)
    return [
        Golden(
            name,
            golden["height"],
            golden["width"],
            of_network["mean"],
            of_network["std"],
            Filling(**golden["filling"]),
            golden["maximum"],
            tuple(golden["rows"]),
            tuple(golden["columns"]),
            np.array(golden["values"], np.float32),
        )
        for name, golden in of_network["goldens"].items()
    ]


def digest(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Number of entries of a state dict, and the SHA-256 of its keys, shapes and types in their order, as JSON."""
    entries = [[key, list(value.shape), str(value.dtype).removeprefix("torch.")] for key, value in state.items()]
    return {"count": len(entries), "sha256": hashlib.sha256(json.dumps(entries).encode()).hexdigest()}


def fill(network: nn.Module, filling: Filling = DEFAULT_FILLING) -> None:
    """Give a network, which may be on the meta device, its deterministic weights; put it in evaluation mode."""
    network.load_state_dict(filled(network.state_dict(), filling), assign=True)
    network.requires_grad_(False).eval()


def filled(state: Mapping[str, Tensor], filling: Filling = DEFAULT_FILLING) -> dict[str, Tensor]:
    """A state dict with these keys and shapes."""
    return {key: torch.from_numpy(tensor(key, tuple(value.shape), filling)) for key, value in state.items()}


def run(network: nn.Module, planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """A network's output."""
    with torch.inference_mode():
        output: NDArray[np.float32] = network(torch.from_numpy(planes)).numpy()
    return output


def check_engine(
    kind: EngineKind,
    network: Network,
    spec: InputSpec,
    photos: Sequence[NDArray[np.float32]],
    folder: Path,
    tolerances: Mapping[EngineName, float] = ENGINE_TOLERANCES,
) -> None:
    """Check that one file of an engine gives what the network gives, for photos of every size.

    `tolerances` are the largest differences allowed, as fractions of the network's largest value.
    """
    path = folder / f"network{kind.suffix}"
    kind.write(network, spec, path, Precision.FP32)
    engine = kind.open(path, 1, Precision.FP32)
    for planes in photos:
        expected = run(network, planes)
        assert expected.shape == (1, *planes.shape[2:])
        np.testing.assert_allclose(engine.infer(planes), expected, rtol=0, atol=tolerances[kind.name] * expected.max())


def check_batch(network: Network, *photos: NDArray[np.float32]) -> None:
    """Check that photos of a batch do not influence each other."""
    alone = np.concatenate([run(network, photo) for photo in photos])
    np.testing.assert_allclose(run(network, np.concatenate(photos)), alone, rtol=0, atol=1e-5 * alone.max())


def network_input(
    height: int, width: int, seed: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> NDArray[np.float32]:
    """A photo, normalised, (1, 3, height, width)."""
    normalized = (photo(height, width, seed) / 255.0 - np.array(mean)) / np.array(std)
    return np.ascontiguousarray(normalized.transpose(2, 0, 1)[None]).astype(np.float32)


def tensor(key: str, shape: Shape, filling: Filling = DEFAULT_FILLING) -> NDArray[Any]:
    """The values of an official key: float32, or int64 where the official tensor has integers."""
    kind = key.rpartition(".")[2]
    if kind == "num_batches_tracked":
        return np.array(1000, np.int64)
    if kind == "relative_position_index":
        return _beit_index(shape[0])
    if kind == "k_idx":
        return np.arange(shape[1], dtype=np.int64).reshape(shape)
    return _values(key, kind, shape, filling).astype(np.float32).reshape(shape)


def _beit_index(tokens: int) -> NDArray[np.int64]:
    """Of a square window and a class token, (tokens, tokens)."""
    side = math.isqrt(tokens - 1)
    span = 2 * side - 1
    y, x = np.divmod(np.arange(side * side), side)
    index = np.empty((tokens, tokens), np.int64)
    index[1:, 1:] = (y[:, None] - y + side - 1) * span + x[:, None] - x + side - 1
    index[0, 1:], index[1:, 0], index[0, 0] = span * span, span * span + 1, span * span + 2
    return index


def _values(key: str, kind: str, shape: Shape, filling: Filling) -> Array:
    if kind in _KINDS:
        return _KINDS[kind](key, filling.seed, shape)
    if any(name in key for name in ("scratch.output_conv.4.", "scratch.output_conv2.2.", "adapt_conv.3.")):
        return _depth_convolution(key, kind, shape, filling)
    if (special := _zoedepth(key, kind, shape, filling)) is not None:
        return special
    if kind in ("bias", "q_bias", "v_bias", "in_proj_bias"):
        normalizes = any(name in key for name in (".bn", "downsample.1", "norm", "conv_branch.2", "adapt_conv.1"))
        return (0.2 if normalizes else 0.05) * normal(key, filling.seed, shape)
    if len(shape) == 1:
        return _normalization_scale(key, kind, shape, filling.seed)
    return normal(key, filling.seed, shape) * (_convolution(key, shape) if len(shape) == 4 else _linear(key, shape))


_KINDS: dict[str, Callable[[str, int, Shape], Array]] = {
    "running_var": lambda key, seed, shape: 0.6 + 0.8 * uniform(key, seed, shape),
    "running_mean": lambda key, seed, shape: 0.1 * normal(key, seed, shape),
    **dict.fromkeys(
        ("pos_embed", "cls_token", "dist_token", "mask_token"),
        lambda key, seed, shape: 0.5 * normal(key, seed, shape),
    ),
    "relative_position_bias_table": normal,
    **dict.fromkeys(
        ("gamma", "gamma_1", "gamma_2"),  # layer scale
        lambda key, seed, shape: 0.3 + 0.2 * uniform(key, seed, shape),
    ),
    "K_minus_1": lambda key, seed, shape: np.full(shape, 63.0),
}


def _depth_convolution(key: str, kind: str, shape: Shape, filling: Filling) -> Array:
    """Positive weights, so that the sign of the output follows the bias."""
    if kind == "bias":
        return np.full(shape, filling.output_bias)
    return np.abs(normal(key, filling.seed, shape)) * (0.5 / math.sqrt(math.prod(shape[1:])))


def _zoedepth(key: str, kind: str, shape: Shape, filling: Filling) -> Array | None:
    """Tensors that place ZoeDepth's bins and choose its head."""
    if key.endswith("mlp_classifier.2.bias"):
        return np.array([4.0, -4.0] if filling.domain == "nyu" else [-4.0, 4.0])
    if "conditional_log_binomial" in key and key.endswith("mlp.2.bias"):  # probability, then a low temperature
        return np.array([0.0, 0.5, -2.0, 4.0])
    if "conditional_log_binomial" in key and key.endswith("mlp.2.weight"):
        return 1.5 * normal(key, filling.seed, shape) / math.sqrt(shape[1])
    if key.endswith("_net.2.bias") and "seed_bin_regressor" in key:
        return 0.2 + 5.0 * uniform(key, filling.seed, shape)
    if key.endswith("_net.2.bias") and "attractors" in key:
        return 0.2 + 3.0 * uniform(key, filling.seed, shape)
    return None


def _normalization_scale(key: str, kind: str, shape: Shape, seed: int) -> Array:
    """Small at the end of a residual branch, except in the first block of a stage."""
    parts = key.split(".")
    ends_branch = kind == "weight" and parts[-2] in ("bn3", "norm3") and parts[-3] != "0"
    low, span = (0.2, 0.15) if ends_branch else (0.8, 0.4)
    return low + span * uniform(key, seed, shape)


def _convolution(key: str, shape: Shape) -> float:
    fan_in = math.prod(shape[1:])
    patches = any(name in key for name in ("act_postprocess", "projects.", "resize_layers", "patch_embed.proj"))
    if patches and shape[2] > 1 and shape[2] % 2 == 0 and "patch_embed" not in key:  # transposed
        return math.sqrt(1.0 / shape[0])
    if patches:
        return math.sqrt(1.0 / fan_in)
    return _convolution_gain(key) * math.sqrt(2.0 / fan_in)


def _convolution_gain(key: str) -> float:
    if "_rn." in key:
        return 0.8
    if "resConfUnit" in key:
        return 1.0 if ".conv1." in key else 0.4
    if "conv_branch.4" in key:  # ends a residual branch of LeReS
        return 0.4
    if any(name in key for name in (".layer", ".blocks.", "conv1.weight", "stem")):  # encoders
        return 1.0
    return 0.75


def _linear(key: str, shape: Shape) -> float:
    if "qkv" in key or "in_proj" in key:
        gain = 1.2
    elif "attn.proj" in key or "fc2" in key:
        gain = 0.7
    else:
        gain = 1.0
    return gain * math.sqrt(1.0 / shape[1])
