"""Video files to frames: each upright, with its exact presentation time, one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from depthsvc.errors import VideoError
from depthsvc.video.colour import Colour
from depthsvc.video.endings import is_cut_off
from depthsvc.video.library import (
    Source,
    av,
    declared_size,
    is_video_codec,
    name_of,
    open_source,
    reason_of,
    too_many_pixels,
)
from depthsvc.video.pictures import Planes, Scaler, picture_colour
from depthsvc.video.timing import JUMP_S, USUAL_RATE, Clock, Seconds, Selection, Window


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before its frames are read."""

    width: int
    """Width in pixels as displayed, after rotation."""
    height: int
    rate: Fraction | None = None
    """Average frames a second."""
    time_base: Fraction = Fraction(1, 90_000)
    """Seconds of which all presentation times are multiples."""
    frames: int | None = None
    """Expected number of frames; a guess, for progress."""
    duration_s: float | None = None
    """Expected duration in seconds of what is read."""
    rotation: int = 0
    """Degrees clockwise by which the stored pictures have been turned: 0, 90, 180 or 270."""
    sample_aspect_ratio: Fraction = Fraction(1)
    """Width of a pixel over its height, as displayed."""
    colour: Colour = field(default_factory=Colour)
    audio: tuple[str, ...] = ()
    """Codecs of its audio streams, by FFmpeg's names."""
    path: Path | None = None
    """The file, if it is one."""

    @property
    def is_hdr(self) -> bool:
        """Whether it is HDR, which `Frame.rgb` maps to SDR."""
        return self.colour.is_hdr


@dataclass(frozen=True)
class Frame:
    """One frame."""

    index: int
    """Its number among those delivered, from 0."""
    time: Fraction
    """Presentation time in seconds from the beginning of the file."""
    duration: Fraction | None
    """How many seconds it is shown, if the file says it."""
    width: int
    """Of the video in pixels as displayed, like `height`."""
    height: int
    picture: av.VideoFrame
    """The decoded picture as stored: neither turned nor converted."""
    _scaler: Scaler

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        """Upright sRGB (height, width, 3) from 0 to 255, scaled, averaging over areas when it is shrunk.

        HDR is mapped to SDR. May be called from any thread.
        """
        return self._scaler.rgb(self.picture, width, height)

    def planes(self, width: int, height: int, colour: Colour) -> Planes:
        """The upright picture, scaled, as Y, U and V of `colour`; HDR is mapped to SDR."""
        return self._scaler.planes(self.picture, width, height, colour)


class VideoReader:
    """The frames of one video, in one pass and in order of presentation. A context manager.

    Frames without a presentation time follow the one before at the video's rate. Times increase strictly: one that
    repeats, or goes back by up to a second, becomes the next multiple of the time base; one that goes back further
    begins a new count after the frame before. Variable frame rates stay as they are, and edit lists are applied.
    """

    def __init__(
        self,
        source: Source | str,
        *,
        max_pixels: int,
        start_s: Seconds | None = None,
        end_s: Seconds | None = None,
        max_fps: Seconds | None = None,
        threads: int = 1,
    ) -> None:
        """Open a file, or an open binary file or pipe, and decode its first frame.

        `max_pixels`: largest width times height, checked before anything is decoded. `start_s`, `end_s`: seconds from
        the beginning of the file; frames from `start_s` on and before `end_s` are delivered. `max_fps`: most frames a
        second; others are left out. `threads`: of the decoder.

        Raises VideoError if it is not a video that can be read, and TooManyPixels.
        """
        self._source: Source = Path(source) if isinstance(source, str) else source
        self._window = Window.of(start_s, end_s, max_fps)
        self._max_pixels = max_pixels
        self._threads = threads
        self.name = name_of(self._source)
        """What messages call it."""
        self.damaged = 0
        """How many packets could not be decoded or are missing, of those read so far."""
        self._is_cut_off = False
        """Whether the file ended before its end."""
        self._container = open_source(self._source, max_pixels)
        try:
            self._stream = self._video_stream()
            self._origin = _origin(self._container)
            self._pictures = self._decoded()
            self._first = self._first_picture()
            self._scaler = Scaler(self._first)
            self.info = self._info()
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Frames that have been delivered stay usable."""
        self._container.close()

    @property
    def origin(self) -> Fraction:
        """Time stamp, in seconds, of the file's beginning."""
        return self._origin

    @property
    def start(self) -> Fraction:
        """First presentation time that is delivered, in seconds."""
        return self._window.start

    @property
    def end(self) -> Fraction | None:
        """Presentation time before which delivery ends, in seconds."""
        return self._window.end

    @property
    def damage(self) -> str:
        """What is missing of it, of what has been read so far, for people; or empty."""
        left_out = f"{self.damaged} damaged packet(s) of {self.name} left out" if self.damaged else ""
        missing = f"the end of {self.name} is missing" if self._is_cut_off else ""
        return "; ".join(filter(None, (left_out, missing)))

    def __iter__(self) -> Iterator[Frame]:
        """Decode the frames. Damage is counted in `damaged` and skipped."""
        clock, selection = Clock(self.info.time_base, self.info.rate), Selection(self._window)
        index = 0
        for picture in self._from_start():
            time = clock.time(self._stamp(picture))
            if self._window.is_past(time):
                return
            if not selection.takes(time):
                continue
            size = self.info.width, self.info.height
            yield Frame(index, time, self._duration(picture, time), *size, picture, self._scaler)
            index += 1

    def _video_stream(self) -> av.VideoStream:
        """The first video stream that is not a cover. Raises VideoError and TooManyPixels."""
        streams = self._container.streams.video
        moving = [stream for stream in streams if not stream.disposition & av.stream.Disposition.attached_pic]
        if not moving:
            there = "a cover picture" if streams else "audio" if self._container.streams.audio else ""
            raise VideoError(f"{self.name} contains {f'only {there}, and ' if there else ''}no video.")
        stream = moving[0]
        context = stream.codec_context
        if context is None or not is_video_codec(context.codec.name):
            codec = context.name if context is not None else "unknown"
            raise VideoError(f"{self.name} has a video codec that is not supported: {codec}.")
        self._check_size(*((context.width, context.height) if context.width else declared_size(self._source)))
        context.options = {"max_pixels": str(self._max_pixels)}
        context.thread_count = self._threads
        if self._threads > 1:
            context.thread_type = "AUTO"
        for other in self._container.streams:
            if other is not stream:
                other.discard = av.stream.Discard.all
        return stream

    def _check_size(self, width: int, height: int) -> None:
        if not width or not height:
            raise VideoError(
                f"{self.name} has no picture size that can be read, or pictures larger than "
                f"{self._max_pixels / 1e6:g} megapixels."
            )
        if width * height > self._max_pixels:
            raise too_many_pixels(self.name, width, height, self._max_pixels)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Pictures as stored, in order of presentation, past any damage."""
        packets = 0
        demuxed = self._container.demux(self._stream)
        while True:
            try:
                packet = next(demuxed, None)
            except (av.FFmpegError, OSError):
                self.damaged += 1
                packet = None
            if packet is None:
                break
            packets += packet.size > 0
            yield from self._pictures_of(packet)
        yield from self._pictures_of(None)
        self.damaged += max(0, self._indexed() - packets)
        if isinstance(self._source, Path) and self._source.is_file():
            with suppress(OSError):  # of a file that is gone meanwhile
                self._is_cut_off = is_cut_off(self._source)

    def _pictures_of(self, packet: av.Packet[av.VideoStream] | None) -> list[av.VideoFrame]:
        try:
            return self._stream.codec_context.decode(packet)
        except av.error.EOFError:
            return []
        except av.FFmpegError:
            self.damaged += 1
            return []

    def _indexed(self) -> int:
        """How many packets an MP4's index lists; 0 for other formats, and for a part of a file."""
        whole = not self.start and self._container.format.name.startswith("mov")
        return len(self._stream.index_entries) if whole else 0

    def _why_no_picture(self) -> str:
        is_pipe = not isinstance(self._source, Path) and not self._source.seekable()
        if is_pipe and self._container.format.name.startswith("mov"):
            return (
                f"{self.name} is an MP4 with its index at the end, or damaged: from a pipe no frame of it can be "
                "decoded. Name the file instead, or move its index to the front: "
                "ffmpeg -i IN -c copy -movflags faststart OUT"
            )
        return f"{self.name} is damaged or incomplete: no frame of it can be decoded."

    def _first_picture(self) -> av.VideoFrame:
        try:
            first = next(self._pictures, None)
        except (OSError, ValueError) as error:
            raise VideoError(f"{self.name} cannot be read: {reason_of(error)}.") from error
        if first is None:
            raise VideoError(self._why_no_picture())
        self._check_size(first.width, first.height)
        return first

    def _from_start(self) -> Iterator[av.VideoFrame]:
        """The pictures from the last key frame before `start` on, or from the first."""
        if self.start > JUMP_S and self._sought():
            self._pictures = self._decoded()
        else:
            yield self._first
        del self._first
        yield from self._pictures

    def _sought(self) -> bool:
        """Go to the last key frame before `start`. False, and still at the first frame, if there is no such index."""
        if self._first.pts is None or self._stream.time_base is None or not _is_seekable(self._source):
            return False
        first = self._stamp(self._first)
        ticks = math.floor((self.start + self._origin) / self._stream.time_base)
        for target in (ticks, self._first.pts):
            try:
                self._container.seek(target, stream=self._stream)
                found = next(self._decoded(), None)
                self._container.seek(target, stream=self._stream)
            except av.FFmpegError:
                break
            stamp = self._stamp(found) if found else None
            if stamp is not None and (stamp <= self.start or stamp == first):
                return True
        self._reopen()
        return True

    def _reopen(self) -> None:
        """Back to the beginning of a file in which nothing can be sought."""
        self._container.close()
        self._container = open_source(self._source, self._max_pixels)
        self._stream = self._video_stream()

    def _stamp(self, picture: av.VideoFrame) -> Fraction | None:
        """Seconds from the beginning of the file, as the file says it."""
        if picture.pts is None or picture.time_base is None:
            return None
        return picture.pts * picture.time_base - self._origin

    def _duration(self, picture: av.VideoFrame, time: Fraction) -> Fraction | None:
        if not picture.duration or picture.time_base is None:
            return None
        duration = Fraction(picture.duration * picture.time_base)
        return duration if self.end is None else min(duration, self.end - time)

    def _info(self) -> VideoInfo:
        stream, first = self._stream, self._first
        turn = self._scaler.turn
        width, height = (first.height, first.width) if turn.swapped else (first.width, first.height)
        ratio = stream.codec_context.sample_aspect_ratio or Fraction(1)
        rate = stream.average_rate or stream.guessed_rate or None
        duration = self._shown_s()
        return VideoInfo(
            width,
            height,
            rate=rate,
            time_base=stream.time_base or 1 / (rate or USUAL_RATE),
            frames=self._expected_frames(duration, rate),
            duration_s=duration,
            rotation=turn.degrees,
            sample_aspect_ratio=1 / ratio if turn.swapped else ratio,
            colour=picture_colour(first),
            audio=tuple(audio.codec_context.name for audio in self._container.streams.audio if audio.codec_context),
            path=self._source if isinstance(self._source, Path) else None,
        )

    def _shown_s(self) -> float | None:
        """Seconds from `start` to `end`, as far as they are in the file."""
        stream, container = self._stream, self._container
        if stream.duration and stream.time_base:
            whole = stream.duration * stream.time_base
        elif container.duration:
            whole = Fraction(container.duration, 1_000_000)
        else:
            return None
        return self._window.shown_s(whole)

    def _expected_frames(self, duration: float | None, rate: Fraction | None) -> int | None:
        if self._stream.frames and self._window.is_whole:
            return self._stream.frames
        if duration is None or not rate:
            return None
        return self._window.frames(duration, rate)


def _is_seekable(source: Source) -> bool:
    return source.is_file() if isinstance(source, Path) else source.seekable()


def _origin(container: av.container.InputContainer) -> Fraction:
    """Where time begins: at the first time stamp of a file whose time stamps begin late, or at 0."""
    stamps = [
        stream.start_time * stream.time_base
        for stream in (*container.streams.video, *container.streams.audio)
        if stream.start_time is not None and stream.time_base
    ]
    return max(Fraction(0), min(stamps, default=Fraction(0)))
