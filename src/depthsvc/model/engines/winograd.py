"""3x3 convolutions by Winograd's algorithm: fewer products of matrices for each tile of pixels.

36 instead of 144 for 4x4 pixels, F(4x4, 3x3), and 16 instead of 36 for 2x2, F(2x2, 3x3), whose kernels take less than
half the memory. Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. In plain operations of
PyTorch, which TorchScript can compile. Results differ from those of a direct convolution by about 1e-5 of their range.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Tiles:
    """The algorithm for one size of tile: `side` pixels of a result, from two more on each axis."""

    side: int
    pixels_in: Matrix
    kernel_in: Matrix
    pixels_out: Matrix

    @property
    def weight_ratio(self) -> float:
        """Bytes of transformed kernels to those of the kernels."""
        return (self.side + 2) ** 2 / 9

    def transforms(self) -> tuple[Tensor, Tensor]:
        """From a tile's pixels to the products' inputs, and back from their outputs; (36, 36) and (16, 36) for 4x4."""
        into, out = torch.tensor(self.pixels_in), torch.tensor(self.pixels_out)
        return torch.kron(into, into), torch.kron(out, out)

    def transformed(self, weight: Tensor) -> Tensor:
        """float32 (K, C, 3, 3) -> (36, C, K) for tiles of 4x4, (16, C, K) for 2x2."""
        kernel = torch.tensor(self.kernel_in, dtype=torch.float64)
        transformed = torch.einsum("ai,bj,kcij->abck", kernel, kernel, weight.double())
        return transformed.flatten(0, 1).float().contiguous()


SMALL = Tiles(
    side=2,
    pixels_in=((1.0, 0.0, -1.0, 0.0), (0.0, 1.0, 1.0, 0.0), (0.0, -1.0, 1.0, 0.0), (0.0, 1.0, 0.0, -1.0)),
    kernel_in=((1.0, 0.0, 0.0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0.0, 0.0, 1.0)),
    pixels_out=((1.0, 1.0, 1.0, 0.0), (0.0, 1.0, -1.0, -1.0)),
)
LARGE = Tiles(
    side=4,
    pixels_in=(
        (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
        (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
        (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
        (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
        (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
        (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
    ),
    kernel_in=(
        (1 / 4, 0.0, 0.0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0.0, 0.0, 1.0),
    ),
    pixels_out=(
        (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
        (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
        (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
        (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
    ),
)


def convolve(x: Tensor, bias: Tensor | None, kernels: Tensor, into: Tensor, out: Tensor, side: int) -> Tensor:
    """float32 (N, C, H, W) -> (N, K, H, W), channels last: a convolution with padding 1.

    `kernels` is transformed, and `into` and `out` are the transforms of tiles of this side.
    """
    n, channels, height, width = x.shape
    rows, columns, edge = (height + side - 1) // side, (width + side - 1) // side, side + 2
    padded = F.pad(x.permute(0, 2, 3, 1), [0, 0, 1, side * columns + 1 - width, 1, side * rows + 1 - height])
    along_n, along_y, along_x, along_c = padded.stride()
    tiles = padded.as_strided(
        [edge, edge, n, rows, columns, channels], [along_y, along_x, along_n, side * along_y, side * along_x, along_c]
    )
    factors = torch.mm(into, tiles.reshape(edge * edge, -1)).view(edge * edge, -1, channels)
    products = torch.bmm(factors, kernels)
    if bias is not None:
        products[edge + 1] += bias  # the one product that each pixel of the result contains once
    pixels = torch.mm(out, products.view(edge * edge, -1)).view(side, side, n, rows, columns, -1)
    result = pixels.permute(2, 3, 0, 4, 1, 5).reshape(n, side * rows, side * columns, -1)[:, :height, :width]
    return result.contiguous().permute(0, 3, 1, 2)
