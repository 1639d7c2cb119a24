"""Photo bytes and options to result bytes: decode, infer, render, encode."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from depthsvc.depth import DepthMap
from depthsvc.errors import TooExpensive
from depthsvc.imaging.blocks import extremes
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.formats import header_of
from depthsvc.imaging.photo.pixels import NONE, Enough, Photo
from depthsvc.imaging.resize import colours_of, to_network_input
from depthsvc.imaging.spec import InputSpec
from depthsvc.model.loaded import Model, open_model
from depthsvc.model.spec import PreparedModel
from depthsvc.options import FrameOptions, HeatmapOptions, Options
from depthsvc.pipeline.answer import Answer, SeenFrame
from depthsvc.pipeline.cost import NORMAL, works_of
from depthsvc.pipeline.finishing import finished
from depthsvc.pipeline.limits import Limits
from depthsvc.pipeline.memory import memory_bounded
from depthsvc.pipeline.prices import Prices, Works
from depthsvc.pipeline.rendering import renderer_for

Floats = NDArray[np.float32]

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


@dataclass(frozen=True, eq=False)
class View:
    """A photo as a network gets it."""

    planes: Floats
    """(1, 3, h, w), normalised as `spec` says."""
    width: int
    """Of the photo, like `height`."""
    height: int
    spec: InputSpec

    @cached_property
    def colours(self) -> Floats:
        """RGB (h, w, 3), 0..1."""
        return colours_of(self.planes, self.spec)


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
        renderer, file_format = renderer_for(options, self.model.spec), options.file_format
        clock = _Clock()
        header = header_of(data)
        renderer.check(header.width, header.height)
        works = works_of(header, options, self.limits)
        listed = self._prices.listed_s(works)
        photo = self._decoded(data, options, works, listed)
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
            *extremes(drawing.depth.values),
            depth.model,
            drawing.depth.kind,
            drawing.depth.enlargement,
            clock.seconds,
            orientation,
            fov,
            clock.cpu_seconds,
        )

    def frame(self, data: bytes, options: FrameOptions) -> SeenFrame:
        """Decode a frame of a stream and have the network see it, or only decode it. Raises RequestError.

        What steadies a stream needs the picture as well as the depth, and comes before `finished`.
        """
        clock = _Clock()
        priced = options.priced_as
        works = works_of(header_of(data), priced, self.limits)
        listed = self._prices.listed_s(works)
        photo = self._decoded(data, priced, works, listed)
        clock.lap("decode")
        view = self.see(photo, options.input_size)
        values = self.predict(view) if options.predict else np.empty((0, 0), np.float32)
        clock.lap("infer")
        frame = SeenFrame.of(
            values, view.colours, (photo.width, photo.height), self.model.spec, clock.seconds, clock.cpu_seconds
        )
        clock.lap("render")
        if options.predict:
            self._prices.learn(works, listed, clock.cpu_seconds)
        return frame

    def _decoded(self, data: bytes, options: Options, works: Works, listed: Mapping[str, float]) -> Photo:
        """A photo with no more detail than the network and the result need, for not much more than its price."""
        bounds = self.limits.bounds(options.input_size, renderer_for(options, self.model.spec).enough)
        with memory_bounded(_ROOM_BYTES + _ROOM * self._prices.decoding_bytes(works["decode"])):
            return decode(data, replace(bounds, check_time=self._decoding_timer(works, listed)))

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
        view = self.see(photo, input_size)
        return self.finish(view, self.predict(view))

    def see(self, photo: Photo, input_size: int | None = None) -> View:
        """A decoded photo as the network gets it. Raises InvalidParameter."""
        width, height = self.limits.network_size(photo.width, photo.height, input_size)
        size, spec = (photo.width, photo.height), self.model.spec.input
        return View(to_network_input(photo.pixels, width, height, spec, size), *size, spec)

    def predict(self, view: View) -> Floats:
        """What the network itself makes of it, (h', w'): depth of the kind that the model's users get."""
        values = self.model.depth(view.planes)
        if not self.model.spec.mirrored:
            return values
        mirrored = self.model.depth(np.ascontiguousarray(view.planes[..., ::-1]))[:, ::-1]
        return np.asarray((values + mirrored) * np.float32(0.5), np.float32)

    def finish(self, view: View, values: Floats) -> DepthMap:
        """What the network predicted as a map: with the photo's edges if they are part of the model."""
        return finished(self.model.spec, values, lambda: view.colours, (view.width, view.height))
