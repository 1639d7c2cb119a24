"""`depthsvc predict`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from depthsvc.cli.setting_options import MODEL_SETTINGS, CommandWithSettings, log_to_stderr
from depthsvc.errors import ConfigurationError
from depthsvc.formats import FORMATS, extension, format_of, options_of

if TYPE_CHECKING:
    from depthsvc.settings import Settings


class _Target(NamedTuple):
    path: Path | None
    """None: standard output."""
    format: str


def _target(photo: str, output: str | None, format: str | None) -> _Target:
    """Where a result goes and in which format, from what was said and what was not."""
    if output is None and photo != "-":
        format = format or "png"
        output = f"{Path(photo).stem}-depth.{extension(format)}"
    if output is None or output == "-":
        return _Target(None, format or "png")
    format = format or format_of(output)
    if not format:
        raise ConfigurationError(f"{output}: unknown format. Use one of .{', .'.join(FORMATS)}, or --format.")
    if not Path(output).parent.is_dir():
        raise ConfigurationError(f"{output}: the folder {Path(output).parent} does not exist.")
    return _Target(Path(output), format)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Collect no garbage, neither here nor at exit: PyTorch's many objects make that a fifth of one photo's time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # what there is now is never looked at again
        gc.enable()


@click.command(
    cls=CommandWithSettings,
    setting_names=(*MODEL_SETTINGS, "worker_threads", "max_megapixels", "max_input_size", "log_level"),
)
@click.argument("photo")
@click.option("-o", "--output", help="File to write, - for standard output.  [PHOTO-depth.FORMAT]")
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    help="png: heatmap; npy, f16: float16 values; png16: 16-bit grey; ply: point cloud.  "
    "[by the output's extension, or png]",
)
@click.option("--colormap", help="Colours of a heatmap, as in the HTTP interface.  [inferno]")
@click.option("--input-size", type=int, help="Size at which the network sees the photo.  [the model's own]")
@click.option("--size", type=click.Choice(["source", "model"]), help="Grid of the result.  [source]")
@click.option("--refine", is_flag=True, default=None, help="Draw the edges of depth to those of the whole photo.")
@click.option("--fov", type=float, help="Of a point cloud: degrees that the photo's longer side spans.  [60]")
def predict(
    settings: Settings,
    photo: str,
    output: str | None,
    format: str | None,
    colormap: str | None,
    input_size: int | None,
    size: str | None,
    refine: bool | None,
    fov: float | None,
) -> None:
    """Estimate the depth of one PHOTO, a file or - for standard input, without a service."""
    log_to_stderr(settings)
    if Path(photo).is_dir():
        raise ConfigurationError(f"{photo} is a folder. Use depthsvc batch for all photos in it.")
    # One photo gains less by more threads than they lose, waiting for each other, where other programs run as well.
    settings = settings.model_copy(update={"worker_threads": settings.worker_threads or 1})
    target = _target(photo, output, format)
    wanted = {"colormap": colormap, "input_size": input_size, "size": size, "refine": refine, "fov": fov}
    options = options_of(target.format, **wanted)
    data = sys.stdin.buffer.read() if photo == "-" else Path(photo).read_bytes()
    with _without_collections():
        from depthsvc.estimator import DepthEstimator

        answer = DepthEstimator.from_settings(settings).pipeline.answer(data, options)
    if target.path is None:
        sys.stdout.buffer.write(answer.body)
        sys.stdout.flush()
    else:
        target.path.write_bytes(answer.body)
        height, width = answer.shape
        click.echo(f"{target.path}: {width} x {height}, by {answer.model}", err=True)
