"""ZoeDepth's networks compute what the official code computes, eagerly and in every engine's file, at every size."""

from __future__ import annotations

from dataclasses import replace
from math import lgamma
from pathlib import Path

import numpy as np
import pytest
import torch
from _pytest.mark import ParameterSet
from numpy.typing import NDArray
from torch import nn

from depthsvc.imaging.spec import InputSpec, ResizeRule
from depthsvc.model.architecture import ZOE_K, ZOE_N, ZOE_NK, Architecture, ZoeArchitecture
from depthsvc.model.choice import EngineName
from depthsvc.model.engines.kinds import EngineKind
from depthsvc.model.engines.torchscript import trace
from depthsvc.model.networks.base import Network, build
from depthsvc.model.networks.zoe import Bins, BoundedBins, ConditionalLogBinomial, RoutedZoeNetwork, expected_depth
from tests import zoo
from tests.model.networks.test_dpt import HALF, SHAPES, TINY_BEIT, photo
from tests.zoo import Golden

TOLERANCE = 2e-4
"""Of the official output, as a fraction of its maximum."""
ENGINE_TOLERANCES = {EngineName.TORCHSCRIPT: 5e-6, EngineName.OPENVINO: 1e-4, EngineName.ONNXRUNTIME: 1e-4}
"""Of the network's output, as a fraction of its maximum."""
NETWORKS = [ZOE_N, ZOE_K, ZOE_NK]


def _tiny(architecture: ZoeArchitecture) -> Network:
    with torch.device("meta"):
        network = build(replace(architecture, core=TINY_BEIT, attractors=(3, 2, 2, 1)))
    zoo.fill(network)
    return network


def _goldens() -> list[ParameterSet]:
    return [
        pytest.param(architecture, golden, id=f"{architecture.name}-{golden.name}")
        for architecture in NETWORKS
        for golden in zoo.goldens("zoe", architecture.name)
    ]


@pytest.fixture(scope="module", params=[ZOE_K, ZOE_NK], ids=lambda architecture: architecture.name)
def tiny(request: pytest.FixtureRequest) -> Network:
    return _tiny(request.param)


@pytest.fixture
def undecided() -> RoutedZoeNetwork:
    """A network that chooses the head for indoor scenes for one photo of `_two_photos`, and the other for the other."""
    network = _tiny(ZOE_NK)
    assert isinstance(network, RoutedZoeNetwork)
    classifier = network.mlp_classifier[2]
    assert isinstance(classifier, nn.Linear)
    logits: list[torch.Tensor] = []
    handle = classifier.register_forward_hook(lambda _module, _input, output: logits.append(output))
    zoo.run(network, np.concatenate(_two_photos()))
    handle.remove()
    first, second = logits[0]
    assert abs((first - second) @ torch.tensor([1.0, -1.0])) > 1e-3
    classifier.bias.sub_((first + second) / 2)
    return network


def _two_photos() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return photo(64, 96, seed=1), -photo(64, 96, seed=2)


@pytest.mark.parametrize("architecture", NETWORKS, ids=lambda architecture: architecture.name)
def test_state_dict_is_the_official_one(architecture: Architecture) -> None:
    with torch.device("meta"):
        state = build(architecture).state_dict()
    assert zoo.digest(state) == zoo.figures("zoe", architecture.name)["state_dict"]


@pytest.mark.zoo
@pytest.mark.parametrize(("architecture", "golden"), _goldens())
def test_network_gives_the_official_output(architecture: Architecture, golden: Golden) -> None:
    with torch.device("meta"):
        network = build(architecture)
    zoo.fill(network, golden.filling)
    assert golden.error(zoo.run(network.for_inference(), golden.input())) <= TOLERANCE


@pytest.mark.parametrize("kind", zoo.ENGINES)
def test_one_file_of_each_engine_serves_every_size(kind: EngineKind, tiny: Network, tmp_path: Path) -> None:
    spec = InputSpec(64, ResizeRule.LOWER_BOUND, 32, mean=HALF, std=HALF)
    zoo.check_engine(kind, tiny, spec, [photo(*shape) for shape in SHAPES], tmp_path, ENGINE_TOLERANCES)


def test_the_router_chooses_for_each_photo_in_one_and_the_same_trace(undecided: RoutedZoeNetwork) -> None:
    traced = trace(undecided.for_inference(), (1, 3, 64, 96))
    photos = _two_photos()
    alone = np.concatenate([zoo.run(traced, photo) for photo in photos])
    both = zoo.run(undecided, np.concatenate(photos))
    np.testing.assert_allclose(both, alone, rtol=0, atol=1e-4 * both.max())


def test_a_head_that_is_not_chosen_has_no_influence(undecided: RoutedZoeNetwork) -> None:
    before = [zoo.run(undecided, photo) for photo in _two_photos()]
    for name, parameter in undecided.named_parameters():
        if ".kitti." in name:
            parameter.zero_()
    after = [zoo.run(undecided, photo) for photo in _two_photos()]
    unchanged = [np.array_equal(*maps) for maps in zip(before, after, strict=True)]
    assert sorted(unchanged) == [False, True]


def test_depth_is_the_mean_of_bins_under_a_binomial_distribution() -> None:
    raw = np.array([1.0, 2.0, -3.0, 5.0])
    probable, improbable, hot, cold = np.log1p(np.exp(raw)) + 1e-4
    p, t = probable / (probable + improbable), 0.0212 + (50 - 0.0212) * hot / (hot + cold)
    k = np.arange(64)
    choose = np.array([lgamma(64) - lgamma(i + 1) - lgamma(64 - i) for i in k])
    weights = np.exp((choose + k * np.log(p) + (63 - k) * np.log1p(-p)) / t)
    centers = np.linspace(1, 9, 64)
    depth = expected_depth(
        torch.tensor(raw, dtype=torch.float32).reshape(1, 4, 1, 1),
        torch.tensor(centers, dtype=torch.float32).reshape(1, 64, 1, 1),
    )
    # Stirling's approximation without its square root flattens the distribution a little.
    assert depth.item() == pytest.approx((weights * centers).sum() / weights.sum(), abs=0.05)


def test_the_embedding_may_be_enlarged_after_its_convolution() -> None:
    torch.manual_seed(0)
    distribution = ConditionalLogBinomial(3, 8)
    features, embedding = torch.randn(2, 3, 8, 12), torch.randn(2, 128, 4, 6)
    enlarged = nn.functional.interpolate(embedding, (8, 12), mode="bilinear", align_corners=True)
    expected = distribution.mlp(torch.cat((features, enlarged), 1))
    torch.testing.assert_close(distribution(features, embedding), expected)


def test_centers_are_drawn_to_near_attractors_with_the_strength_that_is_used() -> None:
    centers, point = torch.tensor([1.0, 1.1, 5.0]).reshape(1, 3, 1, 1), 1.2
    raw = torch.tensor(point).expm1().log().reshape(1, 1, 1, 1)  # the inverse of softplus
    distance = point - centers
    expected = centers + distance / (1 + 300 * distance**2)
    torch.testing.assert_close(Bins().attracted(centers, raw), expected)


def test_bounded_bins_divide_their_range_in_order() -> None:
    bins = BoundedBins(2.0, 10.0)
    even = bins.metres(bins.seed(torch.zeros(1, 4, 1, 1)))
    torch.testing.assert_close(even.flatten(), torch.tensor([3.0, 5.0, 7.0, 9.0]))
    mixed = bins.metres(torch.tensor([0.5, -1.0, 2.0, 0.25]).reshape(1, 4, 1, 1))
    torch.testing.assert_close(mixed.flatten(), torch.tensor([2.0, 4.0, 6.0, 10.0]))


def test_bounded_attractors_are_every_second_number() -> None:
    raw = torch.tensor([0.5, 9.0, -1.0, 9.0]).reshape(1, 4, 1, 1)
    torch.testing.assert_close(BoundedBins(0.0, 1.0).attractors(raw).flatten(), torch.tensor([0.501, 0.001]))
