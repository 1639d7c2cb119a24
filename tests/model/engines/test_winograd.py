"""Winograd's convolution is PyTorch's, for every size of map."""

from __future__ import annotations

import pytest
import torch

from depthsvc.model.engines.winograd import LARGE, SMALL, Tiles, convolve


@pytest.mark.parametrize("shape", [(1, 8, 12), (1, 3, 4), (1, 1, 1), (2, 5, 7), (1, 13, 2)])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("tiles", [SMALL, LARGE])
def test_it_is_a_convolution_with_a_padding_of_1(
    shape: tuple[int, int, int], layout: torch.memory_format, with_bias: bool, tiles: Tiles
) -> None:
    torch.manual_seed(0)
    count, height, width = shape
    x = torch.randn(count, 6, height, width).contiguous(memory_format=layout)
    weight, bias = torch.randn(5, 6, 3, 3), torch.randn(5) if with_bias else None
    expected = torch.nn.functional.conv2d(
        x.double(), weight.double(), bias.double() if bias is not None else None, padding=1
    )
    result = convolve(x, bias, tiles.transformed(weight), *tiles.transforms(), tiles.side)
    assert result.shape == expected.shape
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert (result - expected).abs().max() <= 1e-5 * expected.abs().max()
