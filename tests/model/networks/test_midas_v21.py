"""MiDaS v2.1 large computes what the official code computes, eagerly and in every engine's file, at every size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from depthsvc.imaging.spec import InputSpec, ResizeRule
from depthsvc.model.architecture import MIDAS_V21_384, MidasV21Architecture, ResNetEncoder
from depthsvc.model.engines.kinds import EngineKind
from depthsvc.model.networks.base import build
from depthsvc.model.networks.midas_v21 import MidasV21Network
from tests import zoo
from tests.zoo import Golden

TOLERANCE = 3e-5
"""Of the official output, as a fraction of its maximum."""
INPUT = InputSpec(384, ResizeRule.UPPER_BOUND, 32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
TINY = MidasV21Architecture("tiny", ResNetEncoder((1, 2, 1, 1), groups=4, group_width=2), width=16)


def _network(architecture: MidasV21Architecture) -> MidasV21Network:
    """Without weights, on the meta device."""
    with torch.device("meta"):
        network = build(architecture)
    assert isinstance(network, MidasV21Network)
    return network


def _filled(architecture: MidasV21Architecture) -> MidasV21Network:
    network = _network(architecture)
    zoo.fill(network)
    return network


def _photo(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    return zoo.network_input(height, width, seed, INPUT.mean, INPUT.std)


def _assert_golden(network: MidasV21Network, golden: Golden) -> None:
    bias = network.scratch.output_conv[4].bias
    assert isinstance(bias, torch.Tensor)
    bias.fill_(golden.filling.output_bias)
    assert golden.error(zoo.run(network, golden.input())) <= TOLERANCE


@pytest.fixture(scope="module")
def tiny() -> MidasV21Network:
    return _filled(TINY)


@pytest.fixture(scope="module")
def large() -> MidasV21Network:
    return _filled(MIDAS_V21_384)


@pytest.mark.parametrize("architecture", [MIDAS_V21_384, TINY], ids=lambda architecture: architecture.name)
def test_state_dict_is_the_official_one(architecture: MidasV21Architecture) -> None:
    expected = zoo.figures("midas_v21", architecture.name)["state_dict"]
    assert zoo.digest(_network(architecture).state_dict()) == expected


@pytest.mark.zoo
@pytest.mark.parametrize("golden", zoo.goldens("midas_v21", "midas_v21_384"), ids=lambda golden: golden.name)
def test_network_gives_the_official_output(large: MidasV21Network, golden: Golden) -> None:
    _assert_golden(large, golden)


@pytest.mark.parametrize("golden", zoo.goldens("midas_v21", "tiny"), ids=lambda golden: golden.name)
def test_tiny_network_gives_what_it_gave_when_the_large_one_gave_the_official_output(golden: Golden) -> None:
    _assert_golden(_filled(TINY), golden)


@pytest.mark.parametrize("kind", zoo.ENGINES)
def test_one_file_of_each_engine_serves_every_size(kind: EngineKind, tiny: MidasV21Network, tmp_path: Path) -> None:
    sizes = [(256, 160), (160, 320), (224, 224), (32, 384)]
    zoo.check_engine(kind, tiny, INPUT, [_photo(*shape) for shape in sizes], tmp_path)


def test_form_for_inference_has_another_layout_and_leaves_the_network_its_own(tiny: MidasV21Network) -> None:
    weights = tiny.for_inference().state_dict()["scratch.layer1_rn.weight"]
    assert weights.is_contiguous(memory_format=torch.channels_last)
    assert tiny.scratch.layer1_rn.weight.is_contiguous()


def test_photos_of_a_batch_do_not_influence_each_other(tiny: MidasV21Network) -> None:
    zoo.check_batch(tiny, _photo(64, 96, seed=1), _photo(64, 96, seed=2))
