"""Convolutional encoders from timm, cut into the four stages that MiDaS taps.

timm is only needed to build, and so to trace, a network, never to serve one: workers load files made from it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _operator_exists(qualified_name: str) -> bool:
    namespace, _, name = qualified_name.partition("::")
    return hasattr(getattr(torch.ops, namespace), name)


@contextmanager
def _missing_torchvision_operators_tolerated() -> Iterator[None]:
    """Let torchvision be imported even if its compiled operators cannot be loaded.

    With a CPU-only torch, the torchvision wheel finds no CUDA libraries, so `torchvision::nms` and its
    siblings do not exist and registering their shape functions raises. timm uses none of them.
    """
    original = torch.library.register_fake

    def register_fake(op: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(op, str) and op.startswith("torchvision::") and not _operator_exists(op):
            return lambda function: function
        return original(op, *args, **kwargs)

    torch.library.register_fake = register_fake
    try:
        yield
    finally:
        torch.library.register_fake = original


def import_timm() -> ModuleType:
    """Import timm, even with a torchvision whose compiled operators cannot be loaded."""
    with _missing_torchvision_operators_tolerated():
        import timm
    return timm


class SamePaddedConv2d(nn.Conv2d):
    """TensorFlow's SAME padding with constants instead of arithmetic on the input's size.

    If the input sides are multiples of 32, every stage of the network sees even sides, for which the padding of a
    strided convolution does not depend on the size. So one trace is valid for every input size.
    """

    def forward(self, input: Tensor) -> Tensor:
        padding: list[int] = []
        for kernel, stride in zip(reversed(self.kernel_size), reversed(self.stride), strict=True):
            total = max(kernel - stride, 0)
            padding += [total // 2, total - total // 2]
        return F.conv2d(F.pad(input, padding), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def padding_both_sides_alike(self) -> nn.Conv2d:
        """The same function for even-sided inputs, with zeros in a larger kernel instead of a padded copy."""
        [kernel], [stride] = set(self.kernel_size), set(self.stride)
        total = max(kernel - stride, 0)
        before, after = total // 2, total - total // 2
        larger = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            kernel + after - before,
            stride,
            after,
            groups=self.groups,
            bias=self.bias is not None,
        )
        larger.weight = nn.Parameter(F.pad(self.weight, [after - before, 0, after - before, 0]))
        larger.bias = self.bias
        return larger.train(self.training)


def without_padded_copies(network: nn.Module) -> nn.Module:
    """A copy of a network that pads only inside its convolutions."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, SamePaddedConv2d):
                setattr(module, name, child.padding_both_sides_alike())
    return network


def _replace_dynamic_padding(module: nn.Module) -> None:
    from timm.layers import Conv2dSame  # type: ignore[attr-defined]

    for child in module.children():
        if isinstance(child, Conv2dSame):
            child.__class__ = SamePaddedConv2d  # type: ignore[assignment]
        else:
            _replace_dynamic_padding(child)


class Encoder(nn.Module):
    """A timm EfficientNet-family network without its classifier, as four stages.

    The names `layer1` ... `layer4` match the official MiDaS checkpoint.
    """

    def __init__(self, name: str, **options: Any) -> None:
        """`name` is timm's model name, and `options` are passed to timm; no weights are downloaded."""
        super().__init__()
        network = import_timm().create_model(name, pretrained=False, **options)
        _replace_dynamic_padding(network)
        blocks = network.blocks
        # In the official encoder the stem's activation is a separate module; timm has it in `bn1`.
        stem = (network.conv_stem, network.bn1, nn.Identity())
        self.layer1 = nn.Sequential(*stem, *blocks[0:2])
        self.layer2 = nn.Sequential(*blocks[2:3])
        self.layer3 = nn.Sequential(*blocks[3:5])
        self.layer4 = nn.Sequential(*blocks[5:7])
        widths = [feature["num_chs"] for feature in network.feature_info]
        self.widths: tuple[int, ...] = tuple(widths)
        """Channels of the five features that `forward` returns."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Features of x, float32 (N, 3, H, W) with H and W multiples of 32, at strides 2, 4, 8, 16 and 32."""
        *stem, blocks = self.layer1
        for layer in stem:
            x = layer(x)
        stride2 = x
        stride4 = blocks(stride2)
        stride8 = self.layer2(stride4)
        stride16 = self.layer3(stride8)
        stride32 = self.layer4(stride16)
        return stride2, stride4, stride8, stride16, stride32
