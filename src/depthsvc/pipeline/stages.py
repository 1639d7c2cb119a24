"""Photo bytes and options to result bytes: decode, infer, render, encode."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from depthsvc.depth import DepthMap
from depthsvc.errors import TooExpensive
from depthsvc.imaging.edges import follow_edges
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.formats import header_of
from depthsvc.imaging.photo.pixels import NONE, Enough, Photo
from depthsvc.imaging.resize import colours_of, reflected_margin, to_network_input
from depthsvc.model.loaded import Model, open_model
from depthsvc.model.spec import PreparedModel
from depthsvc.options import HeatmapOptions, Options
from depthsvc.pipeline.answer import Answer
from depthsvc.pipeline.cost import NORMAL, works_of
from depthsvc.pipeline.limits import Limits
from depthsvc.pipeline.memory import memory_bounded
from depthsvc.pipeline.prices import Prices, Works
from depthsvc.pipeline.rendering import renderer_for

_ROOM, _ROOM_BYTES = 1.5, 150e6
"""A decoder gets so many times its photo's price in memory, and so many bytes: a file can be made to take more."""
_OVERRUN = 4 / 3
"""A photo may cost so many times the largest price: a file can be made to take longer than its header tells."""


class _Clock:
    """Measures stages: time passed, and processor time of all threads of this process."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self._last = time.perf_counter(), time.process_time()

    def lap(self, stage: str) -> None:
        """A stage has ended, and the next one begins."""
        now = time.perf_counter(), time.process_time()
        self.seconds[stage], self.cpu_seconds[stage] = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now


class Pipeline:
    """A model with everything around it, for one process. Not thread-safe."""

    def __init__(self, model: Model, *, max_pixels: int, max_input_size: int, max_cost: float = math.inf) -> None:
        """`max_cost`: largest cost of a photo, as a multiple of a normal photo's."""
        self.model = model
        self.limits = Limits(model.spec, max_pixels, max_input_size)
        self._max_cost = max_cost
        self._prices = Prices()

    @classmethod
    def open(
        cls, prepared: PreparedModel, *, max_pixels: int, max_input_size: int, max_cost: float = math.inf
    ) -> Pipeline:
        """Load the model into this process without warming it. Raises ModelError."""
        return cls(open_model(prepared), max_pixels=max_pixels, max_input_size=max_input_size, max_cost=max_cost)

    def answer(self, data: bytes, options: Options) -> Answer:
        """Decode a photo, estimate its depth, and render and encode the result. Raises RequestError."""
        renderer, file_format = renderer_for(options), options.file_format
        clock = _Clock()
        header = header_of(data)
        renderer.check(header.width, header.height)
        works = works_of(header, options, self.limits)
        listed = self._prices.listed_s(works)
        bounds = self.limits.bounds(options.input_size, renderer.enough)
        with memory_bounded(_ROOM_BYTES + _ROOM * self._prices.decoding_bytes(works["decode"])):
            photo = decode(data, replace(bounds, check_time=self._decoding_timer(works, listed)))
        clock.lap("decode")
        orientation, fov = photo.orientation, photo.fov
        depth = self.infer(photo, options.input_size)
        clock.lap("infer")
        photo = renderer.without_unneeded_pixels(photo)
        drawing = renderer.draw(photo, depth)
        del photo  # the result may be as large
        body = file_format.encode(drawing.content, about=drawing.depth.about, **options.style)
        clock.lap("render")
        self._prices.learn(works, listed, clock.cpu_seconds)
        return Answer(
            body,
            file_format.media_type,
            file_format.dtype,
            drawing.shape,
            drawing.depth.min,
            drawing.depth.max,
            depth.model,
            drawing.depth.kind,
            depth.enlargement,
            clock.seconds,
            orientation,
            fov,
            clock.cpu_seconds,
        )

    def _decoding_timer(self, works: Works, listed: Mapping[str, float]) -> Callable[[], None]:
        """Raises TooExpensive once decoding has taken what the largest cost leaves it, as photos take it here."""
        expected = self._prices.expected_s(works, listed)
        normal_s = self._prices.normal_s(works_of(NORMAL, HeatmapOptions(), self.limits))
        ends = time.thread_time() + _OVERRUN * self._max_cost * normal_s - expected["infer"] - expected["render"]

        def check() -> None:
            if time.thread_time() > ends:
                raise TooExpensive(
                    f"Decoding this photo takes far longer than its header tells, more than {self._max_cost:g} times "
                    "the work of a normal photo. Save it again with another program."
                )

        return check

    def decode(self, data: bytes, input_size: int | None = None, *, enough: Enough = NONE) -> Photo:
        """Decode a photo with no more detail than the network and `enough` need. Raises RequestError."""
        return decode(data, self.limits.bounds(input_size, enough))

    def infer(self, photo: Photo, input_size: int | None = None) -> DepthMap:
        """Depth of a decoded photo on the network's own grid. Raises InvalidParameter."""
        width, height = self.limits.network_size(photo.width, photo.height, input_size)
        spec = self.model.spec
        planes = to_network_input(photo.pixels, width, height, spec.input, (photo.width, photo.height))
        values = self.model.depth(planes)
        if spec.mirrored:
            values = (values + self.model.depth(np.ascontiguousarray(planes[..., ::-1]))[:, ::-1]) * np.float32(0.5)
        if spec.follows_edges:
            valid = DepthMap.of(values, spec.name).values
            values = follow_edges(colours_of(planes, spec.input), valid)
        kind = spec.output.depth_kind
        if not spec.input.padded:
            return DepthMap.of(values, spec.name, spec.enlargement, kind)
        margins = (reflected_margin(photo.height) / photo.height, reflected_margin(photo.width) / photo.width)
        return DepthMap.within(values, margins, spec.name, spec.enlargement, kind)
