"""The network as it is computed in training: batch norm is folded into convolutions, the head is in float32.

Batch norm keeps its statistics in training, so it is a factor and a shift of each channel. Multiplied into the weights,
which are few, instead of the features, it costs next to nothing; the gradients are the same.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call

from depthsvc.model.networks.midas import DepthNetwork

_HEAD = "scratch.output_conv"
_NETWORK = "network"


class _InFloat32(nn.Module):
    """Computes in float32 under autocast too: bfloat16 has too few digits for depth."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            output: Tensor = self.network(x.float())
        return output


class Folded:
    """Computes what a network in evaluation mode does, from its parameters as they are at each call."""

    def __init__(self, network: DepthNetwork) -> None:
        self._network = network
        self._pairs = list(_convolutions_with_norm(network))
        self._computed = copy.deepcopy(network)
        for convolution, norm in self._pairs:
            target = self._computed.get_submodule(convolution)
            assert isinstance(target, nn.Conv2d)
            target.bias = nn.Parameter(torch.zeros(target.out_channels))
            self._computed.set_submodule(norm, self._computed.get_submodule(f"{norm}.act"))
        self._computed.set_submodule(_HEAD, _InFloat32(self._computed.get_submodule(_HEAD)))

    def __call__(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, H, W), with gradients for the network's own parameters."""
        prediction: Tensor = functional_call(self._computed, self._parameters(), (images,))
        return prediction

    def _parameters(self) -> dict[str, Tensor]:
        parameters: dict[str, Tensor] = {
            name.replace(f"{_HEAD}.", f"{_HEAD}.{_NETWORK}."): value for name, value in self._network.named_parameters()
        }
        for convolution, norm_name in self._pairs:
            norm = self._network.get_submodule(norm_name)
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_var is not None
            assert norm.running_mean is not None
            factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            parameters[f"{convolution}.weight"] = parameters[f"{convolution}.weight"] * factor[:, None, None, None]
            parameters[f"{convolution}.bias"] = norm.bias - norm.running_mean * factor
            del parameters[f"{norm_name}.weight"], parameters[f"{norm_name}.bias"]
        return parameters


def _convolutions_with_norm(network: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of each convolution and the batch norm that follows it."""
    for place, module in network.named_modules():
        children = list(module.named_children())
        for (first, convolution), (second, norm) in pairwise(children):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                yield f"{place}.{first}", f"{place}.{second}"
