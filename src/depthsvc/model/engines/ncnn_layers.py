"""Writing ncnn's files from a frozen trace of a convolutional network.

ncnn's own converter, pnnx, is not used: it is 85 MB large, and loses slices of two axes without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch._C import Node, Value

from depthsvc.errors import ModelError
from depthsvc.model.engines import ncnn_head
from depthsvc.model.engines.convolutions import ACTIVATIONS, activation_of, constant_of, numbers
from depthsvc.model.engines.ncnn_file import INPUT, OUTPUT, Activation, Convolution, NcnnFile


def translated(traced: torch.jit.ScriptModule) -> NcnnFile:
    """The layers of a frozen trace. Raises ModelError if it has an operation for which there is none here."""
    translation = _Translation()
    _, photo = traced.graph.inputs()
    translation.names[photo.debugName()] = INPUT
    for node in traced.graph.nodes():
        if not node.kind().startswith("prim::") and node.output().debugName() not in translation.names:
            translation.translate(node)
    (result,) = traced.graph.outputs()
    translation.file.add("Noop", [translation.name(result)], {}, OUTPUT)
    return translation.file


@dataclass
class _Translation:
    """What is known while a graph is translated."""

    file: NcnnFile = field(default_factory=NcnnFile)
    names: dict[str, str] = field(default_factory=dict)
    """The output of a layer that stands for each value of the graph."""

    def name(self, value: Value) -> str:
        return self.names[value.debugName()]

    def translate(self, node: Node) -> None:
        """Append the layers for a node, and for those after it that they include."""
        layers = _LAYERS.get(node.kind())
        found = layers(self, node) if layers else None
        if found is None:
            raise ModelError(f"The engine ncnn has no layer for {node.kind()} as this network uses it. Choose another.")
        included, name = found
        self.names.update(dict.fromkeys((each.output().debugName() for each in included), name))


_Included = tuple[list[Node], str] | None
"""The nodes that layers compute, of which only the last one's output is used elsewhere, and the output of these layers.
None: there are no such layers."""
_Layers = Callable[[_Translation, Node], _Included]
"""Appends the layers for a node."""


def _same(translation: _Translation, node: Node) -> _Included:
    return [node], translation.name(node.inputsAt(0))


def _sum(translation: _Translation, node: Node) -> _Included:
    return _arithmetic(translation, node, 0) if constant_of(node.inputsAt(2)) == 1 else None


def _product(translation: _Translation, node: Node) -> _Included:
    return _arithmetic(translation, node, 2)


def _arithmetic(translation: _Translation, node: Node, operation: int) -> _Included:
    """An operation of a value and another one, or a number."""
    x, number = translation.name(node.inputsAt(0)), constant_of(node.inputsAt(1))
    if number is None:
        other = translation.name(node.inputsAt(1))
        return [node], translation.file.add("BinaryOp", [x, other], {0: operation})
    return [node], translation.file.add("BinaryOp", [x], {0: operation, 1: 1, 2: float(number)})


def _relu(translation: _Translation, node: Node) -> _Included:
    return [node], translation.file.add("ReLU", [translation.name(node.inputsAt(0))], {})


def _pixel_shuffle(translation: _Translation, node: Node) -> _Included:
    x = translation.name(node.inputsAt(0))
    return [node], translation.file.add("PixelShuffle", [x], {0: constant_of(node.inputsAt(1))})


def _padding(translation: _Translation, node: Node) -> _Included:
    """Zeros, which become part of the convolutions that follow."""
    zeros = constant_of(node.inputsAt(2)) == "constant" and not constant_of(node.inputsAt(3))
    convolved = all(use.user.kind() == "aten::_convolution" for use in node.output().uses())
    return ([node], translation.name(node.inputsAt(0))) if zeros and convolved else None


def _upsampling(translation: _Translation, node: Node) -> _Included:
    x, aligned = translation.name(node.inputsAt(0)), bool(constant_of(node.inputsAt(2)))
    down, across = constant_of(node.inputsAt(3)) or (0, 0)
    if not down:
        return None
    head = _head_after(node) if not aligned and (down, across) == (2, 2) else None
    if head is not None:
        included, convolution, mix = head
        return included, ncnn_head.add_head(translation.file, x, convolution, mix)
    return [node], translation.file.enlarge(x, down, across, corners_aligned=aligned)


def _head_after(node: Node) -> tuple[list[Node], Convolution, Convolution] | None:
    """The nodes of a head that begins with this doubling, and its two convolutions."""
    nodes, convolutions = [node], []
    for _ in range(2):
        users = [use.user for use in nodes[-1].output().uses()]
        convolution = _convolution_of(users[0]) if len(users) == 1 else None
        if convolution is None:
            return None
        convolutions.append(convolution)
        nodes += _with_activation(users[0])
    first, mix = convolutions
    return (nodes, first, mix) if ncnn_head.suits(first, mix) else None


def _with_activation(node: Node) -> list[Node]:
    """A convolution and the activation that alone uses its output."""
    activation = activation_of(node)
    return [node, activation] if activation else [node]


def _convolution(translation: _Translation, node: Node) -> _Included:
    convolution = _convolution_of(node)
    if convolution is None:
        return None
    return _with_activation(node), translation.file.convolve(translation.name(node.inputsAt(0)), convolution)


def _convolution_of(node: Node) -> Convolution | None:
    """What a node computes, with the activation that follows and the padding before it, if it is a convolution."""
    if node.kind() != "aten::_convolution" or constant_of(node.inputsAt(6)):
        return None
    weight, bias = constant_of(node.inputsAt(1)), constant_of(node.inputsAt(2))
    (down, across), (tall, wide), dilation = (numbers(node.inputsAt(position)) for position in (3, 4, 5))
    before = node.inputsAt(0).node()
    left, right, top, bottom = numbers(before.inputsAt(1)) if before.kind() == "aten::pad" else [0] * 4
    activation = activation_of(node)
    return Convolution(
        weight,
        bias,
        (down, across),
        (left + wide, right + wide, top + tall, bottom + tall),
        (dilation[0], dilation[1]),
        constant_of(node.inputsAt(8)),
        _activation(activation) if activation else None,
    )


def _activation(node: Node) -> Activation:
    return Activation(ACTIVATIONS[node.kind()], tuple(float(constant_of(limit)) for limit in list(node.inputs())[1:]))


_LAYERS: dict[str, _Layers] = {
    "aten::_convolution": _convolution,
    "aten::add": _sum,
    "aten::contiguous": _same,
    "aten::mul": _product,
    "aten::pad": _padding,
    "aten::pixel_shuffle": _pixel_shuffle,
    "aten::relu": _relu,
    "aten::relu_": _relu,
    "aten::squeeze": _same,
    "aten::upsample_bilinear2d": _upsampling,
}
