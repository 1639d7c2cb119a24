"""ZoeDepth: metric depth from the features of a DPT network.

Bhat et al., "ZoeDepth: Zero-shot Transfer by Combining Relative and Metric Depth", 2023. Each pixel has 64 bins of
depth, whose centres are guessed at the coarsest level and drawn towards attractors at each finer one. Depth is the
mean of the centres under a log-binomial distribution. Attribute names match the official checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depthsvc.model.architecture import Architecture, ZoeArchitecture
from depthsvc.model.networks.base import Network
from depthsvc.model.networks.dpt import Decoded, DptNetwork
from depthsvc.model.networks.vit import attend

_BINS = 64
_EMBEDDING = 128
"""Channels of the embedding of bins."""
_FEATURES = 32
"""Channels of the features from which relative depth is made."""
_ALPHA = 300.0
"""Strength of an attractor. The published configurations say 1000, which the official code does not pass on."""
_COLDEST, _HOTTEST = 0.0212, 50.0
"""Temperatures of the distribution."""

_Pixelwise = Callable[[Tensor], Tensor]


class PixelMlp(nn.Module):
    """A two-layer perceptron of each pixel, (N, inputs, H, W) -> (N, outputs, H, W)."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self._net = nn.Sequential(nn.Conv2d(inputs, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self._net(x)
        return output


class ConditionalLogBinomial(nn.Module):
    """The parameters of each pixel's distribution over bins."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self._inputs = inputs
        first = nn.Conv2d(inputs + _EMBEDDING, hidden, 1)
        self.mlp = nn.Sequential(first, nn.GELU(), nn.Conv2d(hidden, 4, 1))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Features (N, inputs, H, W) and a coarser embedding -> (N, 4, H, W), for `expected_depth`."""
        first, activation, last = self.mlp
        assert isinstance(first, nn.Conv2d)
        for_features, for_embedding = first.weight[:, : self._inputs], first.weight[:, self._inputs :]
        # The official code enlarges the embedding first: more channels, and a convolution over four times the pixels.
        hidden = F.conv2d(x, for_features, first.bias) + _resized(F.conv2d(embedding, for_embedding), x)
        parameters: Tensor = last(activation(hidden))
        return parameters


def expected_depth(parameters: Tensor, centers: Tensor) -> Tensor:
    """The mean of coarser centres (N, bins, h, w) under the distributions of `ConditionalLogBinomial`, (N, H, W)."""
    evidence = F.softplus(parameters) + 1e-4
    probability = evidence[:, 0:1] / (evidence[:, 0:1] + evidence[:, 1:2])
    heat = evidence[:, 2:3] / (evidence[:, 2:3] + evidence[:, 3:4])
    temperature = (_HOTTEST - _COLDEST) * heat + _COLDEST
    odds = probability.clamp(1e-4, 1).log() - (1 - probability).clamp(1e-4, 1).log()
    successes = torch.arange(_BINS, dtype=torch.float32, device=parameters.device)[:, None, None]
    # log(p^k (1 - p)^(n - k)) is k times the log odds, and a constant that softmax takes away.
    scores = _log_choose(successes) / temperature + successes * (odds / temperature)
    return (scores.softmax(1) * _resized(centers, parameters)).sum(1)


def _log_choose(k: Tensor) -> Tensor:
    """The logarithm of n over k, n = bins - 1, by Stirling's approximation with the official guards against log(0)."""
    n, tiny = _BINS - 1, 1e-7
    k = k + tiny
    return n * math.log(n) - k * k.log() - (n - k) * (n - k + tiny).log()


class Bins:
    """Bins whose centres are metres and have no limits."""

    def seed(self, raw: Tensor) -> Tensor:
        """Centres at the coarsest level, from a regressor's output (N, bins, h, w)."""
        return F.softplus(raw)

    def attractors(self, raw: Tensor) -> Tensor:
        """Points to which centres are drawn, from a regressor's output, (N, attractors, h, w)."""
        return F.softplus(raw)

    def attracted(self, centers: Tensor, raw: Tensor) -> Tensor:
        """Centres (N, bins, h, w), drawn to attractors."""
        attractors = torch.split(self.attractors(raw), 1, 1)
        pull = torch.zeros_like(centers)
        for attractor in attractors:
            distance = attractor - centers
            pull = pull + distance / (1 + _ALPHA * (distance * distance))
        return centers + pull / len(attractors)

    def metres(self, centers: Tensor) -> Tensor:
        """Centres in metres."""
        return centers


class BoundedBins(Bins):
    """Bins that divide a range of metres, whose centres are fractions of it."""

    def __init__(self, nearest: float, farthest: float) -> None:
        self._nearest, self._farthest = nearest, farthest

    def seed(self, raw: Tensor) -> Tensor:
        widths = F.relu(raw) + 1e-3
        widths = widths / widths.sum(1, keepdim=True)
        return widths.cumsum(1) - widths / 2

    def attractors(self, raw: Tensor) -> Tensor:
        """The second number of each pair would normalise the first, but the official code takes the first alone."""
        return F.relu(raw[:, ::2]) + 1e-3

    def metres(self, centers: Tensor) -> Tensor:
        metres = (self._farthest - self._nearest) * centers + self._nearest
        return metres.sort(1).values.clamp(self._nearest, self._farthest)


class _Head(NamedTuple):
    """What makes bins and a distribution over them, for one photo or for each of several."""

    seed: _Pixelwise
    attractors: Iterable[_Pixelwise]
    distribution: Callable[[Tensor, Tensor], Tensor]


class _MetricNetwork(Network):
    """What networks with one head and with several have in common."""

    core: nn.ModuleDict
    conv2: nn.Conv2d
    seed_projector: PixelMlp
    projectors: nn.ModuleList

    def __init__(self, architecture: ZoeArchitecture) -> None:
        super().__init__()
        self._bins = BoundedBins(*architecture.limits) if architecture.limits else Bins()
        self.core = nn.ModuleDict({"core": DptNetwork(architecture.core)})
        width = architecture.core.decoder_width
        self.conv2 = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 3, H, W), H and W multiples of 32 -> metres, float32 (N, H, W)."""
        decoded = self._relative.decode(x)
        bottleneck = self.conv2(decoded.bottleneck)
        head = self._head(bottleneck)
        centers = self._bins.seed(head.seed(bottleneck))
        coarser = self.seed_projector(bottleneck)
        for projector, attractors, path in zip(self.projectors, head.attractors, decoded.paths, strict=True):
            embedding = projector(path)
            raw = attractors(embedding + _resized(coarser, embedding))
            centers = self._bins.attracted(_resized(centers, embedding), raw)
            coarser = embedding
        parameters = head.distribution(self._features(decoded), coarser)
        return expected_depth(parameters, self._bins.metres(centers))

    @property
    def _relative(self) -> DptNetwork:
        return cast(DptNetwork, self.core["core"])

    def _head(self, bottleneck: Tensor) -> _Head:
        raise NotImplementedError

    def _features(self, decoded: Decoded) -> Tensor:
        raise NotImplementedError


class ZoeNetwork(_MetricNetwork):
    """One head, which reads relative depth too."""

    def __init__(self, architecture: ZoeArchitecture) -> None:
        super().__init__(architecture)
        width = architecture.core.decoder_width
        self.seed_bin_regressor = PixelMlp(width, 256, _BINS)
        self.seed_projector = PixelMlp(width, 128, _EMBEDDING)
        self.projectors = nn.ModuleList(PixelMlp(width, 128, _EMBEDDING) for _ in architecture.attractors)
        self.attractors = _attractors(architecture)
        self.conditional_log_binomial = ConditionalLogBinomial(_FEATURES + 1, 80)

    def _head(self, bottleneck: Tensor) -> _Head:
        return _Head(self.seed_bin_regressor, self.attractors, self.conditional_log_binomial)

    def _features(self, decoded: Decoded) -> Tensor:
        return torch.cat((decoded.features, self._relative.scratch.inverse_depth(decoded)), 1)


class RoutedZoeNetwork(_MetricNetwork):
    """Two heads, for indoor scenes as in NYU and streets as in KITTI, and a router that chooses one for each photo.

    Officially one is chosen for a whole batch. Where heads differ, both are computed up to the few channels in which
    they differ, so that the choice is a part of every trace.
    """

    def __init__(self, architecture: ZoeArchitecture) -> None:
        super().__init__(architecture)
        width = architecture.core.decoder_width
        self.patch_transformer = PatchTransformer(width)
        self.mlp_classifier = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2))
        self.seed_bin_regressors = _of_domains(lambda: PixelMlp(width, 64, _BINS))
        self.seed_projector = PixelMlp(width, 64, _EMBEDDING)
        self.projectors = nn.ModuleList(PixelMlp(width, 64, _EMBEDDING) for _ in architecture.attractors)
        self.attractors = _of_domains(lambda: _attractors(architecture))
        self.conditional_log_binomial = _of_domains(lambda: ConditionalLogBinomial(_FEATURES, 40))

    def _head(self, bottleneck: Tensor) -> _Head:
        indoor, street = self.mlp_classifier(self.patch_transformer(bottleneck)).unbind(1)
        is_street = (street > indoor)[:, None, None, None]

        def either(modules: Iterable[nn.Module]) -> Callable[..., Tensor]:
            of_indoor, of_street = modules
            return lambda *inputs: torch.where(is_street, of_street(*inputs), of_indoor(*inputs))

        levels = zip(*(cast(nn.ModuleList, levels) for levels in self.attractors.values()), strict=True)
        return _Head(
            either(self.seed_bin_regressors.values()),
            [either(level) for level in levels],
            either(self.conditional_log_binomial.values()),
        )

    def _features(self, decoded: Decoded) -> Tensor:
        return decoded.features


class PatchTransformer(nn.Module):
    """A small transformer over the bottleneck's pixels, (N, C, h, w) -> the first token, (N, 128)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        layers = nn.ModuleList(PostNormBlock(128, 1024, heads=4) for _ in range(4))
        self.transformer_encoder = nn.ModuleDict({"layers": layers})
        self.embedding_convPxP = nn.Conv2d(inputs, 128, 1)

    def forward(self, x: Tensor) -> Tensor:
        # The token that is read starts as zeros, in front of the pixels.
        tokens = F.pad(self.embedding_convPxP(x).flatten(2), [1, 0]).transpose(1, 2)
        tokens = tokens + _positions(tokens)
        for layer in cast(nn.ModuleList, self.transformer_encoder["layers"]):
            tokens = layer(tokens)
        return tokens[:, 0]


class PostNormBlock(nn.Module):
    """A transformer block that normalises after each residual, (N, T, C) -> (N, T, C), as in Vaswani et al., 2017."""

    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.self_attn = PackedAttention(width, heads)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.self_attn(x))
        output: Tensor = self.norm2(x + self.linear2(F.relu(self.linear1(x))))
        return output


class PackedAttention(nn.Module):
    """Self-attention with the names of nn.MultiheadAttention, whose fast path cannot be exported."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        attended: Tensor = self.out_proj(attend(qkv, self._heads))
        return attended


def _positions(tokens: Tensor) -> Tensor:
    """Sines, then cosines of each position in (N, T, C) tokens, (T, C)."""
    width = tokens.shape[2]
    device = tokens.device
    position = torch.arange(tokens.shape[1], dtype=torch.float32, device=device)[:, None]
    exponent = torch.arange(0, width, 2, dtype=torch.float32, device=device) * (-math.log(10000.0) / width)
    frequency = torch.exp(exponent)
    phase = position * frequency
    return torch.cat((phase.sin(), phase.cos()), 1).to(tokens.dtype)


def _attractors(architecture: ZoeArchitecture) -> nn.ModuleList:
    numbers = 2 if architecture.limits else 1
    return nn.ModuleList(PixelMlp(_EMBEDDING, 128, numbers * count) for count in architecture.attractors)


def _of_domains(make: Callable[[], nn.Module]) -> nn.ModuleDict:
    return nn.ModuleDict({"nyu": make(), "kitti": make()})


def _resized(x: Tensor, like: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, C, H, W), the size of another map."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=True)


def build(architecture: Architecture) -> Network:
    """The network of a `ZoeArchitecture`, with random weights."""
    assert isinstance(architecture, ZoeArchitecture)
    return RoutedZoeNetwork(architecture) if architecture.is_routed else ZoeNetwork(architecture)
