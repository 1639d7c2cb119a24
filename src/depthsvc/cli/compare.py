"""`depthsvc compare`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from depthsvc.cli.contenders import contenders_for
from depthsvc.cli.service_options import check_no_worker_options, service_options
from depthsvc.cli.setting_options import MODEL, CommandWithSettings, log_to_stderr
from depthsvc.errors import ConfigurationError, RequestError

if TYPE_CHECKING:
    from depthsvc.evaluation.compare import Estimate
    from depthsvc.settings import Settings

_SUFFIXES = (".png", ".jpg", ".jpeg")


@click.command(
    cls=CommandWithSettings,
    settings=(*MODEL, "worker_threads", "max_input_size", "max_megapixels", "log_level"),
    repeated=("model",),
)
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("compare.png"),
    help="Picture to write, .png or .jpg.  [compare.png]",
)
@click.option("--input-size", type=click.IntRange(32), help="Input size of the networks in pixels.  [each one's own]")
@service_options
@click.pass_context
def compare(
    context: click.Context,
    settings: Settings,
    photos: tuple[Path, ...],
    output: Path,
    input_size: int | None,
    url: str | None,
    api_key: str | None,
    concurrency: int,
) -> None:
    """Draw each PHOTO beside its depth by several models, with the time that each takes, in one scale of colours:
    bright is near. Give --model several times. Depth without a unit is fitted to the first model's, or to metres if a
    model gives them.
    """
    log_to_stderr(settings)
    if output.suffix.lower() not in _SUFFIXES:
        raise ConfigurationError(f"{output}: unknown kind of picture. Use one of {', '.join(_SUFFIXES)}.")
    if not output.parent.is_dir():
        raise ConfigurationError(f"{output}: the folder {output.parent} does not exist.")
    if output.exists() and any(photo.samefile(output) for photo in photos):
        raise ConfigurationError(f"{output} is one of the photos. Choose another file with --output.")
    check_no_worker_options(context, url)
    from depthsvc.evaluation.compare import encoded, estimates, picture

    # as in predict: on a busy machine extra threads lose more to contention than one photo gains
    settings = settings.model_copy(update={"workers": 1, "worker_threads": settings.worker_threads or 1})
    contenders = contenders_for(context, settings, input_size, url, api_key, concurrency)
    files = [photo.read_bytes() for photo in photos]
    models = [(contender.name, _named(photos, estimates(files, contender))) for contender in contenders]
    output.write_bytes(encoded(picture(files, models), output.suffix))
    for name, of_photos in models:
        for photo, estimate in zip(photos, of_photos, strict=True):
            time = "" if estimate.seconds is None else f"  {1000 * estimate.seconds:.0f} ms"
            click.echo(f"{photo}: {name}{time}", err=True)
    click.echo(f"{output}", err=True)


def _named(photos: tuple[Path, ...], found: Iterator[Estimate]) -> list[Estimate]:
    """All estimates of the photos. Raises ConfigurationError that names the photo which cannot be read."""
    from depthsvc.settings import advice

    collected: list[Estimate] = []
    try:
        collected.extend(found)
    except RequestError as error:
        raise ConfigurationError(f"{photos[len(collected)]}: {advice(error)}") from error
    return collected
