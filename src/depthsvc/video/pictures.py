"""Decoded pictures to upright pixels, by swscale."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from depthsvc.errors import VideoError
from depthsvc.video.colour import Colour, colour_of, sdr
from depthsvc.video.library import av, reason_of

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
"""Y (h, w), and U and V of half the rows and columns, rounded up: a picture in yuv420p."""

_AREA, _BICUBIC = 0x20, 4
"""swscale's ways to shrink and to enlarge."""
_MOST_SCALERS = 8


def picture_colour(picture: av.VideoFrame) -> Colour:
    """What the numbers of a decoded picture mean."""
    return colour_of(
        picture.colorspace,
        picture.color_range,
        picture.color_primaries,
        picture.color_trc,
        size=(picture.width, picture.height),
        pixel_format=picture.format.name,
    )


@dataclass(frozen=True)
class Turn:
    """How stored rows and columns become upright ones: first swapped, then mirrored."""

    swapped: bool = False
    mirrored: bool = False
    """Right and left."""
    upside_down: bool = False

    @property
    def degrees(self) -> int:
        """Clockwise."""
        if self.swapped:
            return 90 if self.mirrored else 270
        return 180 if self.upside_down else 0

    def upright(self, stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Rows and columns as a person sees them."""
        if self.swapped:
            stored = stored.swapaxes(0, 1)
        if self.mirrored:
            stored = stored[:, ::-1]
        if self.upside_down:
            stored = stored[::-1]
        return np.ascontiguousarray(stored)


def turn_of(picture: av.VideoFrame) -> Turn:
    """From the display matrix, to the nearest quarter turn."""
    try:
        data = picture.side_data.get("DISPLAYMATRIX")
    except (KeyError, ValueError):  # side data that PyAV has no name for
        data = None
    if data is None:
        return {90: Turn(True, False, True), 180: Turn(False, True, True), 270: Turn(True, True, False)}.get(
            picture.rotation % 360, Turn()
        )
    a, b, _, c, d = np.frombuffer(bytes(cast(bytes, data)), np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(False, a < 0, d < 0)
    return Turn(True, c < 0, b < 0)


class Scaler:
    """Pictures of one video, converted by swscale and turned upright. Its methods may be called from any thread."""

    def __init__(self, first: av.VideoFrame) -> None:
        self.turn = turn_of(first)
        self._reformatters: dict[tuple[str, int, int], av.video.reformatter.VideoReformatter] = {}
        self._lock = threading.Lock()

    def rgb(self, picture: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        """As `Frame.rgb`."""
        colour = picture_colour(picture)
        size = (height, width) if self.turn.swapped else (width, height)
        if colour.is_hdr:
            deep = self._scaled(picture, "rgb48le", *size, colour, None).to_ndarray()
            return self.turn.upright(sdr(deep.astype(np.uint16, copy=False), colour.transfer))
        pixels = self._scaled(picture, "rgb24", *size, colour, None).to_ndarray()
        return self.turn.upright(pixels.astype(np.uint8, copy=False))

    def planes(self, picture: av.VideoFrame, width: int, height: int, target: Colour) -> Planes:
        """As `Frame.planes`, in the colour `target`."""
        colour = picture_colour(picture)
        if colour.is_hdr:
            upright = av.VideoFrame.from_ndarray(self.rgb(picture, width, height), "rgb24")
            return planes_of(self._scaled(upright, "yuv420p", width, height, target, target))
        size = (height, width) if self.turn.swapped else (width, height)
        y, u, v = planes_of(self._scaled(picture, "yuv420p", *size, colour, target))
        return self.turn.upright(y), self.turn.upright(u), self.turn.upright(v)

    def _scaled(
        self, picture: av.VideoFrame, pixel_format: str, width: int, height: int, colour: Colour, target: Colour | None
    ) -> av.VideoFrame:
        shrinks = width <= picture.width and height <= picture.height
        try:
            with self._lock:
                return self._reformatter(pixel_format, width, height).reformat(
                    picture,
                    width,
                    height,
                    pixel_format,
                    src_colorspace=colour.scaler_code,
                    src_color_range=colour.range_code,
                    dst_colorspace=target.scaler_code if target else None,
                    dst_color_range=target.range_code if target else None,
                    interpolation=_AREA if shrinks else _BICUBIC,
                    threads=1,
                )
        except av.FFmpegError as error:
            kind = f"{picture.width} x {picture.height} pixels in {picture.format.name}"
            raise VideoError(f"A picture of {kind} cannot be converted: {reason_of(error)}.") from error

    def _reformatter(self, *key: *tuple[str, int, int]) -> av.video.reformatter.VideoReformatter:
        """Each keeps what swscale prepares for one kind of conversion."""
        if key not in self._reformatters and len(self._reformatters) == _MOST_SCALERS:
            self._reformatters.clear()
        return self._reformatters.setdefault(key, av.video.reformatter.VideoReformatter())


def planes_of(picture: av.VideoFrame) -> Planes:
    """Views of the planes of a picture in yuv420p or yuv444p."""
    y, u, v = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in picture.planes
    )
    return y, u, v
