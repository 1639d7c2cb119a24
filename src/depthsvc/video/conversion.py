"""One video in, its depth out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from depthsvc.errors import ConfigurationError, VideoError
from depthsvc.formats import format_named
from depthsvc.imaging.spec import Colormap
from depthsvc.pipeline.stages import Pipeline
from depthsvc.video.frames import Every, FrameEstimator, Steadied
from depthsvc.video.heat import HeatPainter
from depthsvc.video.obstacle_lines import ObstacleLines, check_lines
from depthsvc.video.outputs import ExactVideo, FrameFolder, HeatVideo, MapStream, Output, factor_for
from depthsvc.video.reading import Frame, VideoInfo, VideoReader
from depthsvc.video.sources import FrameSource
from depthsvc.video.writing import Kind, VideoWriter, check_target
from depthsvc.video.y4m import Y4MWriter

HEAT, EXACT, RAW = "heat", "gray16", "f16"
FRAME_FORMATS = ("npy", "png16", "exr", RAW)
"""Formats of single frames, by the names of `depthsvc.formats`."""
_PIPED = (HEAT, RAW)
"""What may go through a pipe."""
_LONGEST = 16_384
"""Pixels of the longest side of a result that is scaled."""
_BEFORE = 15
"""Frames that a continued folder begins before its first missing one, so that what steadies them knows the stream."""


@dataclass(frozen=True)
class VideoOptions:
    """What to make of a video."""

    format: str = HEAT
    """`heat`, `gray16`, or one of FRAME_FORMATS."""
    colormap: Colormap = Colormap.INFERNO
    invert: bool = False
    """Whether the colormap is reversed."""
    side_by_side: bool = False
    """Whether the frames are beside their heatmaps."""
    height: int | None = None
    """Height of the result in pixels; None: that of the video."""
    smooth: float | None = 1.0
    """How much maps are steadied, 0..1; None: not at all."""
    every: Every = 1
    """Which frames the network sees."""
    audio: bool = True
    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    obstacles: Path | None = None
    """Where the nearest things of each frame are written; None: nowhere."""
    overwrite: bool = False

    @property
    def is_pair(self) -> bool:
        """Whether each picture of the result is two side by side."""
        return self.side_by_side and self.format == HEAT

    @property
    def kind(self) -> Kind:
        """Of the video, if it is to be one."""
        return "gray16" if self.format == EXACT else "heat"

    @property
    def extension(self) -> str:
        """Of a result that is named after its video, without the leading dot."""
        if self.format == EXACT:
            return "mkv"
        return self.format if self.format != HEAT else "avi" if self.codec == "mpeg4" else "mp4"

    def size(self, info: VideoInfo) -> tuple[int, int]:
        """Width and height of one map. The pictures of a pair have an even width: two pixels share a colour.

        Raises ConfigurationError if its height would make it too wide.
        """
        if self.height is None:
            return info.width + (info.width % 2 if self.is_pair else 0), info.height
        width = max(2, round(info.width * self.height / info.height / 2) * 2)
        if max(width, self.height) > _LONGEST:
            raise ConfigurationError(
                f"The result would be {width} x {self.height}; a side has at most {_LONGEST} pixels. Choose a smaller "
                f"--height."
            )
        return width, self.height

    def picture_size(self, info: VideoInfo) -> tuple[int, int]:
        """Width and height of the result."""
        width, height = self.size(info)
        return (2 * width if self.is_pair else width), height

    def check(self) -> None:
        """Raises ConfigurationError for options that contradict each other."""
        if self.smooth is None and self.every != 1:
            raise ConfigurationError("--every needs --smooth: without it, each frame has to be seen by the network.")


@dataclass(frozen=True)
class Converted:
    """What has been made of a video."""

    frames: int
    size: tuple[int, int]
    """Width and height of the result."""
    damage: str
    """What is missing of the video, for people; or empty."""


def convert(
    reader: FrameSource,
    target: Path | BinaryIO,
    open_pipelines: Callable[[], Sequence[Pipeline]],
    options: VideoOptions,
    *,
    advance: Callable[[], None] = lambda: None,
) -> Converted:
    """Write the depth of a video's frames to a file, a folder of files, or a pipe.

    `open_pipelines` is called once all else is in order. `advance` is called after each frame.

    Raises ConfigurationError for what cannot be, VideoError for a video that cannot be read, and OSError.
    """
    done = _frames_done(reader, target, options)
    estimator = FrameEstimator(open_pipelines(), smooth=options.smooth, every=options.every)
    begin = 0 if options.obstacles else done - _BEFORE
    frames = (frame for frame in reader if frame.index >= begin)
    with closing(estimator(frames)) as steadied:
        first = next(steadied, None)
        if first is None and not done:
            raise VideoError(f"{reader.name} has no frames between its start and end.")
        output = _output(reader, target, options, first, done)
        count = 0
        lines = options.obstacles and ObstacleLines(options.obstacles, reader.start, overwrite=options.overwrite)
        with lines or nullcontext(), output:
            for each in chain([first] if first else [], steadied):
                output.add(each)
                if lines:
                    lines.add(each, estimator.flow)
                count = each.frame.index + 1
                advance()
    return Converted(max(count, done), options.picture_size(reader.info), reader.damage)


def _frames_done(reader: FrameSource, target: Path | BinaryIO, options: VideoOptions) -> int:
    """Frames of an earlier run that stay. Raises ConfigurationError if the target cannot be written."""
    options.check()
    options.size(reader.info)
    if options.obstacles:
        check_lines(options.obstacles, reader.info, target, overwrite=options.overwrite)
    if not isinstance(target, Path):
        return _none_done(options)
    if options.format not in FRAME_FORMATS:
        check_target(target, reader.info, kind=options.kind, codec=options.codec, overwrite=options.overwrite)
        return 0
    if target.exists() and not target.is_dir():
        raise ConfigurationError(f"{target} is a file. The format {options.format} needs a folder.")
    return 0 if options.overwrite else FrameFolder.count(target, format_named(options.format))


def _none_done(options: VideoOptions) -> int:
    """No frames. Raises ConfigurationError for what cannot go through a pipe."""
    if options.format not in _PIPED:
        raise ConfigurationError(f"The format {options.format} needs a file or a folder; a pipe gets heat or f16.")
    if (options.codec, options.crf, options.preset) != (None, None, None):
        raise ConfigurationError("A pipe gets Y4M, which is not compressed. Leave out --codec, --crf and --preset.")
    return 0


def _output(
    reader: FrameSource, target: Path | BinaryIO, options: VideoOptions, first: Steadied[Frame] | None, done: int
) -> Output:
    size = options.size(reader.info)
    if not isinstance(target, Path):
        return _piped(reader, target, options, size)
    if options.format in FRAME_FORMATS:
        return FrameFolder(target, format_named(options.format), size, done=done)
    assert first is not None
    depth = first.depth
    tags = {"depthsvc_model": depth.model, "depthsvc_kind": str(depth.kind)}
    if options.format == EXACT:
        factor = factor_for(depth)
        return ExactVideo(_writer(reader, target, options, size, tags | {"depthsvc_factor": f"{factor:.9g}"}), factor)
    return _heat(_writer(reader, target, options, options.picture_size(reader.info), tags), options, size)


def _piped(reader: FrameSource, target: BinaryIO, options: VideoOptions, size: tuple[int, int]) -> Output:
    if options.format == RAW:
        return MapStream(target, format_named(RAW), size)
    width, height = options.picture_size(reader.info)
    return _heat(Y4MWriter(target, info=reader.info, width=width, height=height), options, size)


def _heat(writer: VideoWriter | Y4MWriter, options: VideoOptions, size: tuple[int, int]) -> HeatVideo:
    painter = HeatPainter(*size, writer.colour, colormap=options.colormap, invert=options.invert)
    return HeatVideo(writer, painter, beside=size if options.is_pair else None)


def _writer(
    reader: FrameSource, target: Path, options: VideoOptions, size: tuple[int, int], metadata: dict[str, str]
) -> VideoWriter:
    width, height = size
    return VideoWriter(
        target,
        info=reader.info,
        width=width,
        height=height,
        kind=options.kind,
        codec=options.codec,
        crf=options.crf,
        preset=options.preset,
        audio_from=reader if options.audio and isinstance(reader, VideoReader) else None,
        start=reader.start,
        metadata=metadata,
        overwrite=options.overwrite,
    )
