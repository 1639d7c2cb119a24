"""Computing the convolutions of a frozen trace in the way that is fastest on this kind of processor, on one thread.

With AVX-512, PyTorch's own 1x1 convolutions, which are MKL's matrix products, take up to three times as long as
oneDNN's. Without it, Winograd's algorithm takes 0.55 to 0.8 of a direct 3x3 convolution's time. docs/decisions.md has
the figures.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch._C import Node, Value

from depthsvc.model.engines import winograd
from depthsvc.model.engines.winograd import Tiles

Graph = Any
"""torch._C.Graph, of whose methods PyTorch's types have few."""
_WINOGRAD_BYTES = 20_000_000
"""By how much Winograd's weights may exceed those that they replace, in all of a network."""
_LEAST_CHANNELS = 48
"""Channels of the input and of the output from which Winograd's algorithm is used; together _LEAST_PAIRS."""
_LEAST_PAIRS = 64 * 64
_MOST_LARGE_PAIRS = 128 * 128
"""Pairs of channels up to which large tiles save more than their kernels cost in memory."""
_WIDE = 384 * 512
"""Pairs of channels of a 3x3 convolution from which oneDNN rearranges weights for longer than it computes."""
_MOST_WEIGHTS = 1 << 14
"""Weights of a 1x1 convolution up to which oneDNN takes less time than MKL, without AVX-512."""
_ONEDNN = "mkldnn::_convolution_pointwise"
ACTIVATIONS = {
    "aten::relu": "relu",
    "aten::relu_": "relu",
    "aten::hardtanh": "hardtanh",
    "aten::hardtanh_": "hardtanh",
}
"""Activations that are computed with the convolution before them, and oneDNN's names for them."""


def with_fast_convolutions(traced: torch.jit.ScriptModule) -> Graph:
    """A copy of the graph of a frozen trace on the CPU. Results differ by 1e-5 of their range at most.

    Only convolutions in float32 with constant weights change, and only where PyTorch has oneDNN.
    """
    graph: Graph = traced.graph.copy()
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return graph
    nodes = [node for node in graph.findAllNodes("aten::_convolution") if _is_constant(node)]
    if not _has_avx512():
        tiles = _suiting_winograd(nodes)
        nodes = [node for node in nodes if node not in tiles and not _suits_mkl(node)]
        for node in tiles:
            _use_winograd(graph, node, tiles[node])
    for node in nodes:
        if len(_weight(node)) > 1:  # a single channel takes oneDNN twice as long
            _use_onednn(graph, node)
    torch._C._jit_pass_lint(graph)
    return graph


def _has_avx512() -> bool:
    return "AVX512" in torch.backends.cpu.get_cpu_capability()


def is_wide(weight: Node) -> bool:
    """Whether this constant is the weight of a convolution for which it is worth a copy that is arranged for oneDNN."""
    users = [use.user for use in weight.output().uses()]
    if [user.kind() for user in users] != [_ONEDNN] or weight.output().debugName() != users[0].inputsAt(1).debugName():
        return False
    padding, stride, dilation = (numbers(users[0].inputsAt(position)) for position in (3, 4, 5))
    outputs, inputs, *kernel = constant_of(weight.output()).shape
    plain = padding == stride == dilation == [1, 1] and constant_of(users[0].inputsAt(6)) == 1
    return plain and kernel == [3, 3] and inputs * outputs >= _WIDE


def arranged(weight: Tensor) -> Tensor:
    """A wide weight as oneDNN wants it; without AVX-512, where that depends on the photo's shape, as it is."""
    if not _has_avx512():
        return weight
    once: Tensor = torch.ops.mkldnn._reorder_convolution_weight(weight, [1, 1], [1, 1], [1, 1])
    return once


def _is_constant(node: Node) -> bool:
    """Whether a two-dimensional convolution, not a transposed one, has constant weights in float32."""
    weight, transposed = (constant_of(node.inputsAt(position)) for position in (1, 6))
    return isinstance(weight, Tensor) and weight.dim() == 4 and weight.dtype == torch.float32 and not transposed


def _weight(node: Node) -> Tensor:
    """(K, C, h, w)"""
    weight: Tensor = constant_of(node.inputsAt(1))
    return weight


def _suits_mkl(node: Node) -> bool:
    """Whether a convolution is a product of large matrices, of which oneDNN would rearrange the weights each time."""
    return _weight(node).shape[2:] == (1, 1) and _weight(node).numel() > _MOST_WEIGHTS


def _suiting_winograd(nodes: list[Node]) -> dict[Node, Tiles]:
    """The convolutions for which Winograd's algorithm is used: small ones first, which save most for their bytes."""
    chosen: dict[Node, Tiles] = {}
    room = float(_WINOGRAD_BYTES)
    for node in sorted(filter(_can_use_winograd, nodes), key=lambda node: _weight(node).numel()):
        outputs, inputs, *_ = _weight(node).shape
        tiles = winograd.LARGE if outputs * inputs <= _MOST_LARGE_PAIRS else winograd.SMALL
        room -= 4 * _weight(node).numel() * (tiles.weight_ratio - 1)
        if room < 0:
            break
        chosen[node] = tiles
    return chosen


def _can_use_winograd(node: Node) -> bool:
    outputs, inputs, *kernel = _weight(node).shape
    stride, padding, dilation = (numbers(node.inputsAt(position)) for position in (3, 4, 5))
    plain = stride == padding == dilation == [1, 1] and kernel == [3, 3] and constant_of(node.inputsAt(8)) == 1
    return plain and min(inputs, outputs) >= _LEAST_CHANNELS and inputs * outputs >= _LEAST_PAIRS


def _use_onednn(graph: Graph, node: Node) -> None:
    """Compute a convolution by oneDNN, with its activation if nothing else needs the values before that."""
    x, weight, bias, stride, padding, dilation, _, _, groups, *_ = node.inputs()
    activation = activation_of(node)
    name = ACTIVATIONS[activation.kind()] if activation else "none"
    with graph.insert_point_guard(node):
        limits = graph.create("prim::ListConstruct", list(activation.inputs())[1:] if activation else [], 1)
        limits.output().setType(torch._C.ListType(torch._C.OptionalType(torch._C.NumberType.get())))
        graph.insertNode(limits)
        how = [graph.insertConstant(name), limits.output(), graph.insertConstant("")]
        inputs = [x, weight, bias, padding, stride, dilation, groups, *how]
        fused = graph.insertNode(graph.create(_ONEDNN, inputs, 1))
    _replace(activation or node, fused.output())
    if activation:
        node.destroy()


def _use_winograd(graph: Graph, node: Node, tiles: Tiles) -> None:
    x, _, bias, *_ = node.inputs()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript's age
        callee = torch.jit.script(winograd.convolve).graph  # compiled once
    with graph.insert_point_guard(node):
        constants = tiles.transformed(_weight(node)), *tiles.transforms(), tiles.side
        (result,) = graph.insertGraph(callee, [x, bias, *map(graph.insertConstant, constants)])
    _replace(node, result)


def _replace(node: Node, result: Value) -> None:
    result.setType(node.output().type())
    node.output().replaceAllUsesWith(result)
    node.destroy()


def constant_of(value: Value) -> Any:
    """What a constant is; None if a value is none."""
    return value.toIValue()


def numbers(value: Value) -> list[int]:
    """The items of a constant list, or of a list of constants."""
    constant: list[int] | None = constant_of(value)
    return constant if constant is not None else [constant_of(item) for item in value.node().inputs()]


def activation_of(node: Node) -> Node | None:
    """The activation that alone uses the output of a convolution."""
    users = [use.user for use in node.output().uses()]
    return users[0] if len(users) == 1 and users[0].kind() in ACTIVATIONS else None
