"""timm can be imported beside a torchvision without operators, and padding is TensorFlow's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from depthsvc.model.engines.torchscript import trace
from depthsvc.model.networks.encoder import (
    SamePaddedConv2d,
    _missing_torchvision_operators_tolerated,
    import_timm,
    without_padded_copies,
)


def _function() -> None:
    pass


def test_timm_is_imported_in_a_fresh_process() -> None:
    """Also where `import torchvision` by itself fails: operator torchvision::nms does not exist."""
    code = "from depthsvc.model.networks.encoder import import_timm; print(import_timm().__name__)"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert fresh.stdout == "timm\n", fresh.stderr


def test_guard_passes_over_missing_operators_of_torchvision() -> None:
    with _missing_torchvision_operators_tolerated():
        assert torch.library.register_fake("torchvision::no_such_operator")(_function) is _function


def test_guard_reports_missing_operators_of_others() -> None:
    with (
        _missing_torchvision_operators_tolerated(),
        pytest.raises(RuntimeError, match="operator elsewhere::no_such_operator does not exist"),
    ):
        torch.library.register_fake("elsewhere::no_such_operator")(_function)


def test_guard_registers_operators_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[str] = []

    def register_fake(op: str, *_args: Any, **_kwargs: Any) -> Callable[..., None]:
        registered.append(op)
        return _function

    monkeypatch.setattr(torch.library, "register_fake", register_fake)
    with _missing_torchvision_operators_tolerated():
        torch.library.register_fake("aten::add")
    assert registered == ["aten::add"]


def test_guard_ends_with_its_block() -> None:
    original = torch.library.register_fake
    with _missing_torchvision_operators_tolerated():
        assert torch.library.register_fake is not original
    assert torch.library.register_fake is original


def test_guard_ends_when_the_import_fails() -> None:
    original = torch.library.register_fake
    with pytest.raises(ImportError, match="no timm"), _missing_torchvision_operators_tolerated():
        raise ImportError("no timm")
    assert torch.library.register_fake is original


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(2, 2), (8, 34), (96, 128)])
def test_padding_is_that_of_tensorflow_for_even_sides(kernel: int, size: tuple[int, int]) -> None:
    import_timm()
    from timm.layers import Conv2dSame  # type: ignore[attr-defined]

    torch.manual_seed(0)
    reference = Conv2dSame(4, 6, kernel, stride=2)
    convolution = SamePaddedConv2d(4, 6, kernel, stride=2)
    convolution.load_state_dict(reference.state_dict())
    x = torch.randn(2, 4, *size)
    with torch.inference_mode():
        assert torch.equal(convolution(x), reference(x))
        torch.testing.assert_close(convolution.padding_both_sides_alike()(x), reference(x))


def test_a_trace_pads_nowhere_but_in_convolutions_and_leaves_its_network_as_it_was() -> None:
    convolution = SamePaddedConv2d(3, 6, 3, stride=2, bias=False)
    inner = nn.Sequential(convolution)
    network = nn.Sequential(inner, nn.ReLU()).eval()
    traced = trace(without_padded_copies(network), (1, 3, 96, 128))
    assert "aten::pad" not in str(traced.graph)
    assert inner[0] is convolution
    x = torch.randn(1, 3, 64, 32)
    with torch.inference_mode():
        torch.testing.assert_close(traced(x), network(x))
