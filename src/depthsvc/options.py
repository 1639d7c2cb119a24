"""What a caller may ask of one photo. The HTTP query parameters and their documentation are made from this."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from enum import StrEnum
from functools import wraps
from inspect import signature
from typing import Annotated, Any, ClassVar, ParamSpec, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from depthsvc.errors import InvalidParameter, problem_name, problem_reason
from depthsvc.formats import Format, Result, format_named, formats_of
from depthsvc.imaging.spec import Colormap

SIDE_BY_SIDE_MAX_SIDE = 4096
"""A picture to look at needs no more pixels; without a bound it would be the largest array that a worker ever holds."""


MIN_INPUT_SIZE = 32
"""No network is asked to see a photo at fewer pixels."""


class OutputSize(StrEnum):
    """The grid of a result."""

    SOURCE = "source"
    MODEL = "model"


DepthFormat = StrEnum(  # type: ignore[misc]  # its members are rows of the table
    "DepthFormat", [(format.name.upper(), format.name) for format in formats_of(Result.DEPTH)]
)
DepthFormat.__doc__ = "How depth values are written."


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    result: ClassVar[Result]
    route: ClassVar[str]
    """Where a service is asked for it."""

    input_size: int | None = Field(
        None,
        ge=MIN_INPUT_SIZE,
        description="Size in pixels at which the network sees the photo, a multiple of the model's own (32 for MiDaS); "
        "larger shows more detail and costs more. By default the model's own.",
    )

    @property
    def file_format(self) -> Format:
        """What is sent or written."""
        return formats_of(self.result)[0]

    @property
    def style(self) -> dict[str, Any]:
        """Arguments of the format's encoder."""
        return {}

    def query(self) -> dict[str, Any]:
        """The HTTP query that asks a service for the same."""
        return self.model_dump(mode="json", exclude_defaults=True)


class MapOptions(_Options):
    """A result that is a map: a value or a colour for each pixel."""

    size: OutputSize = Field(
        OutputSize.SOURCE,
        description="`source`: the photo's upright width and height. `model`: the network's own, smaller grid.",
    )
    refine: bool = Field(
        False,
        description="Align depth edges with the full-resolution photo. Costs time, and strong texture may show. "
        "With `size=model` it does nothing.",
    )

    @property
    def refines(self) -> bool:
        """Whether depth is to follow the photo's own pixels."""
        return self.refine and self.size is OutputSize.SOURCE

    @property
    def normalizes(self) -> bool:
        """Whether values are to be scaled to 0..1. Colours do not depend on it."""
        return False


class _ColouredOptions(MapOptions):
    route = "/upload"

    colormap: Colormap = Field(Colormap.INFERNO, description="Colours, from far to near.")
    invert: bool = Field(False, description="Reverse the colours: near is dark.")


class HeatmapOptions(_ColouredOptions):
    """A PNG heatmap, scaled from the photo's farthest to its nearest point."""

    result = Result.HEATMAP

    palette: bool = Field(
        False,
        description="An 8-bit palette PNG: same colours, smaller and faster, but some programs must convert it.",
    )

    @property
    def style(self) -> dict[str, Any]:
        return {"colormap": self.colormap, "invert": self.invert, "palette": self.palette}


class SideBySideOptions(_ColouredOptions):
    """The photo on the left of its heatmap, in one truecolour PNG."""

    result = Result.SIDE_BY_SIDE

    def query(self) -> dict[str, Any]:
        return {**super().query(), "side_by_side": True}


class UploadQuery(HeatmapOptions):
    """The query of POST /upload, where one parameter chooses between two results."""

    side_by_side: bool = Field(
        False,
        description="The photo on the left of its heatmap, in one truecolour picture of twice the width. Each has at "
        f"most {SIDE_BY_SIDE_MAX_SIDE} pixels a side.",
    )

    def options(self) -> HeatmapOptions | SideBySideOptions:
        """What is asked for."""
        chosen = SideBySideOptions if self.side_by_side else HeatmapOptions
        return chosen(**self.model_dump(include=set(chosen.model_fields)))


class DepthOptions(MapOptions):
    """The depth values themselves."""

    result = Result.DEPTH
    route = "/depth"

    format: DepthFormat = Field(
        DepthFormat("f16"),
        description=" ".join(f"`{format.name}`: {format.description}." for format in formats_of(Result.DEPTH)),
    )
    normalize: bool = Field(False, description="Scale the values so that the farthest point is 0 and the nearest 1.")

    @property
    def normalizes(self) -> bool:
        return self.normalize

    @property
    def file_format(self) -> Format:
        return format_named(self.format)


class PointCloudOptions(_Options):
    """A PLY file of coloured points."""

    result = Result.POINT_CLOUD
    route = "/pointcloud"

    fov: float = Field(
        60,
        ge=1,
        le=170,
        allow_inf_nan=False,
        description="Field of view: the angle in degrees that the photo's longer side spans. Phones have about 65.",
    )
    stride: int = Field(1, ge=1, le=65_535, description="Keep every n-th pixel of each row and column.")
    max_points: int = Field(
        1_000_000,
        ge=1,
        le=4_000_000,
        description="Maximum number of points; for a larger photo the stride grows until they fit.",
    )


AUTO_FOCUS = "auto"
_NUMBER = r"[0-9.eE+-]{1,32}"
_FOCUS = rf"^({AUTO_FOCUS}|{_NUMBER},{_NUMBER})$"


def _as_text(focus: object) -> object:
    """A point as a pair of numbers is as good as its text."""
    if isinstance(focus, (tuple, list)) and len(focus) == 2:
        return ",".join(repr(float(part)) for part in focus)
    return focus


def _checked_focus(focus: str) -> str:
    if focus != AUTO_FOCUS and not (re.fullmatch(_FOCUS, focus) and _is_within(focus)):
        raise ValueError("use auto, or a point as x,y with both between 0 and 1, such as 0.5,0.25")
    return focus


def _is_within(point: str) -> bool:
    try:
        return all(0 <= float(part) <= 1 for part in point.split(","))
    except ValueError:
        return False


Focus = Annotated[
    str, BeforeValidator(_as_text), AfterValidator(_checked_focus), Field(json_schema_extra={"pattern": _FOCUS})
]


class BokehOptions(_Options):
    """The photo as a JPEG, refocused."""

    result = Result.BOKEH
    route = "/bokeh"

    focus: Focus = Field(
        AUTO_FOCUS,
        description="What stays sharp: a point `x,y` as fractions (0..1) of width and height from the left top, or "
        "`auto`, the nearest thing that stands out.",
    )
    strength: float = Field(
        0.5, ge=0, le=1, allow_inf_nan=False, description="0 leaves the photo as it is; 1 blurs most."
    )

    @property
    def focus_point(self) -> tuple[float, float] | None:
        """Fractions of width and height, or None for the automatic focus."""
        if self.focus == AUTO_FOCUS:
            return None
        x, y = map(float, self.focus.split(","))
        return x, y


Options = HeatmapOptions | SideBySideOptions | DepthOptions | PointCloudOptions | BokehOptions
OPTIONS: dict[Result, type[Options]] = {
    kind.result: kind for kind in (HeatmapOptions, SideBySideOptions, DepthOptions, PointCloudOptions, BokehOptions)
}
"""The options of each result."""

Kind = TypeVar("Kind", bound=_Options)
Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


def make_options(kind: type[Kind], **values: Any) -> Kind:
    """Options of this class, where None is no value. Raises InvalidParameter, which names what is wrong."""
    try:
        return kind(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        raise InvalidParameter(
            " ".join(f"{problem_name(problem)}: {problem_reason(problem)}." for problem in error.errors())
        ) from error


def reject_unknown_keywords(function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
    """Have a keyword that a function does not take raise InvalidParameter, with the one that was perhaps meant."""
    known = list(signature(function).parameters)

    @wraps(function)
    def checking(*arguments: Parameters.args, **keywords: Parameters.kwargs) -> Returned:
        for name in keywords:
            if name not in known:
                meant = get_close_matches(name, known, n=1)
                raise InvalidParameter(
                    f"{name}: there is no such parameter{f'; there is {meant[0]}' if meant else ''}."
                )
        return function(*arguments, **keywords)

    return checking
