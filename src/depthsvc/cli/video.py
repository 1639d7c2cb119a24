"""`depthsvc video`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from depthsvc.cli.setting_options import MODEL, CommandWithSettings, log_to_stderr
from depthsvc.errors import ConfigurationError, DepthServiceError, RequestError
from depthsvc.imaging.spec import Colormap

if TYPE_CHECKING:
    from depthsvc.pipeline.stages import Pipeline
    from depthsvc.settings import Settings
    from depthsvc.video.conversion import VideoOptions
    from depthsvc.video.sources import Opening

FORMATS = ("heat", "gray16", "npy", "png16", "exr", "f16")
_MOST_EVERY = 10
_MOST_FPS = 1000
_RAW_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
_PIPE = "-"


def _strength(_context: click.Context, _parameter: click.Parameter, value: str) -> float | None:
    if value == "off":
        return None
    try:
        strength = float(value)
    except ValueError:
        strength = -1.0
    if not 0 <= strength <= 1:
        raise click.BadParameter(f"{value} is neither off nor between 0 and 1.")
    return strength


def _every(_context: click.Context, _parameter: click.Parameter, value: str) -> int | str:
    if value == "auto":
        return value
    if not value.isdecimal() or not 1 <= int(value) <= _MOST_EVERY:
        raise click.BadParameter(f"{value} is neither auto nor a number from 1 to {_MOST_EVERY}.")
    return int(value)


def _rate(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Fraction | None:
    if value is None:
        return None
    try:
        rate = Fraction(value)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= _MOST_FPS:
        raise click.BadParameter(f"{value} is not a number of frames a second, such as 25, 29.97 or 30000/1001.")
    return rate


def _raw_size(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    found = _RAW_SIZE.fullmatch(value)
    if not found:
        raise click.BadParameter(f"{value} is not a width and a height in pixels, such as 640x480.")
    return int(found[1]), int(found[2])


@click.command(
    cls=CommandWithSettings,
    settings=(*MODEL, "workers", "max_megapixels", "log_level"),
)
@click.argument("paths", nargs=-1, metavar="IN... OUT")
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    default="heat",
    show_default=True,
    help="heat: a video of heatmaps. gray16: a video of exact values, without loss (.mkv). The others: a folder with a "
    "file for each frame; a run that was cut off is continued. To standard output: heat as Y4M, or f16.",
)
@click.option("--colormap", type=click.Choice([str(each) for each in Colormap]), default="inferno", show_default=True)
@click.option("--invert", is_flag=True, help="Reverse the colormap: far is bright.")
@click.option("--side-by-side", is_flag=True, help="The video to the left of its heatmaps.")
@click.option("--height", type=click.IntRange(2, 8192), help="Height of the result in pixels.  [that of the video]")
@click.option(
    "--smooth",
    callback=_strength,
    metavar="off|0..1",
    default="1",
    show_default=True,
    help="How much depth is steadied from frame to frame; off: each frame is a photo of its own.",
)
@click.option(
    "--every",
    callback=_every,
    metavar="auto|1..10",
    default="1",
    show_default=True,
    help="N: the network sees every N-th frame, and motion tells of the others; from 3 on, what moves has a ghost. "
    "auto: it sees those in which enough is new.",
)
@click.option("--start", type=click.FloatRange(0), help="Begin at this second.")
@click.option("--end", type=click.FloatRange(0), help="End at this second.")
@click.option("--max-fps", type=click.FloatRange(0, min_open=True), help="Leave out frames beyond so many a second.")
@click.option(
    "--fps",
    callback=_rate,
    metavar="N",
    help="Frames a second of a folder of frames, and of raw pictures.  [25]",
)
@click.option(
    "--raw",
    callback=_raw_size,
    metavar="WIDTHxHEIGHT",
    help="Standard input is raw pictures of this size, rgb24, one after the other.",
)
@click.option(
    "--codec", type=click.Choice(["h264", "hevc", "vp9", "mpeg4"]), help="Codec of heatmaps.  [by the name of OUT]"
)
@click.option("--crf", type=click.IntRange(0, 63), help="Quality of heatmaps; less is better.")
@click.option("--preset", help="Speed of h264 and hevc, as in x264.  [superfast]")
@click.option("--no-audio", is_flag=True, help="Leave out the sound.")
@click.option(
    "--obstacles",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the nearest thing of each sector of each frame as a line of JSON, too.",
)
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
def video(
    settings: Settings,
    paths: tuple[str, ...],
    smooth: float | None,
    start: float | None,
    end: float | None,
    max_fps: float | None,
    fps: Fraction | None,
    raw: tuple[int, int] | None,
    no_audio: bool,
    colormap: str,
    **wanted: Any,
) -> None:
    """Estimate the depth of a video: every frame, with its time and the sound, steadied along the motion.

    IN is a video, a folder of photos that are its frames, or - for standard input: Y4M, any video that can be read from
    a pipe, or raw pictures (--raw). Given several of them, or a folder as OUT (it may end in /), each result is a file
    in the folder OUT, named after its video. OUT may be - for standard output.

    Exit status: 0 if all is done, 1 if a video failed.
    """
    log_to_stderr(settings)
    *given, output = _checked(paths)
    from depthsvc.batch.session import ended_by_signals
    from depthsvc.video.conversion import FRAME_FORMATS, VideoOptions
    from depthsvc.video.sources import Opening

    options = VideoOptions(colormap=Colormap(colormap), smooth=smooth, audio=not no_audio, **wanted)
    opening = Opening(settings.max_pixels, start, end, max_fps, fps, raw)
    pipelines = cache(lambda: _pipelines(settings))
    is_folder = len(given) > 1 or (
        options.format not in FRAME_FORMATS and (output.endswith("/") or Path(output).is_dir())
    )
    if is_folder and options.obstacles:
        raise click.UsageError("--obstacles names the file of one video. Give one IN, and the name of its result.")
    if (
        options.format in FRAME_FORMATS
        and Path(given[0]).is_dir()
        and Path(given[0]).resolve() == Path(output).resolve()
    ):
        raise ConfigurationError(f"{output} is the folder that is read. Choose another output.")
    if is_folder:
        with ended_by_signals():
            _several(given, Path(output), opening, options, pipelines)
    elif output == _PIPE:
        _one(given[0], sys.stdout.buffer, opening, options, pipelines, "")
    else:
        _check_parent(Path(output))
        kept = "Run the same command again to continue." if options.format in FRAME_FORMATS else "Nothing was written."
        _one(given[0], Path(output), opening, options, pipelines, kept)


def _checked(paths: tuple[str, ...]) -> tuple[str, ...]:
    if len(paths) < 2:
        raise click.UsageError("Give IN and OUT.")
    if len(paths) > 2 and _PIPE in paths:
        raise click.UsageError("With - for IN or OUT, give one IN.")
    return paths


def _check_parent(output: Path) -> None:
    if not output.absolute().parent.is_dir():
        raise ConfigurationError(f"{output}: the folder {output.parent} does not exist.")


def _one(
    word: str,
    target: Path | BinaryIO,
    opening: Opening,
    options: VideoOptions,
    pipelines: Callable[[], Sequence[Pipeline]],
    kept: str,
) -> None:
    """Convert one video, and say what came of it. `kept`: what an interruption leaves, in words."""
    from depthsvc.batch.progress import display, harmless, printable
    from depthsvc.batch.session import Interrupted, ended_by_signals
    from depthsvc.video.conversion import convert

    shown = display("frames")
    try:
        with ended_by_signals(), opening.open(word, sys.stdin.buffer) as source:
            shown.begin(source.info.frames or None)
            found = convert(source, target, pipelines, options, advance=shown.advance)
    except Interrupted:
        shown.note(f"Interrupted. {kept}".rstrip())
        raise
    finally:
        shown.end()
    width, height = found.size
    name = printable(target) if isinstance(target, Path) else "Standard output"
    damage = f"; {harmless(found.damage)}" if found.damage else ""
    click.echo(f"{name}: {found.frames} frames, {width} x {height}{damage}", err=True)


def _several(
    given: Sequence[str],
    folder: Path,
    opening: Opening,
    options: VideoOptions,
    pipelines: Callable[[], Sequence[Pipeline]],
) -> None:
    """Convert videos into a folder, one after the other, past those that are done and those that fail.

    Ends with status 1 if one failed.
    """
    from depthsvc.batch.progress import harmless, printable
    from depthsvc.settings import advice

    options.check()
    _check_parent(folder)
    targets = _targets(given, folder, options)
    pipelines()  # what is wrong with the network is not said of each video
    folder.mkdir(exist_ok=True)
    failed = 0
    for word, target in targets.items():
        if target.is_file() and not options.overwrite:  # a video that is there is complete
            click.echo(f"{printable(target)} is there already. Skipped.", err=True)
            continue
        try:
            _one(word, target, opening, options, pipelines, "What is complete stays.")
        except (DepthServiceError, OSError) as error:
            failed += 1
            reason = advice(error) if isinstance(error, RequestError) else str(error)
            subject = "" if reason.startswith((word, str(target))) else f"{printable(word)}: "
            click.echo(f"{subject}{harmless(reason)}", err=True)
    if failed:
        click.echo(f"{failed} of {len(targets)} videos failed.", err=True)
        sys.exit(1)


def _targets(given: Sequence[str], folder: Path, options: VideoOptions) -> dict[str, Path]:
    """The result of each video. Raises ConfigurationError if one would replace another, or a video."""
    from depthsvc.batch.names import result_name
    from depthsvc.video.conversion import FRAME_FORMATS

    videos = {Path(word).resolve() for word in given}
    owners: dict[Path, str] = {}
    for word in given:
        name = Path(word).resolve().name if Path(word).name in ("", "..") else Path(word).name
        target = folder / result_name(Path(name), options.extension)
        if options.format in FRAME_FORMATS:
            target = target.with_suffix("")
        if owners.setdefault(target, word) != word:
            raise ConfigurationError(f"{word} and {owners[target]} would both become {target}. Rename one of them.")
        if target.resolve() in videos:
            raise ConfigurationError(f"{target}, the result of {word}, is one of the videos. Choose another OUT.")
    return {word: target for target, word in owners.items()}


def _pipelines(settings: Settings) -> list[Pipeline]:
    """One for each worker, all in this process: networks run side by side in threads."""
    from depthsvc.pool.launch import pool_config
    from depthsvc.pool.worker import open_pipeline

    config = pool_config(settings)
    return [open_pipeline(config.worker) for _ in range(config.workers)]
