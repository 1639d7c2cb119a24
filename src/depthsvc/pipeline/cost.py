"""What a photo will cost, from its header and its options: processor time and bytes, before anything is decoded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from depthsvc.errors import TooExpensive, UnsupportedMediaType
from depthsvc.imaging.photo.formats import PHOTO_FORMATS, PhotoFormat, alternatives, format_of, header_of
from depthsvc.imaging.photo.header import Coding, Header
from depthsvc.imaging.photo.pixels import Bounds
from depthsvc.imaging.spec import DETAIL_PIXELS
from depthsvc.options import DepthOptions, HeatmapOptions, MeshOptions, Options, PointCloudOptions
from depthsvc.pipeline.limits import Limits
from depthsvc.pipeline.prices import Prices, Work
from depthsvc.pipeline.rendering import Outline, Renderer, renderer_for

NORMAL = Header(Coding.JPEG, 1280, 960, file_bytes=250_000, coded=1_843_200)
"""A normal photo: a JPEG of 1280 x 960. Costs are limited as multiples of its heatmap's."""
_LARGE = 4_000_000
"""Pixels beyond this take longer: their arrays are so large that pool/heap.py returns them to the system each time."""
_LARGE_NETWORK = 400_000
"""Pixels of the network's input beyond this take longer: what it computes from them leaves the caches."""


_ROOM = 1.5
"""A photo may take at least this many times a normal photo's memory: large networks need more than the usual limit."""


@dataclass(frozen=True)
class Cost:
    """The expected cost of one photo."""

    works: Mapping[str, Work]
    """The work of each stage: decode, infer and render."""
    listed: Mapping[str, float]
    """Processor time of each stage in seconds, by the price list."""
    seconds_of: Mapping[str, float]
    """Expected processor time of each stage, in seconds, on this machine."""
    answer_bytes: int
    """Expected size of the result: exact for uncompressed formats, plentiful for others."""

    @property
    def seconds(self) -> float:
        """Expected processor time on this machine."""
        return sum(self.seconds_of.values())


class Appraiser:
    """Prices photos for one model, and corrects its prices by what photos really took. Belongs to one thread."""

    def __init__(
        self,
        limits: Limits,
        prices: Prices,
        *,
        max_cost: float,
        max_memory_bytes: float,
        max_answer_bytes: float,
        formats: tuple[PhotoFormat, ...] = PHOTO_FORMATS,
    ) -> None:
        """`max_cost`: largest cost of a photo, as a multiple of a normal photo's. `max_memory_bytes`: largest memory of
        a worker for it, raised for a model that needs most of that for a normal photo. `max_answer_bytes`: largest size
        of a result. `formats`: those that are accepted."""
        self._formats = formats
        self.limits = limits
        self._prices = prices
        self._max_cost = max_cost
        self._max_answer_bytes = max_answer_bytes
        normal = works_of(NORMAL, HeatmapOptions(), limits)
        self._max_memory_bytes = max(max_memory_bytes, _ROOM * prices.peak_bytes(normal))
        self._normal_s = sum(prices.listed_s(normal).values())

    def appraise(self, data: bytes | bytearray, options: Options) -> Cost:
        """The cost of a photo. Raises RequestError for one that its header or its options rule out."""
        self._check_format(data)
        header = header_of(data)
        self.limits.check(header.width, header.height)
        renderer: Renderer[Options] = renderer_for(options, self.limits.model)
        renderer.check(header.width, header.height)
        works = works_of(header, options, self.limits)
        listed = self._prices.listed_s(works)
        self._check_cost(sum(listed.values()) / self._normal_s, options)
        answer_bytes = self._prices.answer_bytes(works["render"])
        self._check_size(answer_bytes, options)
        self._check_memory(self._prices.peak_bytes(works), options)
        return Cost(works, listed, self._prices.expected_s(works, listed), answer_bytes)

    def learn(self, cost: Cost, spent: Mapping[str, float]) -> None:
        """Correct the prices by the processor time in seconds that each stage of a photo took."""
        self._prices.learn(cost.works, cost.listed, spent)

    def _check_format(self, data: bytes | bytearray) -> None:
        if self._formats is PHOTO_FORMATS:
            return
        format = format_of(data)
        if format not in self._formats:
            names = alternatives(format.name for format in self._formats)
            raise UnsupportedMediaType(f"This service does not accept {format.name} files. Convert it to {names}.")

    def _check_cost(self, multiple: float, options: Options) -> None:
        if multiple > self._max_cost:
            raise TooExpensive(
                f"This would take {multiple:.1f} times the work of a normal photo; the limit is {self._max_cost:g} "
                f"times. {_advice(options, 'input_size', 'refine', 'full_size', 'max_points', 'max_vertices')}"
            )

    def _check_memory(self, peak_bytes: int, options: Options) -> None:
        if peak_bytes > self._max_memory_bytes:
            raise TooExpensive(
                f"This would take {peak_bytes / 1e6:.0f} MB of memory; the limit is {self._max_memory_bytes / 1e6:g} "
                f"MB. {_advice(options, 'input_size', 'full_size', 'max_points', 'max_vertices')}"
            )

    def _check_size(self, answer_bytes: int, options: Options) -> None:
        if answer_bytes > self._max_answer_bytes:
            raise TooExpensive(
                f"The result would have {answer_bytes / 1e6:.0f} MB; the limit is {self._max_answer_bytes / 1e6:g} MB. "
                f"{_smaller(options)}"
            )


def _advice(options: Options, *costly: str) -> str:
    """What to do to pay less; `costly` names options."""
    sent = [name for name in costly if name in options.query()]
    if sent == ["input_size"]:  # a network's time does not depend on the photo's size
        return "Leave out input_size, or use a smaller one."
    return f"Leave out {' and '.join(sent)}, or send a smaller photo." if sent else "Send a smaller photo."


def _smaller(options: Options) -> str:
    """What to do to get a smaller result."""
    if isinstance(options, PointCloudOptions):
        return "Lower max_points."
    if isinstance(options, MeshOptions):
        return "Lower max_vertices, or send a smaller photo."
    if isinstance(options, DepthOptions):
        return "Use size=model or format=png16, or send a smaller photo."
    return _advice(options, "full_size")


def works_of(header: Header, options: Options, limits: Limits) -> dict[str, Work]:
    """The work of each stage for a photo. Raises InvalidParameter for an input size that the model cannot have."""
    network = math.prod(limits.network_size(header.width, header.height, options.input_size))
    renderer: Renderer[Options] = renderer_for(options, limits.model)
    outline: Outline = renderer.outline(header.width, header.height, network)
    divisor = _divisor(header, limits.bounds(options.input_size, renderer.enough))
    decoded = header.pixels / divisor**2
    return {
        "decode": Work(header.coding, _decoding(header, divisor)),
        "infer": Work(
            limits.model.name, {"network": network, "large": max(0, network - _LARGE_NETWORK), "pixel": decoded}
        ),
        "render": Work(
            outline.kind, {"pixel": outline.pixels, "large": max(0, outline.pixels - _LARGE), "detail": outline.detail}
        ),
    }


def _divisor(header: Header, bounds: Bounds) -> int:
    """By how much the sides of a photo are reduced while it is decoded."""
    is_jpeg = header.coding in (Coding.JPEG, Coding.PROGRESSIVE_JPEG)
    return bounds.reduction(header.width, header.height) if is_jpeg or header.pixels > DETAIL_PIXELS else 1


def _decoding(header: Header, divisor: int) -> dict[str, float]:
    """Amounts by unit. Of an interlaced PNG only a part is read if it is reduced; of all others everything is."""
    read = 1 / divisor**2 if header.coding is Coding.INTERLACED_PNG else 1.0
    pixels = header.pixels / divisor**2
    held = pixels if header.coding is Coding.JPEG else header.pixels * read
    return {
        "file": header.file_bytes,
        "byte": header.file_bytes * read,
        "coded": header.coded * read,
        "kept": header.kept,
        "stored": header.pixels * read,
        "large": max(0.0, held - _LARGE),
        "pixel": pixels,
    }
