"""The command `depthsvc`. Heavy imports are inside the commands: `--help` must be quick."""

from __future__ import annotations

import logging
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from depthsvc import __version__
from depthsvc.errors import ConfigurationError, DepthServiceError

if TYPE_CHECKING:
    from depthsvc.settings import Settings

logger = logging.getLogger(__name__)

WEIGHTS_SETTINGS = ("model", "weights", "weights_sha256", "weights_dir", "cache_dir", "download")
"""Settings that say which model is used."""

MODEL_SETTINGS = (*WEIGHTS_SETTINGS, "engine", "precision")
"""Settings that say which model is used and what computes it, for the commands that run one."""


class _CommandWithSettings(click.Command):
    """A command that has an option for each of some settings and receives them all as one argument, `settings`."""

    def __init__(self, *arguments: Any, setting_names: tuple[str, ...] | None, **keywords: Any) -> None:
        """`setting_names` is None for all settings."""
        super().__init__(*arguments, **keywords)
        self._setting_names = setting_names

    @cached_property
    def _setting_options(self) -> dict[str, click.Option]:
        from depthsvc.settings import Settings

        return {name: _option(name) for name in self._setting_names or Settings.model_fields}

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        return [*super().get_params(context), *self._setting_options.values()]

    def invoke(self, context: click.Context) -> Any:
        given = {name: context.params.pop(name) for name in self._setting_options}
        context.params["settings"] = _settings(given)
        return super().invoke(context)


def _option(name: str) -> click.Option:
    from depthsvc.settings import Settings, default_text, flag, variable

    field = Settings.model_fields[name]
    is_flag = field.annotation is bool
    return click.Option(
        [f"{flag(name)}/{flag('no_' + name)}" if is_flag else flag(name), name],
        default=None,
        help=f"{field.description}  [{default_text(name)}; {variable(name)}]",
        metavar=None if is_flag else "VALUE",
    )


def _settings(given: dict[str, Any]) -> Settings:
    from pydantic import ValidationError

    from depthsvc.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise ConfigurationError("\n".join(map(_setting_problem, error.errors()))) from error


def _setting_problem(problem: Any) -> str:
    from depthsvc.settings import flag, variable

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


@main.command(cls=_CommandWithSettings, setting_names=None)
def serve(settings: Settings) -> None:
    """Run the HTTP service."""
    _log_to_stderr(settings)
    from depthsvc.settings import unknown_variables

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
    if not Path(output).parent.is_dir():
        raise ConfigurationError(f"{output}: the folder {Path(output).parent} does not exist.")
    return _Target(Path(output), format)


def _check_colormap(name: str) -> None:
    from depthsvc.imaging.colormaps import Colormap

    if name not in list(Colormap):
        raise ConfigurationError(f"--colormap: {name!r} is not one of {', '.join(Colormap)}.")


@main.command(
    cls=_CommandWithSettings,
    setting_names=(*MODEL_SETTINGS, "worker_threads", "max_megapixels", "max_input_size", "log_level"),
)
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


_EXPORT_FORMATS = {"torchscript": "torchscript", "onnx": "onnxruntime", "openvino": "openvino"}
"""Each format, and the engine whose it is."""


@main.command(cls=_CommandWithSettings, setting_names=(*WEIGHTS_SETTINGS, "log_level"))
@click.option("--format", type=click.Choice(list(_EXPORT_FORMATS)), default="torchscript", help="[torchscript]")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", help="Of a TorchScript file.  [fp32]")
@click.option("-o", "--output", help="File to write: .ts, .onnx or .xml by its format.  [the model's name]")
def export(settings: Settings, format: str, precision: str, output: str | None) -> None:
    """Write a model of the registry as one file for other programs, or for --model, with its description beside it."""
    _log_to_stderr(settings)
    from depthsvc.model.engine import EngineName, Precision
    from depthsvc.model.engines import KINDS
    from depthsvc.model.export import export as write
    from depthsvc.model.loading import resolve

    if precision == "bf16" and format != "torchscript":
        raise ConfigurationError(f"--precision bf16: {format} has it as an option of whoever runs the file.")
    kind = KINDS[EngineName(_EXPORT_FORMATS[format])]
    kind.require()
    model = resolve(settings.model, settings.weights_locations)
    path = Path(output or f"{model.name}{kind.suffix}")
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path}: the folder {path.parent} does not exist.")
    for written in write(model, kind, path, Precision(precision)):
        click.echo(written)


_ENGINES = ("torchscript", "openvino", "onnxruntime")


@main.command(cls=_CommandWithSettings, setting_names=(*WEIGHTS_SETTINGS, "log_level"))
@click.option("--engine", multiple=True, type=click.Choice(_ENGINES), help="[every one that is installed]")
@click.option("--precision", multiple=True, type=click.Choice(["fp32", "bf16"]), help="[those of the processor]")
@click.option("--threads", multiple=True, type=click.IntRange(1, 256), help="[1 and all CPUs]")
@click.option("--input-size", multiple=True, type=click.IntRange(32, 4096), help="[the model's own]")
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=15,
    help="How often each engine has its turn; pixels a third of that.  [15]",
)
@click.option(
    "--photos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Also give each row's error against the first, on the photos in this folder.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown.")
def bench(
    settings: Settings,
    engine: tuple[str, ...],
    precision: tuple[str, ...],
    threads: tuple[int, ...],
    input_size: tuple[int, ...],
    rounds: int,
    photos: Path | None,
    markdown: bool,
) -> None:
    """Measure a photo's stages on this machine. Options that are given again add rows."""
    _log_to_stderr(settings)
    from rich.console import Console

    from depthsvc.bench import forward, machine, photos_in, pixels
    from depthsvc.model.engine import EngineName, Precision
    from depthsvc.model.loading import resolve

    model = resolve(settings.model, settings.weights_locations)
    network = forward(
        model,
        settings.cache_dir,
        engines=tuple(map(EngineName, engine)),
        precisions=tuple(map(Precision, precision)),
        threads=threads,
        sizes=input_size,
        rounds=rounds,
        photos=photos_in(photos) if photos else (),
    )
    click.echo(f"{machine()}\n")
    for report in (network, pixels(model.input, max(1, rounds // 3))):
        if markdown:
            click.echo(f"{report.markdown()}\n")
        else:
            Console().print(report.table())


@main.command("settings")
def show_settings() -> None:
    """Print every setting with its variable and default, as a Markdown table."""
    from depthsvc.settings import markdown_table

    click.echo(markdown_table())


@main.group()
def weights() -> None:
    """Find, fetch and check the weights of models."""


@weights.command("list", cls=_CommandWithSettings, setting_names=("weights_dir", "cache_dir"))
def list_weights(settings: Settings) -> None:
    """Print the models of the registry and where their weights are."""
    from depthsvc.model.registry import MODELS
    from depthsvc.model.weights import find

    for model in MODELS.values():
        found = find(model, settings.weights_locations)
        state = found.path if found else f"not on this machine; get them: depthsvc weights fetch {model.name}"
        click.echo(f"{model.name}\n  {model.description}\n  licence {model.licence}\n  weights {state}")


@weights.command("fetch", cls=_CommandWithSettings, setting_names=("weights_dir", "cache_dir", "log_level"))
@click.argument("name", default="midas_small")
def fetch_weights(settings: Settings, name: str) -> None:
    """Download the weights of a model, midas_small unless NAME says otherwise, and print their path."""
    _log_to_stderr(settings)
    from depthsvc.model.registry import registered
    from depthsvc.model.weights import obtain

    click.echo(obtain(registered(name), settings.weights_locations).path)


@weights.command("path", cls=_CommandWithSettings, setting_names=("weights_dir", "cache_dir"))
@click.argument("name", default="midas_small")
def weights_path(settings: Settings, name: str) -> None:
    """Print the path of a model's weights; exit status 1 if they are not on this machine."""
    from depthsvc.model.registry import registered
    from depthsvc.model.weights import locate

    click.echo(locate(registered(name), settings.weights_locations).path)


@weights.command(
    "verify", cls=_CommandWithSettings, setting_names=("weights", "weights_sha256", "weights_dir", "cache_dir")
)
@click.argument("name", default="midas_small")
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
    from depthsvc.logs import configure

    configure(settings.log_level, settings.log_format)
