"""What a model and the settings allow: input sizes, and the size of the network's input."""

from __future__ import annotations

from dataclasses import dataclass

from depthsvc.errors import InvalidParameter
from depthsvc.imaging.photo.pixels import Bounds, Enough, at_least
from depthsvc.imaging.resize import network_size
from depthsvc.imaging.spec import DETAIL_PIXELS, ResizeRule
from depthsvc.model.spec import ModelSpec

_DECODE_MARGIN = 2
"""A photo is decoded to at least this many times the network's input size. On six photos of 8 to 22 megapixels the
embedded model's depth then differed from that of a full decode by 0.2 to 1 % of its range, mean over the photo."""


@dataclass(frozen=True)
class Limits:
    """The limits on one photo."""

    model: ModelSpec
    max_pixels: int
    """Largest width times height of a photo."""
    max_input_size: int
    """Largest input size in pixels; also the root of the largest area of a network's input."""

    def check(self, width: int, height: int) -> None:
        """Raises TooManyPixels for a photo that is too large."""
        Bounds(self.max_pixels).check(width, height)

    def bounds(self, input_size: int | None, enough: Enough) -> Bounds:
        """How much of a photo to decode for the network and for `enough`. Raises InvalidParameter."""
        size = self.input_size(input_size)
        return Bounds(
            self.max_pixels, lambda width, height: max(enough(width, height), self._enough(width, height, size))
        )

    def _enough(self, width: int, height: int, size: int) -> float:
        """How many pixels of a photo's shorter side to decode for the network: a margin more than it sees. Where
        that would be more than DETAIL_PIXELS, half of it is enough, if it is what the network sees."""
        least = _DECODE_MARGIN * size
        divisor = Bounds(self.max_pixels, at_least(least)).reduction(width, height)
        if width * height / divisor**2 <= DETAIL_PIXELS:
            return least
        return max(min(self.network_size(width, height, size)), min(width, height) / (2 * divisor))

    def network_size(self, width: int, height: int, input_size: int | None) -> tuple[int, int]:
        """Width and height of the network's input, no larger in area than `max_input_size` squared, to limit memory.

        Raises InvalidParameter.
        """
        spec, size = self.model.input, self.input_size(input_size)
        width_in, height_in = network_size(width, height, spec, size)
        while width_in * height_in > self.max_input_size**2 and size > spec.size:
            size -= spec.multiple
            width_in, height_in = network_size(width, height, spec, size)
        return width_in, height_in

    def input_size(self, asked: int | None) -> int:
        """The input size that a request gets. Raises InvalidParameter for one that the model cannot have."""
        spec = self.model.input
        if asked is None or asked == spec.size:
            return spec.size
        if spec.rule is ResizeRule.STRETCH:
            raise InvalidParameter(f"input_size: the model {self.model.name} only accepts {spec.size}. Leave it out.")
        if asked % spec.multiple or not spec.multiple <= asked <= self.max_input_size:
            error = InvalidParameter(
                f"input_size: {asked} is not valid. Use a multiple of {spec.multiple}, "
                f"at least {spec.multiple} and at most {self.max_input_size}."
            )
            raise error if asked % spec.multiple else error.limited_by("max_input_size")
        return asked
