"""Frames to video files, each shown at its exact time, with the audio of the source."""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from depthsvc.errors import ConfigurationError, VideoError
from depthsvc.video.library import av, reason_of
from depthsvc.video.pictures import Planes, planes_of
from depthsvc.video.reading import VideoInfo, VideoReader
from depthsvc.video.sound import Sound

Kind = Literal["heat", "gray16"]
Pixels = NDArray[np.uint8] | NDArray[np.uint16]

_UNFIT = (av.ArgumentError, av.error.InvalidDataError, av.error.PatchWelcomeError, av.error.PermissionError)
"""What FFmpeg's formats answer to packets that they cannot hold."""
_TEMPORARY = ".depthsvc-{}.part"
_FINEST = 1_000_000
"""Most ticks a second of a time base that is kept; MP4 has 32 bits for a duration."""
_FINEST_MPEG4 = 65_535
_FALLBACK = Fraction(1, 90_000)
_USUAL_RATE = Fraction(25)
_AREA = 0x20


@dataclass(frozen=True)
class _Codec:
    """A way to encode pictures."""

    encoder: str
    """FFmpeg's name."""
    longest: int
    """Most pixels of a side."""
    options: Mapping[str, str]
    crf: int | None = None
    """Quality if none is asked for."""
    preset: str | None = None
    """Speed if none is asked for; None: it has no presets."""
    tuning: Mapping[str, str] = field(default_factory=dict)
    """More options for that speed."""
    even: bool = False
    """Whether 4:2:0 pictures have an even number of rows and columns."""


_SMOOTH = {"mbtree": "1", "rc-lookahead": "10", "bf": "0", "partitions": "none"}
"""Heatmaps are smooth: looking ahead and no adaptive quantisation save more than half of the file, and without B-frames
and small partitions the encoder takes 0.7 of the time for 1.04 of the bytes."""
_QSCALE = 118
"""FFmpeg's unit of fixed quality (FF_QP2LAMBDA)."""
_CODECS = {
    "h264": _Codec("libx264", 16_384, {"aq-mode": "0"}, crf=18, preset="superfast", tuning=_SMOOTH, even=True),
    "hevc": _Codec(
        "libx265", 8192, {"x265-params": "log-level=none:pools=none"}, crf=20, preset="superfast", even=True
    ),
    "vp9": _Codec("libvpx-vp9", 65_535, {"b": "0", "deadline": "realtime", "cpu-used": "7", "row-mt": "1"}, crf=30),
    "mpeg4": _Codec("mpeg4", 8191, {"flags": "+qscale", "global_quality": str(3 * _QSCALE)}),
    "ffv1": _Codec("ffv1", 65_535, {"level": "3", "slicecrc": "1", "g": "1"}),
}


@dataclass(frozen=True)
class _Format:
    """A kind of file."""

    name: str
    """FFmpeg's name."""
    codecs: tuple[str, ...]
    """Codecs for pictures that are to be looked at; the first is the usual one."""
    audio: frozenset[str] | None
    """Codecs of audio that players of this format expect, or None for all."""
    audio_encoder: str = "aac"
    """For other audio."""
    options: Mapping[str, str] | None = None


_PCM = frozenset({"pcm_s16le", "pcm_s24le", "pcm_s16be", "pcm_s24be", "pcm_s32le", "pcm_f32le"})
_MP4_AUDIO = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})
_TAGS = {"movflags": "+faststart+use_metadata_tags"}
"""The index in front, so that browsers start at once; and metadata of any name."""
_NO_SHIFT = {"avoid_negative_ts": "disabled"}
"""AAC and MP3 begin before 0, with samples that are not played. The pictures are not moved for them."""
_FORMATS = {
    ".mp4": _Format("mp4", ("h264", "hevc", "vp9"), _MP4_AUDIO, options=_TAGS),
    ".m4v": _Format("mp4", ("h264", "hevc"), _MP4_AUDIO, options=_TAGS),
    ".mov": _Format("mov", ("h264", "hevc"), frozenset({"aac", "mp3", "ac3", "eac3", "alac"}) | _PCM, options=_TAGS),
    ".mkv": _Format("matroska", ("h264", "hevc", "vp9"), None, options=_NO_SHIFT),
    ".webm": _Format("webm", ("vp9",), frozenset({"opus", "vorbis"}), audio_encoder="libopus", options=_NO_SHIFT),
    ".avi": _Format(
        "avi",
        ("mpeg4",),
        frozenset({"mp3", "mp2", "ac3", "pcm_s16le"}),
        audio_encoder="libmp3lame",
        options=_NO_SHIFT,
    ),
}
SUFFIXES = tuple(_FORMATS)
"""Extensions of the files that can be written."""


class VideoWriter:
    """One video file, complete or not there at all. A context manager: it is there when its block ends without error.

    Presentation times are those that are given, less `start`, exactly in .mp4 and .mov, whose time base is the
    source's; to a millisecond in .mkv and .webm; and in .avi, which has no times, to a multiple of the frame's duration
    at the source's average rate. A frame is shown until the next; the last one for its own duration.

    An odd width or height is kept. H.264 and HEVC cannot hold one in 4:2:0, which is cropped by pairs of pixels, so
    those files are in 4:4:4; VP9 and MPEG-4 can.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        info: VideoInfo,
        width: int,
        height: int,
        kind: Kind = "heat",
        codec: str | None = None,
        crf: int | None = None,
        preset: str | None = None,
        audio_from: VideoReader | None = None,
        start: Fraction = Fraction(0),
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = False,
        threads: int = 1,
    ) -> None:
        """Begin a temporary file beside `path`, whose extension, one of `SUFFIXES`, chooses the format.

        `info`: of the source, whose rate, time base, colour and pixel shape the file gets. `kind`: heat for pictures
        that are looked at, gray16 for values from 0 to 65535, without loss (FFV1, in .mkv). `codec`: h264, hevc or vp9;
        in .avi mpeg4, because FFmpeg reads times of H.264 there a frame or two late. `crf`: quality, 0 is best.
        `preset`: speed of h264 and hevc, as in x264. `audio_from`: a reader of a file, whose audio is added between its
        start and end. `start`: the time that becomes 0. `metadata`: tags of the file. `overwrite`: whether a file may
        be replaced; the source never is. `threads`: of the encoder.

        Raises ConfigurationError for what cannot be, and VideoError if the file cannot be created.
        """
        self.path = Path(path)
        self.colour = info.colour.for_display()
        """The colour of `write_yuv`'s planes, and of the file."""
        self.size = (width, height)
        self._format = _format_for(self.path, kind)
        self._codec = _codec_for(self._format, self.path, kind, codec)
        self._is_deep = kind == "gray16"
        self._overwrite = overwrite
        self._start = start
        if not 1 <= min(self.size) <= max(self.size) <= self._codec.longest:
            longest = f"a side has 1 to {self._codec.longest} pixels with {self._codec.encoder}"
            raise ConfigurationError(
                f"{self.path} cannot be {width} x {height} pixels: {longest}. Choose another height."
            )
        check_place(self.path, info, overwrite=overwrite)
        self._temporary = temporary_beside(self.path)
        weakref.finalize(self, self._temporary.unlink, missing_ok=True)  # if a signal comes before the block begins
        self._pending: tuple[av.VideoFrame, Fraction | None] | None = None
        self._durations: dict[int, int] = {}
        self._last = -1
        self._sound: Sound | None = None
        self._converter = av.video.reformatter.VideoReformatter()
        with self._named():
            self._temporary.touch(exist_ok=False)
            self._output = av.open(
                f"file:{self._temporary.absolute()}",
                "w",
                format=self._format.name,
                options=dict(self._format.options or {}),
            )
        self._closed = False
        try:
            with self._named():
                self._stream = self._video_stream(info, crf, preset, threads)
                self._output.metadata.update(metadata or {})
                self._add_sound(audio_from)
                self._start_encoding()
        except BaseException:
            self.discard()
            raise

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def write(self, pixels: Pixels, time: Fraction, duration: Fraction | None = None) -> None:
        """Add a frame: RGB (height, width, 3) from 0 to 255, or for gray16 (height, width) from 0 to 65535.

        `time`: presentation time in seconds, later than that of the frame before. `duration`: how many seconds it is
        shown if it is the last; if None, as long as the one before. Raises VideoError if it cannot be written.
        """
        dtype, shape = (np.uint16, self.size[::-1]) if self._is_deep else (np.uint8, (*self.size[::-1], 3))
        if pixels.shape != shape or pixels.dtype != dtype:
            raise ValueError(f"a frame is {dtype.__name__} {shape}, not {pixels.dtype} {pixels.shape}")
        picture = av.VideoFrame.from_ndarray(pixels, "gray16le" if self._is_deep else "rgb24")
        if not self._is_deep:
            picture = self._in_colour(picture)
        self._add(picture, time, duration)

    def write_yuv(self, planes: Planes, time: Fraction, duration: Fraction | None = None) -> None:
        """Add a frame from its planes in `colour`: Y (height, width), U and V of half of both, rounded up.

        They are copied. `time` and `duration`: as for `write`.
        """
        width, height = self.size
        half = (-(-height // 2), -(-width // 2))
        if self._is_deep or [plane.shape for plane in planes] != [(height, width), half, half]:
            raise ValueError(f"planes of {width} x {height} pixels are wanted, not {[plane.shape for plane in planes]}")
        picture = av.VideoFrame(width, height, self._stream.pix_fmt or "")
        for target, source in zip(planes_of(picture), planes, strict=True):
            if target.shape != source.shape:
                source = source.repeat(2, 0).repeat(2, 1)[:height, :width]
            target[:] = source
        self._add(picture, time, duration)

    def close(self) -> None:
        """Finish the file and give it its name. Raises VideoError if that fails, or if no frame was written."""
        if self._closed:
            return
        try:
            with self._named():
                self._finish()
                self._closed = True
                self._output.close()
                publish(self._temporary, self.path, overwrite=self._overwrite)
        except BaseException:
            self.discard()
            raise
        finally:
            if self._sound:
                self._sound.close()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._temporary.unlink(missing_ok=True)
        if self._sound:
            self._sound.close()
        if not self._closed:
            self._closed = True
            with suppress(av.FFmpegError, OSError, ValueError):  # of an index, for a file that is gone
                self._output.close()
        self._temporary.unlink(missing_ok=True)

    def _video_stream(self, info: VideoInfo, crf: int | None, preset: str | None, threads: int) -> av.VideoStream:
        rate = info.rate or _USUAL_RATE
        stream = self._output.add_stream(self._codec.encoder, rate.limit_denominator(100_000))
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.width, context.height = self.size
        context.pix_fmt = self._pixel_format()
        context.options = self._options(crf, preset)
        context.thread_count = threads
        context.sample_aspect_ratio = info.sample_aspect_ratio
        context.time_base = self._time_base(info)
        stream.time_base = context.time_base
        if not self._is_deep:
            context.color_range, context.colorspace = self.colour.range_code, self.colour.matrix
            context.color_primaries, context.color_trc = self.colour.primaries, self.colour.transfer
        self._time_unit = context.time_base
        self._usual_duration = 1 / rate
        return stream

    def _start_encoding(self) -> None:
        try:
            self._output.start_encoding()
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            options = f"{self._codec.encoder} with {dict(self._stream.codec_context.options)}"
            raise ConfigurationError(f"{self.path} cannot be written by {options}: {reason_of(error)}.") from error

    def _pixel_format(self) -> str:
        if self._is_deep:
            return "gray16le"
        return "yuv444p" if self._codec.even and (self.size[0] % 2 or self.size[1] % 2) else "yuv420p"

    def _options(self, crf: int | None, preset: str | None) -> dict[str, str]:
        options = dict(self._codec.options)
        if self._codec.crf is not None:
            options["crf"] = str(self._codec.crf if crf is None else crf)
        elif crf is not None:
            raise ConfigurationError(f"{self._codec.encoder} has no crf. Leave it out.")
        if self._codec.preset is not None:
            options |= {"preset": preset} if preset else {"preset": self._codec.preset, **self._codec.tuning}
        elif preset is not None:
            raise ConfigurationError(f"{self._codec.encoder} has no presets. Leave them out.")
        return options

    def _time_base(self, info: VideoInfo) -> Fraction:
        """The source's, or one of which its times are multiples."""
        if self._format.name == "avi":
            return (1 / (info.rate or _USUAL_RATE)).limit_denominator(_FINEST_MPEG4)
        ticks = info.time_base.denominator
        return Fraction(1, ticks) if ticks <= _FINEST else _FALLBACK

    def _add_sound(self, reader: VideoReader | None) -> None:
        if reader is None or reader.info.path is None:
            return
        self._sound = Sound(
            reader.info.path,
            self._output,
            copied=self._format.audio,
            encoder=self._format.audio_encoder,
            shift=reader.origin + self._start,
            begin=reader.origin + reader.start if reader.start else None,
            end=None if reader.end is None else reader.origin + reader.end,
        )

    def _in_colour(self, picture: av.VideoFrame) -> av.VideoFrame:
        return self._converter.reformat(
            picture,
            format=self._stream.pix_fmt,
            dst_colorspace=self.colour.scaler_code,
            dst_color_range=self.colour.range_code,
            interpolation=_AREA,
            threads=1,
        )

    def _add(self, picture: av.VideoFrame, time: Fraction, duration: Fraction | None) -> None:
        """Keep a frame until its duration is known, and encode the one before."""
        picture.pts = max(
            round((time - self._start) / self._time_unit), self._last + 1 if self._pending else -(1 << 62)
        )
        picture.time_base = self._time_unit
        with self._named():
            if self._pending:
                self._encode(picture.pts)
            self._pending = (picture, duration)
            self._last = picture.pts

    def _encode(self, until: int) -> None:
        """Encode the frame that waits, which is shown until a time."""
        assert self._pending
        picture, _ = self._pending
        assert picture.pts is not None
        self._durations[picture.pts] = until - picture.pts
        self._usual_duration = (until - picture.pts) * self._time_unit
        if self._sound:
            self._sound.write_until(picture.pts * self._time_unit)
        self._mux(self._stream.encode(picture))

    def _mux(self, packets: list[av.Packet[av.VideoStream]]) -> None:
        for packet in packets:
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, packet.duration or 0)
            with suppress(av.error.InvalidDataError):  # of sound that waited for this packet, and is damaged
                self._output.mux(packet)

    def _finish(self) -> None:
        if self._pending is None:
            raise VideoError(f"{self.path}: the source has no frames between its start and end.")
        picture, duration = self._pending
        assert picture.pts is not None
        shown = max(1, round((duration or self._usual_duration) / self._time_unit))
        self._encode(picture.pts + shown)
        self._mux(self._stream.encode(None))
        if self._sound:
            self._sound.finish()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Failures of FFmpeg and the system, as VideoError."""
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            unfit = isinstance(error, _UNFIT) and self._format.name != "matroska"
            hint = f" Its times or its sound may not fit into {self.path.suffix}; try .mkv." if unfit else ""
            raise VideoError(f"{self.path} cannot be written: {reason_of(error)}.{hint}") from error


def check_target(
    path: Path, info: VideoInfo, *, kind: Kind = "heat", codec: str | None = None, overwrite: bool = False
) -> None:
    """Raises ConfigurationError for a file that a VideoWriter would not begin."""
    _codec_for(_format_for(path, kind), path, kind, codec)
    check_place(path, info, overwrite=overwrite)


def temporary_beside(path: Path) -> Path:
    """Where a file is written before it has its name."""
    return path.with_name(_TEMPORARY.format(secrets.token_hex(8)))


def publish(temporary: Path, path: Path, *, overwrite: bool) -> None:
    """Give a temporary file its name. Raises ConfigurationError if another has it and may not be replaced."""
    if overwrite:
        temporary.replace(path)
        return
    try:
        path.hardlink_to(temporary)
    except FileExistsError as error:
        raise _already_there(path) from error
    except OSError:  # a file system without links
        if path.exists():
            raise _already_there(path) from None
        temporary.replace(path)
    else:
        temporary.unlink()


def check_place(path: Path, info: VideoInfo, *, overwrite: bool) -> None:
    """Raises ConfigurationError for a file that is not to be written."""
    if not path.exists():
        return
    if not path.is_file():
        raise ConfigurationError(f"{path} is not a file. Choose another output.")
    if info.path is not None and info.path.exists() and path.samefile(info.path):
        raise ConfigurationError(f"{path} is the video that is read. Choose another output.")
    if not overwrite:
        raise _already_there(path)


def _already_there(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path} already exists. Choose another output, or replace it with --overwrite.")


def _format_for(path: Path, kind: Kind) -> _Format:
    format = _FORMATS.get(path.suffix.lower())
    if format is None:
        raise ConfigurationError(f"{path}: unknown extension. Save a video as {', '.join(SUFFIXES)}.")
    if kind == "gray16" and format.name != "matroska":
        raise ConfigurationError(f"{path}: gray16 is written as FFV1 in Matroska. Save it as .mkv.")
    return format


def _codec_for(format: _Format, path: Path, kind: Kind, name: str | None) -> _Codec:
    choices = ("ffv1",) if kind == "gray16" else format.codecs
    if name is not None and name not in choices:
        raise ConfigurationError(f"{path}: codec {name!r} is not available. Choose from {', '.join(choices)}.")
    return _CODECS[name or choices[0]]
