"""`depthsvc export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from depthsvc.cli.setting_options import WEIGHTS, CommandWithSettings, log_to_stderr
from depthsvc.errors import ConfigurationError
from depthsvc.model.choice import EngineName, Precision

if TYPE_CHECKING:
    from depthsvc.settings import Settings

_EXPORT_FORMATS = {
    "torchscript": EngineName.TORCHSCRIPT,
    "onnx": EngineName.ONNXRUNTIME,
    "openvino": EngineName.OPENVINO,
    "ncnn": EngineName.NCNN,
}
"""Export format -> engine."""


@click.command(cls=CommandWithSettings, settings=(WEIGHTS, "log_level"))
@click.option(
    "--format", type=click.Choice(list(_EXPORT_FORMATS)), default="torchscript", help="Kind of file.  [torchscript]"
)
@click.option(
    "--precision",
    type=click.Choice([Precision.FP32.value, Precision.BF16.value]),
    default="fp32",
    help="Number format of a TorchScript file.  [fp32]",
)
@click.option(
    "-o", "--output", help="File to write: .ts, .onnx, .xml or .param to match the format.  [the model's name]"
)
def export(settings: Settings, format: str, precision: str, output: str | None) -> None:
    """Export a registered model as a file for other programs, or for --model, with its description next to it."""
    log_to_stderr(settings)
    from depthsvc.model.engines.kinds import KINDS
    from depthsvc.model.export import export as write
    from depthsvc.model.resolve import resolve

    if precision == "bf16" and format != "torchscript":
        raise ConfigurationError(
            f"--precision bf16: only for torchscript. With {format}, choose the precision when you run the file."
        )
    kind = KINDS[_EXPORT_FORMATS[format]]
    kind.require()
    model = resolve(settings.model, settings.weights_locations)
    path = Path(output or f"{model.name}{kind.suffix}")
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path}: the folder {path.parent} does not exist.")
    for written in write(model, kind, path, Precision(precision)):
        click.echo(written)
