"""3x3 convolutions by Winograd's algorithm F(4x4, 3x3): 36 products of matrices for each 4x4 pixels instead of 144.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. In plain operations of PyTorch, which
TorchScript can compile. Results differ from those of a direct convolution by about 1e-5 of their range.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_TILE_IN = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
_KERNEL_IN = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
_TILE_OUT = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)


def tile_transforms() -> tuple[Tensor, Tensor]:
    """float32 (36, 36) and (16, 36): from a tile's pixels to the products' inputs, and back from their outputs."""
    into, out = torch.tensor(_TILE_IN), torch.tensor(_TILE_OUT)
    return torch.kron(into, into), torch.kron(out, out)


def transformed_kernels(weight: Tensor) -> Tensor:
    """float32 (K, C, 3, 3) -> (36, C, K)."""
    kernel = torch.tensor(_KERNEL_IN, dtype=torch.float64)
    transformed = torch.einsum("ai,bj,kcij->abck", kernel, kernel, weight.double())
    return transformed.flatten(0, 1).float().contiguous()


def convolve(x: Tensor, bias: Tensor | None, kernels: Tensor, into: Tensor, out: Tensor) -> Tensor:
    """float32 (N, C, H, W) -> (N, K, H, W), channels last: a convolution with padding 1.

    `kernels` is from `transformed_kernels`, `into` and `out` are from `tile_transforms`.
    """
    n, channels, height, width = x.shape
    rows, columns = (height + 3) // 4, (width + 3) // 4
    padded = F.pad(x.permute(0, 2, 3, 1), [0, 0, 1, 4 * columns + 1 - width, 1, 4 * rows + 1 - height])
    along_n, along_y, along_x, along_c = padded.stride()
    tiles = padded.as_strided(
        [6, 6, n, rows, columns, channels], [along_y, along_x, along_n, 4 * along_y, 4 * along_x, along_c]
    )
    factors = torch.mm(into, tiles.reshape(36, -1)).view(36, -1, channels)
    products = torch.bmm(factors, kernels)
    pixels = torch.mm(out, products.view(36, -1)).view(4, 4, n, rows, columns, -1)
    result = pixels.permute(2, 3, 0, 4, 1, 5).reshape(n, 4 * rows, 4 * columns, -1)[:, :height, :width]
    if bias is not None:
        result = result + bias
    return result.contiguous().permute(0, 3, 1, 2)
