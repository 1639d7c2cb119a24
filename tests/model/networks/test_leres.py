"""LeReS computes what the official code computes, eagerly and in every engine's file, at every size."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from _pytest.mark import ParameterSet
from numpy.typing import NDArray

from depthsvc.imaging.spec import InputSpec, ResizeRule
from depthsvc.model.architecture import LERES_RES50, LERES_RES101, LeresArchitecture, ResNetEncoder
from depthsvc.model.engines.kinds import EngineKind
from depthsvc.model.networks.base import build
from depthsvc.model.networks.leres import LeresNetwork
from tests import zoo
from tests.zoo import Filling, Golden

TOLERANCE = 3e-5
"""Of the official output, as a fraction of its maximum."""
INPUT = InputSpec(384, ResizeRule.UPPER_BOUND, 32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""Not the official rule, which has one shape: a file serves others too."""
TINY = LeresArchitecture("tiny", ResNetEncoder((1, 2, 1, 1), groups=4, group_width=2), width=16)


def _network(architecture: LeresArchitecture) -> LeresNetwork:
    """Without weights, on the meta device."""
    with torch.device("meta"):
        network = build(architecture)
    assert isinstance(network, LeresNetwork)
    return network


def _filled(architecture: LeresArchitecture, filling: Filling = zoo.DEFAULT_FILLING) -> LeresNetwork:
    network = _network(architecture)
    zoo.fill(network, filling)
    return network


def _photo(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    return zoo.network_input(height, width, seed, INPUT.mean, INPUT.std)


def _goldens(architecture: LeresArchitecture) -> list[ParameterSet]:
    """Architecture and golden; only the smallest is quick enough for each run of the tests."""
    return [
        pytest.param(
            architecture,
            golden,
            id=f"{architecture.name}-{golden.name}",
            marks=[] if architecture is LERES_RES50 and golden.height < 300 else [pytest.mark.zoo],
        )
        for golden in zoo.goldens("leres", architecture.name)
    ]


@pytest.fixture(scope="module")
def official() -> Callable[[LeresArchitecture], LeresNetwork]:
    """Fills the network of an architecture, unless it was the last one to be filled."""
    return lru_cache(maxsize=1)(_filled)


@pytest.fixture(scope="module")
def tiny() -> LeresNetwork:
    return _filled(TINY)


@pytest.mark.parametrize("architecture", [LERES_RES50, LERES_RES101], ids=lambda architecture: architecture.name)
def test_state_dict_is_the_official_one(architecture: LeresArchitecture) -> None:
    expected = zoo.figures("leres", architecture.name)["state_dict"]
    assert zoo.digest(_network(architecture).state_dict()) == expected


@pytest.mark.parametrize(("architecture", "golden"), [*_goldens(LERES_RES50), *_goldens(LERES_RES101)])
def test_network_gives_the_official_output(
    architecture: LeresArchitecture, golden: Golden, official: Callable[[LeresArchitecture], LeresNetwork]
) -> None:
    assert golden.error(zoo.run(official(architecture), golden.input())) <= TOLERANCE


def test_depth_is_not_clamped_at_0(tiny: LeresNetwork) -> None:
    expected = zoo.run(tiny, _photo(64, 96)) - 1000.5
    assert expected.max() < 0
    output = zoo.run(_filled(TINY, Filling(output_bias=-1000.0)), _photo(64, 96))
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", zoo.ENGINES)
def test_one_file_of_each_engine_serves_every_size(kind: EngineKind, tiny: LeresNetwork, tmp_path: Path) -> None:
    sizes = [(256, 160), (160, 320), (224, 224), (32, 384)]
    zoo.check_engine(kind, tiny, INPUT, [_photo(*shape) for shape in sizes], tmp_path)


def test_form_for_inference_has_another_layout_and_leaves_the_network_its_own(tiny: LeresNetwork) -> None:
    weights = tiny.for_inference().state_dict()["decoder_modules.conv1.weight"]
    assert weights.is_contiguous(memory_format=torch.channels_last)
    assert tiny.decoder_modules.conv1.weight.is_contiguous()


def test_photos_of_a_batch_do_not_influence_each_other(tiny: LeresNetwork) -> None:
    zoo.check_batch(tiny, _photo(64, 96, seed=1), _photo(64, 96, seed=2))
