"""`depthsvc video`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from depthsvc.cli.setting_options import MODEL, CommandWithSettings, log_to_stderr
from depthsvc.errors import ConfigurationError
from depthsvc.imaging.spec import Colormap

if TYPE_CHECKING:
    from depthsvc.pipeline.stages import Pipeline
    from depthsvc.settings import Settings

FORMATS = ("heat", "gray16", "npy", "png16", "exr")


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


@click.command(
    cls=CommandWithSettings,
    settings=(*MODEL, "workers", "max_megapixels", "log_level"),
)
@click.argument("video", metavar="IN")
@click.argument("output", metavar="OUT")
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    default="heat",
    show_default=True,
    help="heat: a video of heatmaps. gray16: a video of exact values, without loss (.mkv). The others: a folder with a "
    "file for each frame; a run that was cut off is continued.",
)
@click.option("--colormap", type=click.Choice([str(each) for each in Colormap]), default="inferno", show_default=True)
@click.option("--invert", is_flag=True, help="Reverse the colormap: far is bright.")
@click.option("--side-by-side", is_flag=True, help="The video beside its heatmaps.")
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
    type=click.IntRange(1, 10),
    default=1,
    show_default=True,
    help="N: the network sees every N-th frame, and motion tells of the others; from 3 on, what moves has a ghost.",
)
@click.option("--start", type=click.FloatRange(0), help="Begin at this second.")
@click.option("--end", type=click.FloatRange(0), help="End at this second.")
@click.option("--max-fps", type=click.FloatRange(0, min_open=True), help="Leave out frames beyond so many a second.")
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
    video: str,
    output: str,
    smooth: float | None,
    start: float | None,
    end: float | None,
    max_fps: float | None,
    no_audio: bool,
    colormap: str,
    **wanted: Any,
) -> None:
    """Estimate the depth of a video: every frame, with its time and the sound, steadied along the motion."""
    log_to_stderr(settings)
    from depthsvc.batch.progress import display, printable
    from depthsvc.batch.session import Interrupted, ended_by_signals
    from depthsvc.video.conversion import FRAME_FORMATS, VideoOptions, convert
    from depthsvc.video.reading import VideoReader

    source, target = Path(video), Path(output)
    if not target.absolute().parent.is_dir():
        raise ConfigurationError(f"{output}: the folder {target.parent} does not exist.")
    options = VideoOptions(colormap=Colormap(colormap), smooth=smooth, audio=not no_audio, **wanted)
    shown = display("frames")
    try:
        with (
            ended_by_signals(),
            VideoReader(source, max_pixels=settings.max_pixels, start_s=start, end_s=end, max_fps=max_fps) as reader,
        ):
            shown.begin(reader.info.frames or 0)
            found = convert(reader, target, lambda: _pipelines(settings), options, advance=shown.advance)
    except Interrupted:
        kept = "Run the same command again to continue." if options.format in FRAME_FORMATS else "Nothing was written."
        shown.note(f"Interrupted. {kept}")
        raise
    finally:
        shown.end()
    width, height = found.size
    damage = f"; {found.damaged} damaged packet(s) of {printable(source)} left out" if found.damaged else ""
    click.echo(f"{printable(target)}: {found.frames} frames, {width} x {height}{damage}", err=True)


def _pipelines(settings: Settings) -> list[Pipeline]:
    """One for each worker, all in this process: networks run side by side in threads."""
    from depthsvc.pool.launch import pool_config
    from depthsvc.pool.worker import open_pipeline

    config = pool_config(settings)
    return [open_pipeline(config.worker) for _ in range(config.workers)]
