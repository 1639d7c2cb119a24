"""A photo's depth map, and what its numbers mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from depthsvc.formats import Result, format_named, format_of_file, formats_of
from depthsvc.imaging import encode
from depthsvc.imaging.colormaps import normalized
from depthsvc.imaging.guided import refined
from depthsvc.imaging.resize import upsample
from depthsvc.imaging.spec import Colormap, Enlargement, colormap_named

if TYPE_CHECKING:
    from PIL import Image

KIND = "inverse_depth"
"""What the values of every model are, for programs."""
FLOAT16_MAX = 65504.0
MAP_FORMATS = formats_of(Result.HEATMAP, Result.DEPTH)
"""Formats that a map can be saved in."""


@dataclass(frozen=True, eq=False, repr=False)
class DepthMap:
    """Relative inverse depth: larger is NEARER, scale and shift are unknown.

    The values are not metres, and values from different photos cannot be compared. Create one with `DepthMap.of`.
    """

    values: NDArray[np.float32]
    """(height, width), finite, 0 ... 65504."""
    model: str
    """Name of the model that produced it."""
    enlargement: Enlargement = Enlargement.BICUBIC
    """How to upsample it."""

    @classmethod
    def of(cls, values: NDArray[np.float32], model: str, enlargement: Enlargement = Enlargement.BICUBIC) -> DepthMap:
        """A map from any float (height, width) array: NaN becomes 0, and values are clipped to 0 ... 65504."""
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > FLOAT16_MAX:
            values = np.nan_to_num(values, nan=0.0, posinf=FLOAT16_MAX, neginf=0.0).clip(0, FLOAT16_MAX)
        return cls(values, model, enlargement)

    @property
    def height(self) -> int:
        return len(self.values)

    @property
    def width(self) -> int:
        return len(self.values[0])

    @property
    def min(self) -> float:
        """The farthest point's inverse depth."""
        return float(self.values.min())

    @property
    def max(self) -> float:
        """The nearest point's inverse depth."""
        return float(self.values.max())

    def normalized(self) -> DepthMap:
        """The same map with 0 at its farthest and 1 at its nearest point; all 0 if it is constant."""
        return replace(self, values=normalized(self.values))

    def enlarged(self, width: int, height: int) -> DepthMap:
        """The same map, upsampled to (height, width)."""
        values = upsample(self.values, width, height, self.enlargement)
        return DepthMap.of(values, self.model, self.enlargement)

    def refined(self, pixels: NDArray[np.uint8]) -> DepthMap:
        """The same map on the grid of its photo, RGB (height, width, 3), with its edges aligned to the photo's."""
        return replace(self, values=refined(pixels, self.values))

    def float16(self) -> NDArray[np.float16]:
        """The values rounded to float16, (height, width)."""
        return self.values.astype(np.float16)

    def heatmap(self, colormap: str = Colormap.INFERNO, *, invert: bool = False) -> NDArray[np.uint8]:
        """RGB (height, width, 3): the nearest point gets the colormap's last colour (bright in Inferno), the farthest
        its first. Raises InvalidParameter for an unknown colormap."""
        return encode.heatmap(self.values, colormap_named(colormap), invert=invert)

    def to_image(self, colormap: str = Colormap.INFERNO, *, invert: bool = False) -> Image.Image:
        """The heatmap as a Pillow image. Raises InvalidParameter for an unknown colormap."""
        from PIL import Image

        return Image.fromarray(self.heatmap(colormap, invert=invert))

    def save(
        self,
        path: str | PathLike[str],
        *,
        format: str | None = None,
        colormap: str = Colormap.INFERNO,
        invert: bool = False,
    ) -> None:
        """Write a file: .png is a heatmap, .npy and .f16 (raw) are float16, .16.png (or format="png16") is a 16-bit
        grey PNG.

        Raises ConfigurationError for any other extension or format, InvalidParameter for an unknown colormap, and
        OSError.
        """
        path = Path(path)
        if format is None and (by_name := format_of_file(path.name, MAP_FORMATS)):
            format = by_name.name
        path.write_bytes(self.encoded(format or path.suffix.removeprefix("."), colormap=colormap, invert=invert))

    def encoded(self, format: str, *, colormap: str = Colormap.INFERNO, invert: bool = False) -> bytes:
        """The bytes that `save` writes for "png", "npy", "f16" or "png16". Raises as it does."""
        row = format_named(format, MAP_FORMATS)
        is_heatmap = row.result is Result.HEATMAP
        style = {"colormap": colormap_named(colormap), "invert": invert} if is_heatmap else {}
        return row.encode(self.values, about={"kind": KIND, "model": self.model}, **style)

    def _repr_png_(self) -> bytes:
        """The heatmap, for notebooks."""
        return self.encoded("png")

    def __repr__(self) -> str:
        return f"DepthMap({self.width} x {self.height}, {self.min:.4g} to {self.max:.4g}, by {self.model})"
