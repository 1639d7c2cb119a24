"""Heatmaps as Y4M, uncompressed pictures that programs pass to each other through pipes."""

from __future__ import annotations

from fractions import Fraction
from typing import BinaryIO

from depthsvc.video.colour import UNSPECIFIED, colour_of
from depthsvc.video.pictures import Planes
from depthsvc.video.reading import VideoInfo
from depthsvc.video.timing import USUAL_RATE

_LIMITED = 1


class Y4MWriter:
    """Pictures in 4:2:0, one after the other. Y4M has no times: each is shown for 1 / `info.rate`."""

    def __init__(self, stream: BinaryIO, *, info: VideoInfo, width: int, height: int) -> None:
        """Write the header. `info`: of the source, whose rate and pixel shape the stream gets. Raises OSError."""
        self.size = (width, height)
        self.colour = colour_of(UNSPECIFIED, _LIMITED, UNSPECIFIED, UNSPECIFIED, size=self.size, pixel_format="yuv420p")
        """What readers assume: a header has no matrix."""
        self._stream = stream
        rate, aspect = (info.rate or USUAL_RATE), info.sample_aspect_ratio
        words = (
            f"YUV4MPEG2 W{width} H{height} F{rate.numerator}:{rate.denominator} Ip "
            f"A{aspect.numerator}:{aspect.denominator} C420jpeg XCOLORRANGE=LIMITED\n"
        )
        stream.write(words.encode())

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._stream.flush()

    def write_yuv(self, planes: Planes, time: Fraction, duration: Fraction | None = None) -> None:
        """Add a picture from its planes in `colour`: Y (height, width), U and V of half of both, rounded up.

        `time`, `duration`: not used. Raises OSError.
        """
        self._stream.write(b"FRAME\n")
        for plane in planes:
            self._stream.write(plane.tobytes())
