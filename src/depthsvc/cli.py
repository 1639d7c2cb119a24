"""The command `depthsvc`. Heavy imports are inside the commands: `--help` must be quick."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
from pydantic import ValidationError

from depthsvc import __version__
from depthsvc.errors import ConfigurationError, DepthServiceError
from depthsvc.settings import Settings, default_text, flag, markdown_table, unknown_variables, variable

logger = logging.getLogger(__name__)

MODEL_SETTINGS = ("model", "weights", "weights_sha256", "weights_dir", "cache_dir", "download")
"""Settings that say which model is used, for the commands that run one."""

Command = Callable[..., None]


def setting_options(*names: str) -> Callable[[Command], Command]:
    """Give a command an option for each of these settings; it receives them all as one argument, `settings`."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_settings(**arguments: Any) -> None:
            given = {name: arguments.pop(name) for name in names}
            command(settings=_settings(given), **arguments)

        decorated: Command = with_settings
        for name in reversed(names):
            decorated = _option(name)(decorated)
        return decorated

    return decorate


def _option(name: str) -> Callable[[Command], Command]:
    field = Settings.model_fields[name]
    is_flag = field.annotation is bool
    return click.option(
        f"{flag(name)}/{flag('no_' + name)}" if is_flag else flag(name),
        name,
        default=None,
        help=f"{field.description}  [{default_text(name)}; {variable(name)}]",
        metavar=None if is_flag else "VALUE",
    )


def _settings(given: dict[str, Any]) -> Settings:
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise ConfigurationError("\n".join(map(_setting_problem, error.errors()))) from error


def _setting_problem(problem: Any) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    name = str(problem["loc"][0])
    return f"{flag(name)} (or {variable(name)}): {message}, not {problem['input']!r}."


class _Group(click.Group):
    """Turns errors that are meant for the user into one message and exit status 1."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except DepthServiceError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            subject = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{subject}{error.strerror or error}") from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main() -> None:
    """One photo in, its depth out: relative inverse depth, larger and brighter is nearer."""


@main.command()
@setting_options(*Settings.model_fields)
def serve(settings: Settings) -> None:
    """Run the HTTP service."""
    _log_to_stderr(settings)
    for name in unknown_variables():
        logger.warning("%s is not a setting of depthsvc and has no effect", name)
    from depthsvc.server.run import serve as run

    run(settings)


class _Target(NamedTuple):
    path: Path | None
    """None: standard output."""
    format: str


_FORMATS = ("png", "npy", "f16", "png16")


def _target(photo: str, output: str | None, format: str | None) -> _Target:
    """Where a result goes and in which format, from what was said and what was not."""
    if output is None and photo != "-":
        output = f"{Path(photo).stem}-depth.{(format or 'png').replace('png16', 'png')}"
        format = format or "png"
    if output is None or output == "-":
        return _Target(None, format or "png")
    format = format or Path(output).suffix.removeprefix(".").lower()
    if format not in _FORMATS:
        raise ConfigurationError(f"{output}: unknown format. Use one of .{', .'.join(_FORMATS)}, or --format.")
    return _Target(Path(output), format)


def _check_colormap(name: str) -> None:
    from depthsvc.imaging.colormaps import Colormap

    if name not in list(Colormap):
        raise ConfigurationError(f"--colormap: {name!r} is not one of {', '.join(Colormap)}.")


@main.command()
@click.argument("photo")
@click.option("-o", "--output", help="File to write, - for standard output.  [PHOTO-depth.FORMAT]")
@click.option(
    "--format",
    type=click.Choice(_FORMATS),
    help="png: heatmap; npy, f16: float16 values; png16: 16-bit grey.  [by the output's extension, or png]",
)
@click.option("--colormap", default="inferno", help="Colours of a heatmap, as in the HTTP interface.  [inferno]")
@click.option("--input-size", type=int, help="Size at which the network sees the photo.  [the model's own]")
@click.option("--size", type=click.Choice(["source", "model"]), default="source", help="Grid of the result.  [source]")
@setting_options(*MODEL_SETTINGS, "worker_threads", "max_megapixels", "max_input_size", "log_level")
def predict(
    settings: Settings,
    photo: str,
    output: str | None,
    format: str | None,
    colormap: str,
    input_size: int | None,
    size: str,
) -> None:
    """Estimate the depth of one PHOTO, a file or - for standard input, without a service."""
    _log_to_stderr(settings)
    target = _target(photo, output, format)
    _check_colormap(colormap)
    data = sys.stdin.buffer.read() if photo == "-" else Path(photo).read_bytes()
    from depthsvc.estimator import DepthEstimator

    estimator = DepthEstimator.from_settings(settings)
    depth = estimator.predict(data, input_size=input_size, size=size)
    encoded = depth.encoded(target.format, colormap=colormap)
    if target.path is None:
        sys.stdout.buffer.write(encoded)
    else:
        target.path.write_bytes(encoded)
        click.echo(f"{target.path}: {depth.width} x {depth.height}, by {depth.model}", err=True)


@main.command("settings")
def show_settings() -> None:
    """Print every setting with its variable and default, as a Markdown table."""
    click.echo(markdown_table())


@main.group()
def weights() -> None:
    """Find, fetch and check the weights of models."""


@weights.command("list")
@setting_options("weights_dir", "cache_dir")
def list_weights(settings: Settings) -> None:
    """Print the models of the registry and where their weights are."""
    from depthsvc.model.registry import MODELS
    from depthsvc.model.weights import find

    for model in MODELS.values():
        found = find(model, settings.weights_locations)
        state = found.path if found else f"not on this machine; get them: depthsvc weights fetch {model.name}"
        click.echo(f"{model.name}\n  {model.description}\n  licence {model.licence}\n  weights {state}")


@weights.command("fetch")
@click.argument("name", default="midas_small")
@setting_options("weights_dir", "cache_dir", "log_level")
def fetch_weights(settings: Settings, name: str) -> None:
    """Download the weights of a model, midas_small unless NAME says otherwise, and print their path."""
    _log_to_stderr(settings)
    from depthsvc.model.registry import registered
    from depthsvc.model.weights import obtain

    click.echo(obtain(registered(name), settings.weights_locations).path)


@weights.command("path")
@click.argument("name", default="midas_small")
@setting_options("weights_dir", "cache_dir")
def weights_path(settings: Settings, name: str) -> None:
    """Print the path of a model's weights; exit status 1 if they are not on this machine."""
    from depthsvc.model.registry import registered
    from depthsvc.model.weights import locate

    click.echo(locate(registered(name), settings.weights_locations).path)


@weights.command("verify")
@click.argument("name", default="midas_small")
@setting_options("weights", "weights_sha256", "weights_dir", "cache_dir")
def verify_weights(settings: Settings, name: str) -> None:
    """Check the weights on this machine: hash, and every tensor's name, shape and values."""
    from depthsvc.model.checkpoint import load_network
    from depthsvc.model.registry import registered
    from depthsvc.model.weights import locate

    model = registered(name)
    found = locate(model, settings.weights_locations)
    load_network(model.architecture, found)
    click.echo(f"{found.path} is good: SHA-256 {found.sha256}")


def _log_to_stderr(settings: Settings) -> None:
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    for chatty in ("httpx", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
