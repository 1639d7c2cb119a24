"""What is written for ncnn computes what the network computes, and what cannot be written is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from depthsvc.errors import ModelError
from depthsvc.model.choice import Precision
from depthsvc.model.engines import ncnn_head
from depthsvc.model.engines.kinds import NCNN
from depthsvc.model.engines.ncnn_file import Convolution, NcnnFile
from depthsvc.model.engines.ncnn_layers import translated
from depthsvc.model.engines.torchscript import trace

pytest.importorskip("ncnn")
SHAPE = (1, 3, 16, 24)
SHAPES = [SHAPE, (1, 3, 24, 16), (1, 3, 12, 40)]


class _Body(nn.Module):
    """Every layer but the head: strides, groups, dilation, padding on one side, arithmetic, and values used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, (3, 5), stride=(2, 1), padding=(0, 2))
        self.depthwise = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8, bias=False)
        self.grouped = nn.Conv2d(8, 16, 3, padding=1, groups=2)
        self.last = nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(nn.functional.pad(x, (0, 0, 0, 1))))
        x = nn.functional.hardtanh(self.depthwise(x), 0.0, 6.0) + torch.relu(x)
        x = nn.functional.pixel_shuffle(self.grouped(x), 2)
        x = nn.functional.interpolate(x, scale_factor=(2.0, 1.0), mode="bilinear", align_corners=True)
        x = self.last(x)
        result: Tensor = (x * (x * 0.5 + 1)).squeeze(1)
        return result


class _Head(nn.Module):
    """MiDaS's head, after a convolution."""

    def __init__(self, *, with_bias: bool = True, scale: float = 2.0) -> None:
        super().__init__()
        self.before = nn.Conv2d(3, 6, 1)
        self.doubled = nn.Upsample(scale_factor=scale, mode="bilinear")
        self.convolution = nn.Conv2d(6, 5, 3, padding=1, bias=with_bias)
        self.mix = nn.Conv2d(5, 1, 1, bias=with_bias)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.convolution(self.doubled(self.before(x))))
        result: Tensor = torch.relu(self.mix(x)).squeeze(1)
        return result


def _check(network: nn.Module, folder: Path) -> None:
    """That ncnn computes what the network does, for every shape."""
    translated(trace(network, SHAPE)).write(folder / "net.param")
    engine = NCNN.open(folder / "net.param", 1, Precision.FP32)
    for shape in SHAPES:
        planes = np.random.default_rng(0).standard_normal(shape, np.float32)
        with torch.inference_mode():
            expected = network(torch.from_numpy(planes)).numpy()
        values = engine.infer(planes)
        assert values.shape == expected.shape
        assert np.ptp(expected) > 0
        assert np.abs(values - expected).max() <= 1e-5 * np.abs(expected).max()


def test_every_kind_of_layer_is_computed_as_in_the_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    _check(_Body().eval(), tmp_path)


@pytest.mark.parametrize("with_bias", [True, False])
def test_the_head_is_computed_without_doubling_the_map(
    with_bias: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    heads = []
    add = ncnn_head.add_head

    def spy(file: NcnnFile, x: str, convolution: Convolution, mix: Convolution) -> str:
        heads.append(x)
        return add(file, x, convolution, mix)

    monkeypatch.setattr(ncnn_head, "add_head", spy)
    _check(_Head(with_bias=with_bias).eval(), tmp_path)
    assert len(heads) == 1


def test_a_head_that_triples_the_map_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.delattr(ncnn_head, "add_head")
    _check(_Head(scale=3.0).eval(), tmp_path)


@pytest.mark.parametrize(
    "operation",
    [
        torch.sigmoid,
        lambda x: torch.add(x, x, alpha=2),
        lambda x: nn.functional.pad(x, (1, 1, 1, 1)),
        lambda x: nn.functional.interpolate(x, size=(32, 48), mode="bilinear"),
    ],
    ids=["sigmoid", "weighted sum", "padding alone", "to a fixed size"],
)
def test_what_cannot_be_written_is_refused_by_name(operation: object) -> None:
    class Network(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = operation(x)  # type: ignore[operator]
            return result

    with pytest.raises(ModelError, match=r"The engine ncnn has no layer for aten::\w+ as this network uses it"):
        translated(trace(Network().eval(), SHAPE))


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    translated(trace(_Head().eval(), SHAPE)).write(tmp_path / "net.param")
    text = (tmp_path / "net.param").read_text()
    (tmp_path / "net.param").write_text(text[: len(text) // 2])
    with pytest.raises(ModelError, match="ncnn cannot load it"):
        NCNN.open(tmp_path / "net.param", 1, Precision.FP32)
