"""Photo bytes and options to result bytes: decode, infer, render, encode."""

from __future__ import annotations

import time

from depthsvc.depth import DepthMap
from depthsvc.errors import InvalidParameter
from depthsvc.imaging.edges import follow_edges
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.pixels import Photo
from depthsvc.imaging.resize import colours_of, network_size, to_network_input
from depthsvc.imaging.spec import Enlargement, ResizeRule
from depthsvc.model.loaded import Model, open_model
from depthsvc.model.spec import PreparedModel
from depthsvc.options import Options
from depthsvc.pipeline.answer import Answer
from depthsvc.pipeline.rendering import renderer_for

_DECODE_MARGIN = 2
"""A JPEG is decoded to at least this many times the network's input size. On six photos of 8 to 22 megapixels the
embedded model's depth then differed from that of a full decode by 0.2 to 1 % of its range, mean over the photo."""


class Pipeline:
    """A model with everything around it, for one process. Not thread-safe."""

    def __init__(self, model: Model, *, max_pixels: int, max_input_size: int) -> None:
        self.model = model
        self.max_pixels = max_pixels
        self.max_input_size = max_input_size

    @classmethod
    def open(cls, prepared: PreparedModel, *, max_pixels: int, max_input_size: int) -> Pipeline:
        """Load the model into this process without warming it. Raises ModelError."""
        return cls(open_model(prepared), max_pixels=max_pixels, max_input_size=max_input_size)

    def answer(self, data: bytes, options: Options) -> Answer:
        """Decode a photo, estimate its depth, and render and encode the result. Raises RequestError."""
        renderer, file_format = renderer_for(options), options.file_format
        started = time.perf_counter()
        photo = self.decode(data, options.input_size, enough=renderer.pixels_needed)
        decoded = time.perf_counter()
        depth = self.infer(photo, options.input_size)
        inferred = time.perf_counter()
        photo = renderer.without_unneeded_pixels(photo)
        drawing = renderer.draw(photo, depth)
        del photo  # the result may be as large
        body = file_format.encode(drawing.content, **options.style)
        rendered = time.perf_counter()
        return Answer(
            body,
            file_format.media_type,
            file_format.dtype,
            drawing.shape,
            drawing.min,
            drawing.max,
            depth.model,
            depth.enlargement,
            {"decode": decoded - started, "infer": inferred - decoded, "render": rendered - inferred},
        )

    def decode(self, data: bytes, input_size: int | None = None, *, enough: float = 0) -> Photo:
        """Decode a photo with no more detail than needed. Raises RequestError.

        `enough`: keep at least this many pixels of the shorter side.
        """
        size = self._checked_input_size(input_size)
        return decode(data, max_pixels=self.max_pixels, enough=max(enough, _DECODE_MARGIN * size))

    def infer(self, photo: Photo, input_size: int | None = None) -> DepthMap:
        """Depth of a decoded photo on the network's own grid. Raises InvalidParameter."""
        width, height = self._network_size(photo, self._checked_input_size(input_size))
        planes = to_network_input(photo.pixels, width, height, self.model.spec.input)
        depth = DepthMap.of(self.model.inverse_depth(planes), self.model.spec.name)
        if not self.model.spec.follows_edges:
            return depth
        values = follow_edges(colours_of(planes, self.model.spec.input), depth.values)
        return DepthMap.of(values, self.model.spec.name, Enlargement.BILINEAR)

    def _network_size(self, photo: Photo, size: int) -> tuple[int, int]:
        """Width and height of the network input, no larger in area than `max_input_size` squared, to limit memory."""
        spec = self.model.spec.input
        width, height = network_size(photo.width, photo.height, spec, size)
        while width * height > self.max_input_size**2 and size > spec.size:
            size -= spec.multiple
            width, height = network_size(photo.width, photo.height, spec, size)
        return width, height

    def _checked_input_size(self, input_size: int | None) -> int:
        spec = self.model.spec.input
        if input_size is None or input_size == spec.size:
            return spec.size
        if spec.rule is ResizeRule.STRETCH:
            raise InvalidParameter(
                f"input_size: the model {self.model.spec.name} only accepts {spec.size}. Leave it out."
            )
        if input_size % spec.multiple or not spec.multiple <= input_size <= self.max_input_size:
            raise InvalidParameter(
                f"input_size: {input_size} is not valid. Use a multiple of {spec.multiple}, "
                f"at least {spec.multiple} and at most {self.max_input_size}."
            )
        return input_size
