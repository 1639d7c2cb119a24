"""Depth Anything computes what the official code computes, eagerly and in every engine's file, at every input size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from _pytest.mark import ParameterSet
from torch import Tensor

from depthsvc.imaging.spec import InputSpec, ResizeRule
from depthsvc.model import architecture as architectures
from depthsvc.model.architecture import (
    DEPTH_ANYTHING_V2_VITB,
    DEPTH_ANYTHING_V2_VITL,
    DEPTH_ANYTHING_V2_VITS,
    DEPTH_ANYTHING_VITB14,
    DEPTH_ANYTHING_VITL14,
    DEPTH_ANYTHING_VITS14,
    Architecture,
    DepthAnythingArchitecture,
    DepthAnythingSize,
)
from depthsvc.model.engines.kinds import EngineKind
from depthsvc.model.networks.base import build
from depthsvc.model.networks.depth_anything import DepthAnything
from depthsvc.model.networks.dinov2 import DinoV2
from tests import zoo
from tests.zoo import Golden

TOLERANCE = 3e-5
"""Of the official output, as a fraction of its maximum."""
OUTPUT_BIAS = "depth_head.scratch.output_conv2.2.bias"
TINY = DepthAnythingArchitecture("tiny", DepthAnythingSize(32, 4, 2, (8, 8, 16, 16), 8), (0, 1, 2, 3))
SHAPES = [(126, 70), (70, 154), (98, 98), (518, 518), (518, 14)]
"""Height and width: portrait, landscape, square, the size of the trained position embedding, one of its sides."""


def _network(architecture: Architecture) -> DepthAnything:
    with torch.device("meta"):
        network = build(architecture)
    assert isinstance(network, DepthAnything)
    return network


def _photo(height: int, width: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return zoo.network_input(height, width, seed, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def _goldens(*names: str) -> list[ParameterSet]:
    """Architecture and golden; the goldens that take seconds are for `make zoo`."""
    return [
        pytest.param(
            getattr(architectures, name.upper()),
            golden,
            id=f"{name}-{golden.name}",
            marks=[pytest.mark.zoo] if golden.height > 300 else [],
        )
        for name in names
        for golden in zoo.goldens("depth_anything", name)
    ]


@pytest.fixture(scope="module")
def small_weights() -> dict[str, Tensor]:
    """Of all networks with the small encoder: they differ in what they compute with them."""
    return zoo.filled(_network(DEPTH_ANYTHING_V2_VITS).state_dict())


@pytest.fixture(scope="module")
def tiny() -> DepthAnything:
    network = _network(TINY)
    zoo.fill(network)
    return network


@pytest.mark.parametrize(
    "architecture",
    [
        DEPTH_ANYTHING_VITS14,
        DEPTH_ANYTHING_VITL14,
        DEPTH_ANYTHING_V2_VITS,
        DEPTH_ANYTHING_V2_VITB,
        DEPTH_ANYTHING_V2_VITL,
    ],
    ids=lambda architecture: architecture.name,
)
def test_state_dict_is_the_official_one(architecture: Architecture) -> None:
    expected = zoo.figures("depth_anything", architecture.name)["state_dict"]
    assert zoo.digest(_network(architecture).state_dict()) == expected


@pytest.mark.parametrize(
    ("architecture", "golden"),
    _goldens(
        "depth_anything_vits14",
        "depth_anything_v2_vits",
        "depth_anything_v2_metric_hypersim_vits",
        "depth_anything_v2_metric_vkitti_vits",
    ),
)
def test_network_gives_the_official_output(
    architecture: Architecture, golden: Golden, small_weights: dict[str, Tensor]
) -> None:
    network = _network(architecture).eval()
    bias = torch.tensor([golden.filling.output_bias])
    network.load_state_dict(small_weights | {OUTPUT_BIAS: bias}, assign=True)
    assert golden.error(zoo.run(network, golden.input())) <= TOLERANCE


@pytest.mark.zoo
@pytest.mark.parametrize(
    ("architecture", "golden"), _goldens("depth_anything_vitl14", "depth_anything_v2_vitb", "depth_anything_v2_vitl")
)
def test_large_network_gives_the_official_output(architecture: Architecture, golden: Golden) -> None:
    network = _network(architecture)
    zoo.fill(network, golden.filling)
    assert golden.error(zoo.run(network, golden.input())) <= TOLERANCE


def test_the_first_version_reads_the_last_four_blocks() -> None:
    taps = [a.taps for a in (DEPTH_ANYTHING_VITS14, DEPTH_ANYTHING_VITB14, DEPTH_ANYTHING_VITL14)]
    assert taps == [(8, 9, 10, 11), (8, 9, 10, 11), (20, 21, 22, 23)]


@pytest.mark.parametrize("kind", zoo.ENGINES)
def test_one_file_of_each_engine_serves_every_size(kind: EngineKind, tiny: DepthAnything, tmp_path: Path) -> None:
    spec = InputSpec(70, ResizeRule.LOWER_BOUND, 14, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    zoo.check_engine(kind, tiny, spec, [_photo(*shape) for shape in SHAPES], tmp_path)


def test_photos_of_a_batch_do_not_influence_each_other(tiny: DepthAnything) -> None:
    zoo.check_batch(tiny, _photo(70, 98, seed=1), _photo(70, 98, seed=2))


def test_position_embedding_stays_as_it_is_at_the_trained_size(tiny: DepthAnything) -> None:
    assert torch.equal(_positions(tiny.pretrained, 37, 37), tiny.pretrained.pos_embed[:, 1:])


@pytest.mark.parametrize(("rows", "columns"), [(18, 24), (37, 49), (61, 37), (1, 80)])
def test_position_embedding_is_resized_as_pytorch_does_it(tiny: DepthAnything, rows: int, columns: int) -> None:
    # In float64, because PyTorch's own float32 positions are as far from it as these.
    grid = tiny.pretrained.pos_embed[:, 1:].double().transpose(1, 2).view(1, -1, 37, 37)
    scales = ((rows + 0.1) / 37, (columns + 0.1) / 37)
    expected = F.interpolate(grid, scale_factor=scales, mode="bicubic").flatten(2).transpose(1, 2)
    np.testing.assert_allclose(_positions(tiny.pretrained, rows, columns), expected, rtol=0, atol=1e-5)


def test_position_embedding_is_placed_in_float32_by_a_bfloat16_network(tiny: DepthAnything) -> None:
    encoder = DinoV2(32, 1, 2, (0,))
    encoder.load_state_dict(tiny.pretrained.state_dict(), strict=False)
    expected = _positions(encoder, 30, 60)
    np.testing.assert_allclose(_positions(encoder.bfloat16(), 30, 60).float(), expected, rtol=0, atol=0.02)


def _positions(encoder: DinoV2, rows: int, columns: int) -> Tensor:
    with torch.inference_mode():
        return encoder._patch_positions(rows, columns)
