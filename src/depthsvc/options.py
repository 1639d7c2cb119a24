"""What a caller may ask of one photo. The HTTP query parameters and their documentation are made from this."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from depthsvc.imaging.spec import Colormap

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

    input_size: int | None = Field(
        None,
        ge=32,
        description="Size in pixels at which the network sees the photo, a multiple of 32; "
        "larger shows more detail and costs more. By default the model's own.",
    )


class _MapOptions(_Options):
    size: OutputSize = Field(
        OutputSize.SOURCE,
        description="`source`: the photo's upright width and height. `model`: the network's own, smaller grid.",
    )
    refine: bool = Field(
        False,
        description="Draw the edges of depth to those of the whole photo. Costs time, and strong texture may show. "
        "With `size=model` it does nothing.",
    )

    @property
    def refines(self) -> bool:
        """Whether depth is to follow the photo's own pixels."""
        return self.refine and self.size is OutputSize.SOURCE


class HeatmapOptions(_MapOptions):
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


class DepthOptions(_MapOptions):
    """The depth values themselves."""

    format: DepthFormat = Field(
        DepthFormat.F16,
        description="`f16`: raw little-endian row-major float16. `npy`: the same as a NumPy file. "
        "`png16`: 16-bit grey PNG, 0 = X-Depth-Min, 65535 = X-Depth-Max.",
    )
    normalize: bool = Field(False, description="Scale the values so that the farthest point is 0 and the nearest 1.")


class PointCloudOptions(_Options):
    """A PLY file of coloured points."""

    fov: float = Field(
        60,
        ge=1,
        le=170,
        allow_inf_nan=False,
        description="Field of view: the angle in degrees that the photo's longer side spans. Phones have about 65.",
    )
    stride: int = Field(1, ge=1, le=65_535, description="One point for so many pixels of each row and column.")
    max_points: int = Field(
        1_000_000, ge=1, le=4_000_000, description="Most points; for a larger photo the stride grows until they fit."
    )


AUTO_FOCUS = "auto"
_NUMBER = r"[0-9.eE+-]{1,32}"
_FOCUS = rf"^({AUTO_FOCUS}|{_NUMBER},{_NUMBER})$"


def _checked_focus(focus: str) -> str:
    if focus != AUTO_FOCUS and not (re.fullmatch(_FOCUS, focus) and _is_within(focus)):
        raise ValueError("use auto, or a point as x,y with both between 0 and 1, such as 0.5,0.25")
    return focus


def _is_within(point: str) -> bool:
    try:
        return all(0 <= float(part) <= 1 for part in point.split(","))
    except ValueError:
        return False


Focus = Annotated[str, AfterValidator(_checked_focus), Field(json_schema_extra={"pattern": _FOCUS})]


class BokehOptions(_Options):
    """The photo as a JPEG, refocused."""

    focus: Focus = Field(
        AUTO_FOCUS,
        description="What stays sharp: a point `x,y` as parts (0..1) of width and height from the left top, or "
        "`auto`, the nearest thing that stands out.",
    )
    strength: float = Field(
        0.5, ge=0, le=1, allow_inf_nan=False, description="0 leaves the photo as it is; 1 blurs most."
    )

    @property
    def focus_point(self) -> tuple[float, float] | None:
        """Parts of width and height, or None for the automatic focus."""
        if self.focus == AUTO_FOCUS:
            return None
        x, y = map(float, self.focus.split(","))
        return x, y


Options = HeatmapOptions | DepthOptions | PointCloudOptions | BokehOptions
