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
from depthsvc.imaging.blocks import extremes, to_float16
from depthsvc.imaging.colormaps import normalized
from depthsvc.imaging.edges import follow_edges
from depthsvc.imaging.refine import refined
from depthsvc.imaging.resize import resized, upsample
from depthsvc.imaging.spec import Colormap, DepthKind, Enlargement, colormap_named

if TYPE_CHECKING:
    from PIL import Image

FLOAT16_MAX = 65504.0
_OVERSHOOT = 2
"""Bicubic interpolation grows a value at most this many times."""
_NEAREST_METRES = 1e-3
"""Nearer is not a distance that anybody photographs: it counts as unknown."""
MAP_FORMATS = formats_of(Result.HEATMAP, Result.DEPTH)
"""Formats that a map can be saved in."""


@dataclass(frozen=True, eq=False, repr=False)
class DepthMap:
    """Depth of the kind that its model predicts. Create one with `DepthMap.of`.

    `inverse_depth`: larger is NEARER, scale and shift are unknown; the values are not metres, and values from different
    photos cannot be compared. `metres`: larger is FARTHER, 0 is unknown.
    """

    values: NDArray[np.float32]
    """(height, width), finite, 0 ... 65504."""
    model: str
    """Name of the model that produced it."""
    enlargement: Enlargement = Enlargement.BICUBIC
    """How to upsample it."""
    kind: DepthKind = DepthKind.INVERSE_DEPTH
    """What the values are."""
    bordered: Bordered | None = None
    """The map with its surroundings, from which it is upsampled; None: it has none."""
    follows_edges: bool = False
    """Whether its edges are where its photo's are, as far as its grid allows."""
    nearest_m: float = 0.0
    """In metres, the nearest point of the map from which this one was upsampled, if that knows all distances."""

    @classmethod
    def of(
        cls,
        values: NDArray[np.float32],
        model: str,
        enlargement: Enlargement = Enlargement.BICUBIC,
        kind: DepthKind = DepthKind.INVERSE_DEPTH,
    ) -> DepthMap:
        """A map from any float (height, width) array: NaN becomes 0, and values are clipped to 0 ... 65504.

        Metres that are infinite become 0, unknown.
        """
        return cls(_valid(values, kind), model, enlargement, kind)

    @classmethod
    def within(
        cls,
        values: NDArray[np.float32],
        margins: tuple[float, float],
        model: str,
        enlargement: Enlargement,
        kind: DepthKind,
    ) -> DepthMap:
        """The part of a map inside its margins, which are fractions of the part's height and width."""
        bordered = Bordered(_valid(values, kind), margins)
        return cls(bordered.inside(), model, enlargement, kind, bordered)

    @property
    def height(self) -> int:
        return len(self.values)

    @property
    def width(self) -> int:
        return len(self.values[0])

    @property
    def min(self) -> float:
        """The smallest value: the farthest point's inverse depth, or the nearest point's metres."""
        return extremes(self.values)[0]

    @property
    def max(self) -> float:
        """The largest value: the nearest point's inverse depth, or the farthest point's metres."""
        return extremes(self.values)[1]

    @property
    def inverse(self) -> NDArray[np.float32]:
        """Inverse depth, (height, width): as it is, or 1 / metres, and 0 where they are unknown.

        Bicubic interpolation undershoots beside edges. Nothing is nearer than before it, or all else would be dark.
        """
        if self.kind is DepthKind.INVERSE_DEPTH:
            return self.values
        metres = np.maximum(self.values, self.nearest_m)
        return np.divide(1, metres, out=np.zeros_like(metres), where=metres > _NEAREST_METRES)

    def normalized(self) -> DepthMap:
        """Inverse depth with 0 at its farthest and 1 at its nearest point; all 0 if it is constant."""
        return replace(self, values=normalized(self.inverse), kind=DepthKind.INVERSE_DEPTH, bordered=None)

    def enlarged(self, width: int, height: int) -> DepthMap:
        """The same map, upsampled to (height, width). No point becomes unknown by that."""
        if self.bordered:
            values = self.bordered.enlarged(width, height, self.enlargement)
        else:
            values = upsample(self.values, width, height, self.enlargement)
        nearest_m = self.nearest_m
        if self.kind is DepthKind.METRES and self.min > _NEAREST_METRES:
            nearest_m = nearest_m or self.min
            values = np.where(values > _NEAREST_METRES, values, np.float32(nearest_m))
        if _OVERSHOOT * self.max > FLOAT16_MAX:
            values = _valid(values, self.kind)
        return DepthMap(values, self.model, self.enlargement, self.kind, nearest_m=nearest_m)

    def refined(self, pixels: NDArray[np.uint8]) -> DepthMap:
        """The same map on the grid of its photo, RGB (height, width, 3), with its edges aligned to the photo's."""
        values = self.values
        if not self.follows_edges:
            colour = resized(pixels, self.width, self.height).astype(np.float32) * np.float32(1 / 255)
            values = follow_edges(colour, values)
        return replace(self, values=refined(pixels, values), bordered=None)

    def float16(self) -> NDArray[np.float16]:
        """The values rounded to float16, (height, width)."""
        result = np.empty(self.values.shape, np.float16)
        to_float16(self.values, result)
        return result

    def heatmap(self, colormap: str = Colormap.INFERNO, *, invert: bool = False) -> NDArray[np.uint8]:
        """RGB (height, width, 3) by inverse depth: the nearest point gets the colormap's last colour (bright in
        Inferno), the farthest its first. Raises InvalidParameter for an unknown colormap."""
        return encode.heatmap(self.inverse, colormap_named(colormap), invert=invert)

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
        """Write a file: .png is a heatmap, .f16 is raw float16, .npy float16, .16.png (or
        format="png16") is a 16-bit grey PNG, and .exr and .tiff float32.

        Raises ConfigurationError for any other extension or format, InvalidParameter for an unknown colormap, and
        OSError.
        """
        path = Path(path)
        if format is None and (by_name := format_of_file(path.name, MAP_FORMATS)):
            format = by_name.name
        path.write_bytes(self.encoded(format or path.suffix.removeprefix("."), colormap=colormap, invert=invert))

    def encoded(self, format: str, *, colormap: str = Colormap.INFERNO, invert: bool = False) -> bytes:
        """The bytes that `save` writes for "png", "npy", "f16", "png16", "exr" or "tiff". Raises as it does."""
        row = format_named(format, MAP_FORMATS)
        if row.result is Result.HEATMAP:
            return row.encode(self.inverse, colormap=colormap_named(colormap), invert=invert)
        return row.encode(self.values, about=self.about)

    @property
    def about(self) -> dict[str, str]:
        """What a file says of the values."""
        return {"kind": self.kind, "unit": self.kind.unit, "model": self.model}

    def _repr_png_(self) -> bytes:
        """The heatmap, for notebooks."""
        return self.encoded("png")

    def __repr__(self) -> str:
        unit = " metres" if self.kind is DepthKind.METRES else ""
        return f"DepthMap({self.width} x {self.height}, {self.min:.4g} to {self.max:.4g}{unit}, by {self.model})"


@dataclass(frozen=True, eq=False)
class Bordered:
    """A map with its surroundings, which a network saw as a reflection of the photo."""

    values: NDArray[np.float32]
    """(height, width), with the surroundings."""
    margins: tuple[float, float]
    """Surroundings at each end of the height and of the width, as fractions of those without them."""

    def inside(self) -> NDArray[np.float32]:
        """The map without its surroundings, as nearly as its own grid allows."""
        rows, columns = (
            round(side * margin / (1 + 2 * margin))
            for side, margin in zip(self.values.shape, self.margins, strict=True)
        )
        height, width = self.values.shape
        rows, columns = min(rows, (height - 1) // 2), min(columns, (width - 1) // 2)
        return self.values[rows : height - rows, columns : width - columns]

    def enlarged(self, width: int, height: int, enlargement: Enlargement) -> NDArray[np.float32]:
        """The map upsampled to (height, width), without its surroundings."""
        rows, columns = (round(side * margin) for side, margin in zip((height, width), self.margins, strict=True))
        whole = upsample(self.values, width + 2 * columns, height + 2 * rows, enlargement)
        return whole[rows : rows + height, columns : columns + width]


def _valid(values: NDArray[np.float32], kind: DepthKind) -> NDArray[np.float32]:
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= FLOAT16_MAX):
        infinite = 0.0 if kind is DepthKind.METRES else FLOAT16_MAX
        values = np.nan_to_num(values, nan=0.0, posinf=infinite, neginf=0.0).clip(0, FLOAT16_MAX)
    return np.asarray(values, np.float32)
