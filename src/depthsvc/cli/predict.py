"""`depthsvc predict`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from depthsvc.cli.photo_options import FILE_FORMATS, FORMAT_CHOICE, FORMAT_HELP, PhotoCommand, options_for
from depthsvc.cli.setting_options import MODEL, log_to_stderr
from depthsvc.errors import ConfigurationError
from depthsvc.formats import Format, format_named, format_of_file

if TYPE_CHECKING:
    from depthsvc.settings import Settings


class _Target(NamedTuple):
    path: Path | None
    """None: standard output."""
    format: Format


def _target(photo: str, output: str | None, format: str | None) -> _Target:
    """Where a result goes and in which format, with defaults for what was not given."""
    chosen = format_named(format) if format else None
    if output is None and photo != "-":
        chosen = chosen or FILE_FORMATS[0]
        output = f"{Path(photo).stem}-depth.{chosen.extension}"
    if output is None or output == "-":
        return _Target(None, chosen or FILE_FORMATS[0])
    chosen = chosen or format_of_file(output, FILE_FORMATS)
    if not chosen:
        names = ", .".join(format.name for format in FILE_FORMATS)
        raise ConfigurationError(f"{output}: unknown format. Use one of .{names}, or --format.")
    if not Path(output).parent.is_dir():
        raise ConfigurationError(f"{output}: the folder {Path(output).parent} does not exist.")
    return _Target(Path(output), chosen)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Disable garbage collection here and at exit: PyTorch's many objects make it a fifth of one photo's time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # exempts all present objects from the collection at exit
        gc.enable()


@click.command(
    cls=PhotoCommand,
    photo_options=("colormap", "input_size", "size", "refine", "fov"),
    settings=(*MODEL, "worker_threads", "max_megapixels", "max_input_size", "log_level"),
)
@click.argument("photo")
@click.option("-o", "--output", help="File to write, or - for standard output.  [PHOTO-depth.FORMAT]")
@click.option("--format", type=FORMAT_CHOICE, help=f"{FORMAT_HELP}  [from the output's extension, else png]")
def predict(settings: Settings, wanted: dict[str, Any], photo: str, output: str | None, format: str | None) -> None:
    """Estimate the depth of one PHOTO, a file or - for standard input, without a service."""
    log_to_stderr(settings)
    if Path(photo).is_dir():
        raise ConfigurationError(f"{photo} is a folder. Use depthsvc batch for all photos in it.")
    # On a busy machine extra threads lose more to contention than one photo gains.
    settings = settings.model_copy(update={"worker_threads": settings.worker_threads or 1})
    target = _target(photo, output, format)
    options = options_for(target.format, wanted)
    data = sys.stdin.buffer.read() if photo == "-" else Path(photo).read_bytes()
    with _without_collections():
        from depthsvc.estimator import DepthEstimator

        answer = DepthEstimator(settings=settings).pipeline.answer(data, options)
    if target.path is None:
        sys.stdout.buffer.write(answer.body)
        sys.stdout.flush()
    else:
        target.path.write_bytes(answer.body)
        height, width = answer.shape
        click.echo(f"{target.path}: {width} x {height}, by {answer.model}", err=True)
