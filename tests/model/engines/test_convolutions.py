"""A trace whose convolutions are computed in other ways is the same network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from depthsvc.model.choice import Precision
from depthsvc.model.engines import convolutions, torchscript
from depthsvc.model.engines.convolutions import with_fast_convolutions
from depthsvc.model.engines.torchscript import trace
from depthsvc.model.networks.base import Network

SHAPE = (1, 3, 24, 32)
SHAPES = [SHAPE, (1, 3, 32, 24), (1, 3, 10, 58)]


class _Net(Network):
    """Every kind of convolution that networks here have."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.expand = nn.Conv2d(16, 32, 1, bias=False)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.wide = nn.Conv2d(32, 64, 3, padding=1)
        self.bare = nn.Conv2d(64, 64, 3, padding=1, bias=False)
        self.wider = nn.Conv2d(64, 96, 3, padding=1)
        self.dilated = nn.Conv2d(96, 16, 3, padding=2, dilation=2)
        self.upsampling = nn.ConvTranspose2d(16, 16, 2, stride=2)
        self.last = nn.Conv2d(16, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.hardtanh(self.first(x.contiguous(memory_format=torch.channels_last)), 0.0, 6.0)
        x = nn.functional.hardtanh_(self.expand(x), 0.0, 6.0)
        x = nn.functional.hardtanh(self.depthwise(x), -0.5, 6.0)
        wide = self.wide(x)  # used twice, once as it is
        x = torch.relu(self.wider(self.bare(torch.relu(wide) + wide)))
        x = self.upsampling(torch.relu(self.dilated(x)))
        result: Tensor = torch.relu(self.last(x)).squeeze(1)
        return result


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return _Net().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _runnable(graph: torch._C.Graph) -> Callable[[Tensor], Tensor]:
    graph.eraseInput(0)
    return torch._C._create_function_from_graph("forward", graph)


def _kinds(graph: torch._C.Graph) -> list[str]:
    return [node.kind() for node in graph.nodes()]


@pytest.fixture(params=["AVX2", "AVX512"])
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: name)
    return name


def test_the_network_stays_the_same_for_every_shape(network: Network, processor: str) -> None:
    run = _runnable(with_fast_convolutions(trace(network, SHAPE)))
    for shape in SHAPES:
        x = torch.rand(shape)
        with torch.inference_mode():
            expected, result = network(x), run(x)
        assert result.shape == expected.shape
        assert (result - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_an_activation_is_computed_with_its_convolution_unless_something_else_needs_the_values_before(
    network: Network, processor: str
) -> None:
    kinds = _kinds(with_fast_convolutions(trace(network, SHAPE)))
    assert kinds.count("mkldnn::_convolution_pointwise") == (7 if processor == "AVX512" else 5)
    assert kinds.count("aten::bmm") == (0 if processor == "AVX512" else 2)
    assert kinds.count("aten::_convolution") == 2  # the transposed one, and that of one channel
    # that of `wide`, which is also added as it is, that of one channel, and Winograd's
    assert kinds.count("aten::relu") == (2 if processor == "AVX512" else 3)
    assert kinds.count("aten::hardtanh") + kinds.count("aten::hardtanh_") == 0


@pytest.mark.parametrize("processor", ["AVX2"], indirect=True)
def test_winograds_weights_have_a_limit_and_the_smallest_come_first(
    network: Network, processor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bytes_of_bare = 4 * 27 * 64 * 64
    for limit, count in [(bytes_of_bare, 1), (bytes_of_bare - 1, 0)]:
        monkeypatch.setattr(convolutions, "_WINOGRAD_BYTES", limit)
        assert _kinds(with_fast_convolutions(trace(network, SHAPE))).count("aten::bmm") == count


def test_wide_weights_are_arranged_once_where_onednn_wants_them_alike_for_all_shapes(
    network: Network, processor: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(convolutions, "_WIDE", 64 * 64)  # `bare` and `wider`
    arrange, arranged = torch.ops.mkldnn._reorder_convolution_weight, []

    def spy(*how: object) -> Tensor:
        arranged.append(how)
        result: Tensor = arrange(*how)
        return result

    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_convolution_weight", spy)
    torchscript.write(network, SHAPE, tmp_path / "net.ts", Precision.FP32, whole=False)
    engine = torchscript.TorchScriptEngine(tmp_path / "net.ts", 1)
    assert len(arranged) == (2 if processor == "AVX512" else 0)
    for shape in SHAPES:
        planes = torch.rand(shape)
        with torch.inference_mode():
            expected = network(planes)
        assert (torch.from_numpy(engine.infer(planes.numpy())) - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_without_onednn_nothing_changes(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    traced = trace(network, SHAPE)
    assert _kinds(with_fast_convolutions(traced)) == _kinds(traced.graph)
