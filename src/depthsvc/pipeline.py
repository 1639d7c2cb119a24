"""Photo bytes and options to result bytes: the one place that joins imaging and model."""

from __future__ import annotations

import time
from dataclasses import dataclass

from depthsvc.depth import DepthMap
from depthsvc.errors import InvalidParameter
from depthsvc.imaging import encode
from depthsvc.imaging.colormaps import levels
from depthsvc.imaging.decode import Photo, decode
from depthsvc.imaging.resize import ResizeRule, network_size, resized, to_network_input, upsample
from depthsvc.model.loading import Model, PreparedModel, open_model
from depthsvc.options import (
    SIDE_BY_SIDE_MAX_SIDE,
    DepthFormat,
    DepthOptions,
    HeatmapOptions,
    Options,
    OutputSize,
)

_DECODE_MARGIN = 2
"""A JPEG is decoded to at least this many times the network's input size. On six photos of 8 to 22 megapixels the
embedded model's depth then differed from that of a full decode by 0.2 to 1 % of its range, mean over the photo."""


@dataclass(frozen=True)
class _Rendered:
    body: bytes
    media_type: str
    dtype: str
    """NumPy's name for the numbers in the body."""
    shape: tuple[int, int]
    """Height and width of the result."""
    min: float
    """Inverse depth of the farthest point, in the units of the body for formats that hold depth."""
    max: float
    """Inverse depth of the nearest point."""


@dataclass(frozen=True)
class Answer(_Rendered):
    """What a photo became."""

    model: str
    seconds: dict[str, float]
    """Time spent in each stage: queue, where there is one, decode, infer, render."""


class Pipeline:
    """A model with everything around it, for one process. Not safe for use by several threads at once."""

    def __init__(self, model: Model, *, max_pixels: int, max_input_size: int) -> None:
        self.model = model
        self.max_pixels = max_pixels
        self.max_input_size = max_input_size

    @classmethod
    def open(cls, prepared: PreparedModel, *, threads: int, max_pixels: int, max_input_size: int) -> Pipeline:
        """Load the model into this process and warm it; ModelError if that fails."""
        model = open_model(prepared, threads)
        model.warm()
        return cls(model, max_pixels=max_pixels, max_input_size=max_input_size)

    def answer(self, data: bytes, options: Options) -> Answer:
        """Decode a photo, estimate its depth and encode what the options ask for. Raises RequestError."""
        started = time.perf_counter()
        photo = self._decoded(data, options)
        decoded = time.perf_counter()
        depth = self._infer(photo, options.input_size)
        inferred = time.perf_counter()
        if isinstance(options, HeatmapOptions) and options.side_by_side:
            rendered = _side_by_side(photo, depth, options)
        else:
            width, height = photo.width, photo.height
            del photo  # its pixels are not needed any more, and the result may be as large
            rendered = _rendered(_sized(depth, width, height, options.size), options)
        seconds = {"decode": decoded - started, "infer": inferred - decoded, "render": time.perf_counter() - inferred}
        return Answer(**vars(rendered), model=self.model.name, seconds=seconds)

    def _decoded(self, data: bytes, options: Options) -> Photo:
        shown = isinstance(options, HeatmapOptions) and options.side_by_side
        return self.decode(data, options.input_size, shown=SIDE_BY_SIDE_MAX_SIDE if shown else 0)

    def decode(self, data: bytes, input_size: int | None = None, *, shown: int = 0) -> Photo:
        """Decode a photo with no more detail than the network, or a picture of `shown` pixels a side, will need.

        Raises RequestError.
        """
        size = self._checked_input_size(input_size)
        return decode(data, max_pixels=self.max_pixels, enough=max(_DECODE_MARGIN * size, shown))

    def depth(self, photo: Photo, *, input_size: int | None = None, size: OutputSize = OutputSize.SOURCE) -> DepthMap:
        """Estimate the depth of a decoded photo. Raises InvalidParameter."""
        return _sized(self._infer(photo, input_size), photo.width, photo.height, size)

    def _infer(self, photo: Photo, input_size: int | None) -> DepthMap:
        """Depth on the network's own grid."""
        width, height = self._network_size(photo, self._checked_input_size(input_size))
        values = self.model.inverse_depth(to_network_input(photo.pixels, width, height, self.model.input))
        return DepthMap.of(values, self.model.name)

    def _network_size(self, photo: Photo, size: int) -> tuple[int, int]:
        """What the network sees, never more than a square of the largest input size: memory follows the area."""
        spec = self.model.input
        width, height = network_size(photo.width, photo.height, spec, size)
        while width * height > self.max_input_size**2 and size > spec.size:
            size -= spec.multiple
            width, height = network_size(photo.width, photo.height, spec, size)
        return width, height

    def _checked_input_size(self, input_size: int | None) -> int:
        spec = self.model.input
        if input_size is None or input_size == spec.size:
            return spec.size
        if spec.rule is ResizeRule.STRETCH:
            raise InvalidParameter(f"input_size: the model {self.model.name} takes {spec.size} only. Leave it out.")
        if input_size % spec.multiple or not spec.multiple <= input_size <= self.max_input_size:
            raise InvalidParameter(
                f"input_size: {input_size} does not fit. It must be a multiple of {spec.multiple}, "
                f"at least {spec.multiple} and at most {self.max_input_size}."
            )
        return input_size


def _sized(depth: DepthMap, width: int, height: int, size: OutputSize) -> DepthMap:
    if size is OutputSize.MODEL:
        return depth
    return DepthMap.of(upsample(depth.values, width, height), depth.model)


def _side_by_side(photo: Photo, depth: DepthMap, options: HeatmapOptions) -> _Rendered:
    """A photo beside its heatmap. Both are shrunk before anything is made of them: memory follows their bound."""
    scale = min(1.0, SIDE_BY_SIDE_MAX_SIDE / max(photo.width, photo.height))
    width, height = max(1, round(scale * photo.width)), max(1, round(scale * photo.height))
    depth = _sized(depth, width, height, options.size)
    pixels = resized(photo.pixels, depth.width, depth.height)
    body = encode.side_by_side_png(pixels, levels(depth.values), options.colormap, invert=options.invert)
    return _Rendered(body, "image/png", "uint8", (depth.height, 2 * depth.width), depth.min, depth.max)


def _rendered(depth: DepthMap, options: Options) -> _Rendered:
    """Encode a map as the options ask. The map is let go as soon as it can be: it may be the largest array there is."""
    if isinstance(options, DepthOptions) and options.normalize:
        depth = depth.normalized()
    shape, low, high = (depth.height, depth.width), depth.min, depth.max
    if isinstance(options, HeatmapOptions):
        heat = levels(depth.values)
        del depth
        body = encode.heatmap_png(heat, options.colormap, invert=options.invert, palette=options.palette)
        return _Rendered(body, "image/png", "uint8", shape, low, high)
    if options.format is DepthFormat.PNG16:
        return _Rendered(encode.png16(depth.values), "image/png", "uint16", shape, low, high)
    half = depth.float16()
    del depth
    if options.format is DepthFormat.NPY:
        return _Rendered(encode.npy(half), "application/x-npy", "float16", shape, low, high)
    return _Rendered(encode.float16_bytes(half), "application/octet-stream", "float16", shape, low, high)
