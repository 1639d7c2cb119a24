"""Names and specifications: how photos are sized for a network, and how depth is coloured. Independent of OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from depthsvc.errors import InvalidParameter

DETAIL_PIXELS = 12_500_000
"""Results that show a photo's own detail are made with at most this many of its pixels unless all are asked for: a
phone's photo fits, and a scan of 50 megapixels fits at half its size."""
EDGE_PIXELS = 3_200_000
"""The same for maps with its edges: a phone's photo fits at half its size."""


class Colormap(StrEnum):
    """Names of colormaps. In the first five and in gray, brighter is nearer."""

    INFERNO = "inferno"
    MAGMA = "magma"
    PLASMA = "plasma"
    VIRIDIS = "viridis"
    HOT = "hot"
    TURBO = "turbo"
    JET = "jet"
    GRAY = "gray"


def colormap_named(name: str) -> Colormap:
    """The colormap of this name. Raises InvalidParameter if there is none."""
    try:
        return Colormap(name)
    except ValueError:
        raise InvalidParameter(f"colormap: {name!r} is not one of {', '.join(Colormap)}.") from None


class StereoLayout(StrEnum):
    """How both eyes' views are put into one picture."""

    SIDE_BY_SIDE = "side_by_side"
    """The left eye's view on the left, both whole."""
    HALF = "half"
    """The same, each squeezed to half its width."""
    CROSS_EYED = "cross_eyed"
    """The right eye's view on the left."""
    ANAGLYPH = "anaglyph"
    """For red-cyan glasses, red in front of the left eye."""


class DepthKind(StrEnum):
    """What the values of a map are."""

    INVERSE_DEPTH = "inverse_depth"
    """Relative inverse depth: larger is nearer, scale and shift are unknown."""
    METRES = "metres"
    """Metric depth: larger is farther; 0 where it is unknown."""

    @property
    def unit(self) -> str:
        """The unit of the values, for programs."""
        return "metres" if self is DepthKind.METRES else "relative"


class ResizeRule(StrEnum):
    """How a photo's sides become the network's, given the model's input size T."""

    UPPER_BOUND = "upper_bound"
    """Keep the aspect ratio; neither side exceeds T (MiDaS_small)."""
    LOWER_BOUND = "lower_bound"
    """Keep the aspect ratio; neither side is below T."""
    MINIMAL = "minimal"
    """Keep the aspect ratio, with that of the two scales T/width and T/height that is nearer to 1 (DPT)."""
    STRETCH = "stretch"
    """T x T regardless of the aspect ratio, for models with a fixed input."""


class Enlargement(StrEnum):
    """How a network's map is upsampled to a photo's size."""

    BICUBIC = "bicubic"
    """As in MiDaS."""
    BILINEAR = "bilinear"
    """For maps with sharp edges, next to which a cubic would ring."""
    BILINEAR_CORNERS = "bilinear_corners"
    """The centres of the corners stay where they are, as in Depth Anything V2."""


class Interpolation(StrEnum):
    """How a photo is resized to the network's size."""

    BICUBIC = "bicubic"
    """OpenCV's bicubic, without antialiasing: what MiDaS was trained with."""
    AREA = "area"
    """Area averages to shrink, bilinear to enlarge, with colours rounded to 8 bits."""
    BILINEAR = "bilinear"
    """OpenCV's bilinear, without antialiasing, with colours rounded to 8 bits (LeReS)."""
    BILINEAR_CORNERS = "bilinear_corners"
    """The centres of the corners stay where they are, without antialiasing (ZoeDepth)."""


Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class InputSpec:
    """Input of a network."""

    size: int
    """The input size T, in pixels; of the height, if `width` is given."""
    rule: ResizeRule
    multiple: int
    """Both sides must be multiples of this."""
    mean: tuple[float, float, float]
    """Subtracted from RGB in 0..1."""
    std: tuple[float, float, float]
    """Divides RGB in 0..1 after the mean is subtracted."""
    interpolation: Interpolation = Interpolation.BICUBIC
    """How the photo is resized."""
    width: int | None = None
    """The input size of the width; None: T."""
    padded: bool = False
    """Whether the photo is first extended by its reflection, int(3 sqrt(side / 2)) pixels at each end of a side, which
    are cut off the map again, as in ZoeDepth."""

    def sizes(self, size: int | None = None) -> tuple[int, int]:
        """Input sizes of width and height; `size`: T, if it is not the usual one."""
        height = size or self.size
        return round(height * (self.width or self.size) / self.size / self.multiple) * self.multiple, height

    @property
    def example_shape(self) -> Shape:
        """Batch, channels, height and width of a valid input: small, and not square if the network allows it."""
        if self.rule is ResizeRule.STRETCH:
            return 1, 3, self.size, self.size
        return 1, 3, 3 * self.multiple, 4 * self.multiple
