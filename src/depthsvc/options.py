"""What a caller may ask of one photo. The HTTP query parameters and their documentation are made from this."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from depthsvc.imaging.colormaps import Colormap

SIDE_BY_SIDE_MAX_SIDE = 4096
"""A picture to look at needs no more pixels; without a bound it would be the largest array that a worker ever holds."""


class OutputSize(StrEnum):
    """The grid of a result."""

    SOURCE = "source"
    MODEL = "model"


class DepthFormat(StrEnum):
    """How depth values are written."""

    F16 = "f16"
    NPY = "npy"
    PNG16 = "png16"


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    size: OutputSize = Field(
        OutputSize.SOURCE,
        description="`source`: the photo's upright width and height. `model`: the network's own, smaller grid.",
    )
    input_size: int | None = Field(
        None,
        ge=32,
        description="Size in pixels at which the network sees the photo, a multiple of 32; "
        "larger shows more detail and costs more. By default the model's own.",
    )


class HeatmapOptions(_Options):
    """A PNG heatmap, scaled from the photo's farthest to its nearest point."""

    colormap: Colormap = Field(Colormap.INFERNO, description="Colours, from far to near.")
    invert: bool = Field(False, description="Turn the colours round: near is dark.")
    palette: bool = Field(
        False,
        description="Answer an 8-bit palette PNG: same colours, smaller and faster, but some programs must convert it.",
    )
    side_by_side: bool = Field(
        False,
        description="The photo on the left of its heatmap, in one truecolour picture of twice the width. Each has at "
        f"most {SIDE_BY_SIDE_MAX_SIDE} pixels a side.",
    )


class DepthOptions(_Options):
    """The depth values themselves."""

    format: DepthFormat = Field(
        DepthFormat.F16,
        description="`f16`: raw little-endian row-major float16. `npy`: the same as a NumPy file. "
        "`png16`: 16-bit grey PNG, 0 = X-Depth-Min, 65535 = X-Depth-Max.",
    )
    normalize: bool = Field(False, description="Scale the values so that the farthest point is 0 and the nearest 1.")


Options = HeatmapOptions | DepthOptions
