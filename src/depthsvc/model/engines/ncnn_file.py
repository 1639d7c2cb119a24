"""ncnn's files under construction: a text of layers (.param), and their weights one after the other (.bin).

Source of the format: github.com/Tencent/ncnn, docs/developer-guide (param-and-model-file-structure, operators).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

INPUT, OUTPUT = "photo", "depth"
"""Names of the network's input and of its output."""
_MAGIC = "7767517"
_FLOAT32 = b"\0\0\0\0"
_WIDE = 384 * 512
"""Pairs of channels of a 3x3 convolution from which maps are so small that Winograd's algorithm takes longer."""
_NO_WINOGRAD = {31: 1 << 6}
_ACTIVATIONS = {"relu": 1, "hardtanh": 3}

Parameters = dict[int, int | float | Sequence[int] | Sequence[float]]
"""The parameters of a layer by ncnn's numbers."""


@dataclass(frozen=True)
class Activation:
    """What is applied to the output of a convolution, by oneDNN's name."""

    name: str
    limits: tuple[float, ...] = ()


@dataclass(frozen=True)
class Convolution:
    """A convolution with its weights and the activation that follows."""

    weight: Tensor
    """float32 (K, C / groups, h, w)"""
    bias: Tensor | None
    stride: tuple[int, int] = (1, 1)
    """Down and across, as everywhere in PyTorch."""
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Left, right, top, bottom."""
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    activation: Activation | None = None

    def is_plain(self, padding: int) -> bool:
        """Whether it has no stride, dilation or groups, and this padding on all sides."""
        found = self.stride, self.dilation, self.groups, self.padding
        return found == ((1, 1), (1, 1), 1, (padding,) * 4)

    def parameters(self) -> Parameters:
        """Those of its layer."""
        outputs, inputs, height, width = self.weight.shape
        (down, across), (left, right, top, bottom) = self.stride, self.padding
        found: Parameters = {0: outputs, 1: width, 11: height, 2: self.dilation[1], 12: self.dilation[0]}
        found |= {3: across, 13: down, 4: left, 15: right, 14: top, 16: bottom}
        found |= {5: int(self.bias is not None), 6: self.weight.numel()}
        if self.groups > 1:
            found[7] = self.groups
        if self.activation:
            found[9] = _ACTIVATIONS[self.activation.name]
            if self.activation.limits:
                found[10] = self.activation.limits
        return found | _NO_WINOGRAD if (height, width) == (3, 3) and inputs * outputs >= _WIDE else found


@dataclass
class NcnnFile:
    """Layers and weights, in the order in which ncnn reads them."""

    _layers: list[tuple[str, Sequence[str], str, Parameters]] = field(default_factory=list)
    _weights: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.add("Input", [], {}, INPUT)

    def add(self, kind: str, inputs: Sequence[str], parameters: Parameters, output: str | None = None) -> str:
        """Append a layer; returns the name of its output."""
        output = output or f"{kind.lower()}{len(self._layers)}"
        self._layers.append((kind, inputs, output, parameters))
        return output

    def convolve(self, x: str, convolution: Convolution) -> str:
        """Append a convolution; returns the name of its output."""
        self._weights += [_FLOAT32, _bytes(convolution.weight)]
        if convolution.bias is not None:
            self._weights.append(_bytes(convolution.bias))
        kind = "Convolution" if convolution.groups == 1 else "ConvolutionDepthWise"
        return self.add(kind, [x], convolution.parameters())

    def enlarge(self, x: str, down: float, across: float, *, corners_aligned: bool) -> str:
        """Append bilinear upsampling; returns the name of its output."""
        return self.add("Interp", [x], {0: 2, 1: float(down), 2: float(across), 6: int(corners_aligned)})

    def write(self, path: Path) -> None:
        """Write `path`, and the weights beside it. Raises OSError."""
        path.write_text(self.text())
        with path.with_suffix(".bin").open("wb") as file:
            file.writelines(self._weights)

    def text(self) -> str:
        """All layers. An output that several of them need is given to each under a name of its own."""
        uses = Counter(name for _, inputs, _, _ in self._layers for name in inputs)
        used: Counter[str] = Counter()
        lines, blobs = [], 0
        for kind, inputs, output, parameters in self._layers:
            names = []
            for name in inputs:
                names.append(f"{name}_{used[name]}" if uses[name] > 1 else name)
                used[name] += 1
            lines.append(_line(kind, output, names, [output], parameters))
            blobs += 1
            if uses[output] > 1:
                copies = [f"{output}_{index}" for index in range(uses[output])]
                lines.append(_line("Split", f"split_{output}", [output], copies, {}))
                blobs += len(copies)
        return "\n".join([_MAGIC, f"{len(lines)} {blobs}", *lines, ""])


def _bytes(values: Tensor) -> bytes:
    return np.ascontiguousarray(values.detach().numpy(), "<f4").tobytes()


def _line(kind: str, name: str, inputs: Sequence[str], outputs: Sequence[str], parameters: Parameters) -> str:
    words = [kind, name, str(len(inputs)), str(len(outputs)), *inputs, *outputs]
    for number, value in parameters.items():
        if isinstance(value, Sequence):
            words.append(f"{-23300 - number}={','.join(map(str, [len(value), *value]))}")
        else:
            words.append(f"{number}={value}")
    return " ".join(words)
