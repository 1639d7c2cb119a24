"""Photo bytes and options to result bytes: the one place that joins imaging and model."""

from __future__ import annotations

import time
from dataclasses import dataclass

from depthsvc.depth import DepthMap
from depthsvc.errors import InvalidParameter
from depthsvc.imaging import encode
from depthsvc.imaging.decode import Photo, decode
from depthsvc.imaging.resize import ResizeRule, network_size, to_network_input, upsample
from depthsvc.model.loading import Model, PreparedModel, open_model
from depthsvc.options import DepthFormat, HeatmapOptions, Options, OutputSize

_DECODE_MARGIN = 2
"""A JPEG is decoded to at least this many times the network's input size. On six photos of 8 to 22 megapixels the
embedded model's depth then differed from that of a full decode by 0.2 to 1 % of its range, mean over the photo."""


@dataclass(frozen=True)
class Answer:
    """What a photo became."""

    body: bytes
    media_type: str
    model: str
    shape: tuple[int, int]
    """Height and width of the result."""
    dtype: str
    """NumPy's name for the numbers in the body."""
    min: float
    """Inverse depth of the farthest point, in the units of the body for formats that hold depth."""
    max: float
    """Inverse depth of the nearest point."""
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
        photo = self.decode(data, options.input_size)
        decoded = time.perf_counter()
        depth = self._infer(photo, options.input_size)
        inferred = time.perf_counter()
        depth = _sized(depth, photo, options.size)
        body, media_type, dtype, depth = _encode(depth, options)
        return Answer(
            body,
            media_type,
            self.model.name,
            (depth.height, depth.width),
            dtype,
            depth.min,
            depth.max,
            {
                "decode": decoded - started,
                "infer": inferred - decoded,
                "render": time.perf_counter() - inferred,
            },
        )

    def decode(self, data: bytes, input_size: int | None = None) -> Photo:
        """Decode a photo with no more detail than the network will need. Raises RequestError."""
        size = self._checked_input_size(input_size)
        return decode(data, max_pixels=self.max_pixels, enough=_DECODE_MARGIN * size)

    def depth(self, photo: Photo, *, input_size: int | None = None, size: OutputSize = OutputSize.SOURCE) -> DepthMap:
        """Estimate the depth of a decoded photo. Raises InvalidParameter."""
        return _sized(self._infer(photo, input_size), photo, size)

    def _infer(self, photo: Photo, input_size: int | None) -> DepthMap:
        """Depth on the network's own grid."""
        spec = self.model.input
        width, height = network_size(photo.width, photo.height, spec, self._checked_input_size(input_size))
        values = self.model.inverse_depth(to_network_input(photo.pixels, width, height, spec))
        return DepthMap.of(values, self.model.name)

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


def _sized(depth: DepthMap, photo: Photo, size: OutputSize) -> DepthMap:
    if size is OutputSize.MODEL:
        return depth
    return DepthMap.of(upsample(depth.values, photo.width, photo.height), depth.model)


def _encode(depth: DepthMap, options: Options) -> tuple[bytes, str, str, DepthMap]:
    """Body, media type, dtype, and the map whose values they are."""
    if isinstance(options, HeatmapOptions):
        body = encode.heatmap_png(depth.values, options.colormap, invert=options.invert, palette=options.palette)
        return body, "image/png", "uint8", depth
    if options.normalize:
        depth = depth.normalized()
    match options.format:
        case DepthFormat.F16:
            return encode.float16_bytes(depth.float16()), "application/octet-stream", "float16", depth
        case DepthFormat.NPY:
            return encode.npy(depth.float16()), "application/x-npy", "float16", depth
        case DepthFormat.PNG16:
            return encode.png16(depth.values), "image/png", "uint16", depth
