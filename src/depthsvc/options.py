"""The options of one photo. HTTP query parameters and their documentation are generated from them."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from depthsvc.errors import InvalidParameter, problem_name, problem_reason
from depthsvc.formats import Format, Result, format_named, formats_of
from depthsvc.imaging.spec import DETAIL_PIXELS, EDGE_PIXELS, Colormap, StereoLayout

SIDE_BY_SIDE_MAX_SIDE = 4096
"""Enough for a picture to look at; without a limit it would be the largest array that a worker ever holds."""


TEXTURE_MAX_SIDE = 4096
"""Of a mesh: graphics processors have limits too."""
HEATMAP_MAX_PIXELS = 50_000_000
"""Pixels of a heatmap of a larger photo, and of its normals."""
SCREEN_PIXELS = 1_500_000
"""Pixels of a map to look at on a display."""
_LARGE = f"{DETAIL_PIXELS / 1e6:g} megapixels"

MIN_INPUT_SIZE = 32
"""Smallest `input_size`, in pixels."""


class OutputSize(StrEnum):
    """The grid of a result."""

    SOURCE = "source"
    SCREEN = "screen"
    MODEL = "model"


DepthFormat = StrEnum(  # type: ignore[misc]  # its members come from the table of formats
    "DepthFormat", [(format.name.upper(), format.name) for format in formats_of(Result.DEPTH)]
)
DepthFormat.__doc__ = "How depth values are written."


AUTO: Final = "auto"
Refine = bool | Literal["auto"]
"""Whether to align depth edges with the photo's; "auto": as the model is meant to be used."""


def _checked_refine(refine: object) -> Refine:
    try:
        return "auto" if refine == AUTO else TypeAdapter(bool).validate_python(refine)
    except ValidationError:
        raise ValueError("use auto, true or false") from None


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    result: ClassVar[Result]
    route: ClassVar[str]
    """Path of the HTTP route that serves it."""

    input_size: int | None = Field(
        None,
        ge=MIN_INPUT_SIZE,
        description="Size in pixels at which the network sees the photo, a multiple of the model's own (32 for MiDaS). "
        "Larger shows more detail and takes longer. By default the model's own size.",
    )

    model: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="Name of a model that the service serves; by default its first.",
    )

    @classmethod
    def for_format(cls, format: Format, **values: Any) -> Self:
        """Options with this `file_format`, one of the result's. Raises pydantic's ValidationError."""
        return cls(**values)

    @property
    def file_format(self) -> Format:
        """Format of the file that is sent or written."""
        return formats_of(self.result)[0]

    @property
    def style(self) -> dict[str, Any]:
        """Keyword arguments for the format's encoder."""
        return {}

    def settled(self, *, follows_edges: bool) -> Self:
        """These options with "auto" decided, for a model whose maps follow the photo's edges or not."""
        return self

    def query(self) -> dict[str, Any]:
        """The HTTP query for these options."""
        return self.model_dump(mode="json", exclude_defaults=True)


class SizedOptions(_Options):
    """A result that is drawn on the photo's grid, or another."""

    size: OutputSize = Field(
        OutputSize.SOURCE,
        description="`source`: the photo's upright width and height; a heatmap and a picture of normals have at most "
        f"{HEATMAP_MAX_PIXELS / 1e6:g} megapixels. `screen`: the same with at most {SCREEN_PIXELS / 1e6:g} megapixels. "
        "`model`: the network's own, smaller grid.",
    )


class RefinedOptions(_Options):
    """A result whose depth can have the photo's edges."""

    refine: Annotated[Refine, BeforeValidator(_checked_refine)] = Field(
        AUTO,
        description="Align depth edges with the photo's edges: `true`, `false`, or `auto`, which does it for models "
        "that are made for it, as the embedded one is. What MiDaS and the other published models return stays the "
        "official result unless it is `true`.",
    )

    def settled(self, *, follows_edges: bool) -> Self:
        return self.model_copy(update={"refine": follows_edges}) if self.refine == AUTO else self

    @property
    def refines(self) -> bool:
        """Whether to align depth with the photo's own pixels. Only for settled options."""
        assert isinstance(self.refine, bool), "these options have not been settled for a model"
        return self.refine


class MapOptions(RefinedOptions, SizedOptions):
    """A result that is a map: a value or a colour for each pixel."""

    full_size: bool = Field(
        False,
        description="Where `refine` applies, use all pixels of a photo of more than "
        f"{EDGE_PIXELS / 1e6:g} megapixels instead of a reduced copy. Takes longer.",
    )

    @property
    def refines(self) -> bool:
        return self.size is not OutputSize.MODEL and super().refines

    @property
    def normalizes(self) -> bool:
        """Whether to scale the values to 0..1. Colours do not depend on it."""
        return False


class _ColouredOptions(MapOptions):
    route = "/upload"

    colormap: Colormap = Field(Colormap.INFERNO, description="Colormap, from far to near.")
    invert: bool = Field(False, description="Reverse the colours: near is dark.")


class HeatmapOptions(_ColouredOptions):
    """A PNG heatmap, scaled from the photo's farthest to its nearest point."""

    result = Result.HEATMAP

    palette: bool = Field(
        False,
        description="An 8-bit palette PNG: same colours, smaller and faster, but some programs have to convert it.",
    )

    @property
    def style(self) -> dict[str, Any]:
        return {"colormap": self.colormap, "invert": self.invert, "palette": self.palette}


class SideBySideOptions(_ColouredOptions):
    """The photo to the left of its heatmap, in one truecolour PNG."""

    result = Result.SIDE_BY_SIDE

    def query(self) -> dict[str, Any]:
        return {**super().query(), "side_by_side": True}


class UploadQuery(HeatmapOptions):
    """The query of POST /upload, where one parameter chooses between two results."""

    side_by_side: bool = Field(
        False,
        description="The photo to the left of its heatmap, in one truecolour picture of twice the width. Each half is "
        f"at most {SIDE_BY_SIDE_MAX_SIDE} pixels a side.",
    )

    @cached_property
    def options(self) -> HeatmapOptions | SideBySideOptions:
        """The options of the result that the query asks for."""
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
    normalize: bool = Field(False, description="Scale the values so that the farthest point is 0 and the nearest is 1.")

    @property
    def normalizes(self) -> bool:
        return self.normalize

    @classmethod
    def for_format(cls, format: Format, **values: Any) -> Self:
        return cls(format=DepthFormat(format.name), **values)

    @property
    def file_format(self) -> Format:
        return format_named(self.format)


USUAL_FOV = 60
"""Field of view in degrees where it is unknown."""


class CameraOptions(_Options):
    """A result in space, as a pinhole camera sees it."""

    fov: float | None = Field(
        None,
        ge=1,
        le=170,
        allow_inf_nan=False,
        description="Field of view: the angle in degrees that the photo's longer side spans. Without it, what the "
        f"photo's EXIF data say is used for metres, else {USUAL_FOV}. About 65 for phones.",
    )


class PointCloudOptions(RefinedOptions, CameraOptions):
    """A PLY file of coloured points."""

    result = Result.POINT_CLOUD
    route = "/pointcloud"

    stride: int = Field(1, ge=1, le=65_535, description="Keep every n-th pixel of each row and column.")
    max_points: int = Field(
        1_000_000,
        ge=1,
        le=4_000_000,
        description="Maximum number of points; the stride grows until they fit.",
    )


_NUMBER = r"[0-9.eE+-]{1,32}"
_FOCUS = rf"^({AUTO}|{_NUMBER},{_NUMBER})$"


def _checked_focus(focus: object) -> str:
    """Accept a point as a pair of numbers as well as text."""
    text = ",".join(map(str, focus)) if isinstance(focus, (tuple, list)) else str(focus).replace(" ", "")
    if text != AUTO and not (re.fullmatch(_FOCUS, text) and _is_within(text)):
        raise ValueError("use auto, or a point as x,y with both between 0 and 1, such as 0.5,0.25")
    return text


def _is_within(point: str) -> bool:
    try:
        return all(0 <= float(part) <= 1 for part in point.split(","))
    except ValueError:
        return False


Focus = Annotated[str, BeforeValidator(_checked_focus), Field(json_schema_extra={"pattern": _FOCUS})]


class _TaggedOptions(_Options):
    """A picture that keeps the photo's metadata."""

    strip_gps: bool = Field(
        False, description="Leave out where the photo was taken. Its other EXIF data are kept, as they are without it."
    )


class BokehOptions(_TaggedOptions):
    """The photo as a JPEG, refocused."""

    result = Result.BOKEH
    route = "/bokeh"

    focus: Focus = Field(
        AUTO,
        description="What stays sharp: a point `x,y` as fractions (0..1) of width and height from the top left, or "
        "`auto`, the nearest thing that stands out.",
    )
    strength: float = Field(
        0.5,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Amount of blur: 0 leaves the photo unchanged, 1 is the maximum.",
    )

    full_size: bool = Field(
        False,
        description=f"Refocus a photo of more than {_LARGE} at its own size. By default the result has at most that "
        "many pixels.",
    )

    @property
    def focus_point(self) -> tuple[float, float] | None:
        """(x, y) as fractions of width and height, or None for the automatic focus."""
        if self.focus == AUTO:
            return None
        x, y = map(float, self.focus.split(","))
        return x, y


class StereoOptions(_TaggedOptions):
    """The photo as a stereo picture, a JPEG."""

    result = Result.STEREO
    route = "/stereo"

    layout: StereoLayout = Field(
        StereoLayout.SIDE_BY_SIDE,
        description="`side_by_side`: the left eye's view on the left, both whole. `half`: the same, each squeezed to "
        "half its width. `cross_eyed`: the right eye's view on the left. `anaglyph`: for red-cyan glasses.",
    )
    divergence: float = Field(
        2.5,
        ge=0,
        le=10,
        allow_inf_nan=False,
        description="By how much the farthest and the nearest point are shifted against each other, in percent of the "
        "photo's width. 0 leaves the photo flat.",
    )
    convergence: float = Field(
        0.5,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Which nearness lies in the plane of the screen: with 0 everything stands in front of it, with 1 "
        "everything is behind it.",
    )

    full_size: bool = Field(
        False,
        description=f"Make views of up to {_LARGE}. By default each has at most {EDGE_PIXELS / 1e6:g}, the pixels by "
        "which edges of depth are found.",
    )

    @property
    def style(self) -> dict[str, Any]:
        return {"full_colour": self.layout is StereoLayout.ANAGLYPH}


class NormalsOptions(CameraOptions, SizedOptions):
    """Surface normals as the colours of a PNG."""

    result = Result.NORMALS
    route = "/normals"


class MeshOptions(CameraOptions):
    """A GLB file: a surface of triangles, textured with the photo."""

    result = Result.MESH
    route = "/mesh"

    max_vertices: int = Field(
        250_000,
        ge=100,
        le=1_000_000,
        description="Maximum number of vertices. There are as many as the network's grid has pixels, or every n-th of "
        "each row and column.",
    )


class FrameOptions(_Options):
    """One frame of a stream. Only for a pool's workers: no route and no file format is made of it."""

    predict: bool = True
    """Whether the network sees it; else the picture alone is wanted."""

    @property
    def priced_as(self) -> DepthOptions:
        """The result that takes as much work."""
        return DepthOptions(input_size=self.input_size, model=self.model, size=OutputSize.MODEL)


Options = (
    HeatmapOptions
    | SideBySideOptions
    | DepthOptions
    | PointCloudOptions
    | BokehOptions
    | StereoOptions
    | NormalsOptions
    | MeshOptions
)
Task = Options | FrameOptions
"""What a worker may be asked to do with a photo."""
OPTIONS: dict[Result, type[Options]] = {
    kind.result: kind
    for kind in (
        HeatmapOptions,
        SideBySideOptions,
        DepthOptions,
        PointCloudOptions,
        BokehOptions,
        StereoOptions,
        NormalsOptions,
        MeshOptions,
    )
}
"""The options of each result."""

Kind = TypeVar("Kind", bound=_Options)


def make_options(kind: type[Kind], **values: Any) -> Kind:
    """Options of this class; None stands for the default. Raises InvalidParameter, naming each invalid parameter."""
    try:
        return kind(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        raise InvalidParameter(
            " ".join(f"{problem_name(problem)}: {problem_reason(problem)}." for problem in error.errors())
        ) from error
