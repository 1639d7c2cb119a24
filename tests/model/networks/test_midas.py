"""The networks compute what the official code computes, eagerly and traced, at every input size."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from depthsvc.model.architecture import COMPACT, MIDAS_SMALL
from depthsvc.model.engines.torchscript import trace
from depthsvc.model.networks.checkpoint import load_network
from depthsvc.model.networks.midas import DepthNetwork
from depthsvc.model.registry import MODELS
from depthsvc.model.spec import VerifiedFile
from tests import parity
from tests.conftest import Checkpoint

TOLERANCE = 2e-4
"""Part of the largest inverse depth."""
CLAMPING_BIAS = -13.0
"""Output bias of the golden in whose map a part falls below 0."""


def _traced(network: DepthNetwork) -> torch.jit.ScriptModule:
    return trace(network.for_inference(), MODELS["midas_small"].spec.input.example_shape)


@pytest.fixture(scope="module")
def network(checkpoint: Checkpoint) -> DepthNetwork:
    network = load_network(MIDAS_SMALL, VerifiedFile(checkpoint.path, checkpoint.sha256))
    assert isinstance(network, DepthNetwork)
    return network


@pytest.fixture(scope="module")
def traced(network: DepthNetwork) -> torch.jit.ScriptModule:
    return _traced(network)


def fill_output_bias(network: DepthNetwork, value: float) -> None:
    bias = network.scratch.output_conv[4].bias
    assert isinstance(bias, torch.Tensor)
    with torch.no_grad():
        bias.fill_(value)


def _clamping(network: DepthNetwork) -> DepthNetwork:
    network = copy.deepcopy(network)
    fill_output_bias(network, CLAMPING_BIAS)
    return network


def _run(network: nn.Module, height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    with torch.inference_mode():
        output: NDArray[np.float32] = network(torch.from_numpy(parity.network_input(height, width, seed))).numpy()
    assert output.shape == (1, height, width)
    first: NDArray[np.float32] = output[0]
    return first


def _assert_golden(output: NDArray[np.float32], name: str) -> None:
    goldens = parity.goldens()
    largest = float(goldens[f"{name}_max"])
    np.testing.assert_allclose(output[::5, ::5], goldens[name], rtol=0, atol=TOLERANCE * largest)
    assert output.max() == pytest.approx(largest, rel=TOLERANCE)


def test_state_dict_is_the_official_one() -> None:
    state = DepthNetwork(MIDAS_SMALL).state_dict()
    entries = [(key, tuple(value.shape), str(value.dtype).removeprefix("torch.")) for key, value in state.items()]
    assert entries == parity.state_dict_entries()


@pytest.mark.parametrize(("height", "width"), [(192, 256), (256, 128), (256, 256), (384, 384)])
def test_network_gives_the_official_output(network: DepthNetwork, height: int, width: int) -> None:
    _assert_golden(_run(network, height, width), f"network_{height}x{width}")


@pytest.mark.parametrize(("height", "width"), [(192, 256), (256, 128), (256, 256), (384, 384)])
def test_one_trace_gives_the_official_output_at_every_size(
    traced: torch.jit.ScriptModule, height: int, width: int
) -> None:
    _assert_golden(_run(traced, height, width), f"network_{height}x{width}")


@pytest.mark.parametrize("is_traced", [False, True], ids=["eager", "traced"])
def test_output_is_clamped_at_0_as_officially(network: DepthNetwork, is_traced: bool) -> None:
    clamping = _clamping(network)
    output = _run(_traced(clamping) if is_traced else clamping, 192, 256)
    assert output.min() == 0
    _assert_golden(output, "network_192x256_clamp")


@pytest.mark.parametrize(("height", "width"), [(32, 256), (256, 32), (512, 512)])
def test_trace_equals_the_network_at_extreme_sizes(
    network: DepthNetwork, traced: torch.jit.ScriptModule, height: int, width: int
) -> None:
    expected = _run(network, height, width, seed=7)
    difference = np.abs(_run(traced, height, width, seed=7) - expected).max()
    assert difference <= TOLERANCE * expected.max()


@pytest.mark.parametrize("shape", [(1, 192, 256), (2, 32, 96)])
def test_compact_network_gives_a_map_of_the_inputs_size(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    count, height, width = shape
    network = DepthNetwork(COMPACT).eval()
    with torch.inference_mode():
        output = network(torch.randn(count, 3, height, width))
    assert output.shape == shape
    assert output.dtype == torch.float32
    assert output.min() >= 0


def test_the_compact_networks_order_stays_and_its_near_end_is_stretched() -> None:
    network = DepthNetwork(COMPACT)
    found = network.output_activation(torch.tensor([-1.0, 0.0, 0.1, 1.0, 2.0]))
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 0.105, 1.5, 4.0]))


def test_compact_trace_equals_the_network_at_other_sizes() -> None:
    torch.manual_seed(0)
    network = DepthNetwork(COMPACT).eval()
    fill_output_bias(network, 1.0)
    expected = _run(network, 64, 224)
    np.testing.assert_allclose(_run(_traced(network), 64, 224), expected, rtol=0, atol=TOLERANCE * expected.max())
