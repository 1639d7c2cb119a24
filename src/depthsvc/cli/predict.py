"""`depthsvc predict`."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from depthsvc.cli.photo_options import FORMAT_CHOICE, FORMAT_HELP, PhotoCommand, formats_for, options_for
from depthsvc.cli.setting_options import MODEL, log_to_stderr
from depthsvc.errors import ConfigurationError
from depthsvc.formats import Format, format_of_file

if TYPE_CHECKING:
    from depthsvc.settings import Settings


class _Target(NamedTuple):
    path: Path | None
    """None: standard output."""
    format: Format


def _target(photo: str, output: str | None, format: str | None, formats: tuple[Format, ...]) -> _Target:
    """Where a result goes and in which of `formats`, with defaults for what was not given."""
    if output == "-" or (output is None and photo == "-"):
        return _Target(None, formats[0])
    if output is None:
        from depthsvc.batch.names import result_name

        return _Target(result_name(Path(Path(photo).name), formats[0].extension), formats[0])
    chosen = formats[0] if format else format_of_file(output, formats)
    if not chosen and len(formats) == 1:
        raise ConfigurationError(f"{output}: the result is a .{formats[0].ending} file. Change the extension.")
    if not chosen:
        names = ", .".join(format.name for format in formats)
        raise ConfigurationError(f"{output}: unknown format. Use one of .{names}, or --format.")
    if not Path(output).parent.is_dir():
        raise ConfigurationError(f"{output}: the folder {Path(output).parent} does not exist.")
    return _Target(Path(output), chosen)


def _check_photo(photo: str) -> None:
    from depthsvc.imaging.photo.files import url_problem

    if problem := url_problem(photo):
        raise ConfigurationError(problem)
    if Path(photo).is_dir():
        raise ConfigurationError(f"{photo} is a folder. Use depthsvc batch for all photos in it.")


def _check_output(photo: str, output: Path) -> None:
    """Raises ConfigurationError if the result would replace the photo, whatever link or spelling names it."""
    try:
        given = os.fstat(sys.stdin.fileno()) if photo == "-" else Path(photo).stat()
        same = os.path.samestat(given, output.stat())
    except OSError:  # there is no such output yet
        return
    if same:
        raise ConfigurationError(f"{output} is the photo itself. Choose another file with --output.")


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
    settings=(*MODEL, "worker_threads", "max_megapixels", "max_input_size", "log_level"),
)
@click.argument("photo")
@click.option("-o", "--output", help="File to write, or - for standard output.  [PHOTO.depth.FORMAT]")
@click.option("--format", type=FORMAT_CHOICE, help=f"{FORMAT_HELP}  [from the output's extension, else png]")
def predict(settings: Settings, wanted: dict[str, Any], photo: str, output: str | None, format: str | None) -> None:
    """Estimate the depth of one PHOTO, a file or - for standard input, without a service."""
    log_to_stderr(settings)
    _check_photo(photo)
    # On a busy machine extra threads lose more to contention than one photo gains.
    settings = settings.model_copy(update={"worker_threads": settings.worker_threads or 1})
    target = _target(photo, output, format, formats_for(format, wanted))
    if target.path:
        _check_output(photo, target.path)
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
