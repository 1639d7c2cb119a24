"""Pictures at a constant rate as the frames of a video: what a folder and a pipe of raw pictures have in common."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from depthsvc.errors import VideoError
from depthsvc.video.library import av
from depthsvc.video.pictures import Scaler, picture_colour
from depthsvc.video.reading import Frame, VideoInfo
from depthsvc.video.timing import Selection, Window

Pixels = NDArray[np.uint8]
"""RGB (height, width, 3), upright sRGB from 0 to 255."""


class PictureSequence:
    """The frames of a sequence of pictures, in one pass. The time of each is its number over the rate."""

    def __init__(
        self,
        name: str,
        pictures: Iterator[Pixels | None],
        *,
        rate: Fraction,
        window: Window,
        count: int | None = None,
    ) -> None:
        """Take the first picture.

        `name`: what messages call it. `pictures`: all of one size; None for one that cannot be decoded, which is left
        out. `rate`: frames a second. `count`: of all pictures, if known.

        Raises VideoError if there is none, and what `pictures` raises.
        """
        self.name = name
        self._window = window
        self._rate = rate
        self.damaged = 0
        """How many pictures could not be decoded, of those read so far."""
        self._pictures = enumerate(pictures)
        self._current = self._next()
        if self._current is None:
            raise VideoError(f"{name} has no picture that can be decoded.")
        height, width, _ = self._current[1].shape
        stored = _stored(self._current[1])
        self._scaler = Scaler(stored)
        duration = None if count is None else window.shown_s(count / rate)
        self.info = VideoInfo(
            width,
            height,
            rate=rate,
            time_base=1 / rate,
            frames=None if duration is None else window.frames(duration, rate),
            duration_s=duration,
            colour=picture_colour(stored),
        )

    def __enter__(self) -> PictureSequence:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Nothing is open."""

    @property
    def start(self) -> Fraction:
        """First presentation time that is delivered, in seconds."""
        return self._window.start

    @property
    def damage(self) -> str:
        """What has been left out so far, for people; or empty."""
        return f"{self.damaged} damaged picture(s) of {self.name} left out" if self.damaged else ""

    def __iter__(self) -> Iterator[Frame]:
        """Read the pictures, which raises what their iterator raises."""
        selection = Selection(self._window)
        index = 0
        while self._current:
            number, pixels = self._current
            time = number / self._rate
            if self._window.is_past(time):
                return
            if selection.takes(time):
                size = self.info.width, self.info.height
                yield Frame(index, time, 1 / self._rate, *size, _stored(pixels), self._scaler)
                index += 1
            self._current = self._next()

    def _next(self) -> tuple[int, Pixels] | None:
        """The next picture that can be decoded, and its number from 0."""
        for number, pixels in self._pictures:
            if pixels is not None:
                return number, pixels
            self.damaged += 1
        return None


def _stored(pixels: Pixels) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
