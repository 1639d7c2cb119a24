"""The words of imaging: how photos are sized for a network, and how depth is coloured. Knows no OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Colormap(StrEnum):
    """Names of colormaps. In the first five, and in gray, brighter means larger, which is nearer."""

    INFERNO = "inferno"
    MAGMA = "magma"
    PLASMA = "plasma"
    VIRIDIS = "viridis"
    HOT = "hot"
    TURBO = "turbo"
    JET = "jet"
    GRAY = "gray"


class ResizeRule(StrEnum):
    """How a photo's sides become the network's, given the model's input size T."""

    UPPER_BOUND = "upper_bound"
    """Keep the aspect ratio; neither side exceeds T (MiDaS_small)."""
    LOWER_BOUND = "lower_bound"
    """Keep the aspect ratio; neither side is below T."""
    STRETCH = "stretch"
    """T x T whatever the aspect ratio, for models with a fixed input."""


class Enlargement(StrEnum):
    """How a network's map is brought to a photo's size."""

    BICUBIC = "bicubic"
    """As MiDaS does it."""
    BILINEAR = "bilinear"
    """For a map whose edges are steps, beside which a cubic would ring."""


class Interpolation(StrEnum):
    """How a photo is brought to the network's size."""

    BICUBIC = "bicubic"
    """OpenCV's bicubic, which does not antialias: what MiDaS was trained with."""
    AREA = "area"
    """Area averages to shrink, bilinear to enlarge, and colours rounded to 8 bits."""


Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class InputSpec:
    """What a network takes."""

    size: int
    """The input size T, in pixels."""
    rule: ResizeRule
    multiple: int
    """Both sides must be multiples of this."""
    mean: tuple[float, float, float]
    """Subtracted from RGB in 0..1."""
    std: tuple[float, float, float]
    """Divides RGB in 0..1 after the mean is subtracted."""
    interpolation: Interpolation = Interpolation.BICUBIC
    """How the photo is resized."""

    @property
    def example_shape(self) -> Shape:
        """Batch, channels, height and width of an input that the network takes: small, and no square where it may."""
        if self.rule is ResizeRule.STRETCH:
            return 1, 3, self.size, self.size
        return 1, 3, 3 * self.multiple, 4 * self.multiple
