"""`depthsvc bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from depthsvc.cli.setting_options import WEIGHTS, CommandWithSettings, log_to_stderr
from depthsvc.model.choice import EngineName, Precision

if TYPE_CHECKING:
    from depthsvc.settings import Settings


@click.command(cls=CommandWithSettings, settings=(WEIGHTS, "log_level"))
@click.option(
    "--engine",
    multiple=True,
    type=click.Choice([name.value for name in EngineName if name is not EngineName.AUTO]),
    help="Engine to measure.  [every installed one]",
)
@click.option(
    "--precision",
    multiple=True,
    type=click.Choice([name.value for name in Precision if name not in (Precision.AUTO, Precision.FP16)]),
    help="Number format to measure.  [those that the processor supports]",
)
@click.option("--threads", multiple=True, type=click.IntRange(1, 256), help="Threads per engine.  [1 and all CPUs]")
@click.option(
    "--input-size", multiple=True, type=click.IntRange(32, 4096), help="Input size in pixels.  [the model's own]"
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=15,
    help="Rounds for each engine; the pixel stages get a third.  [15]",
)
@click.option(
    "--photos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Also report each row's error against the first row, on the photos in this folder.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown (the default when output is not a terminal).")
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
    """Measure how long a photo's stages take on this machine. Repeat an option to add rows."""
    log_to_stderr(settings)
    from rich.console import Console

    from depthsvc.evaluation.speed import forward, machine, photos_in, pixels
    from depthsvc.model.resolve import resolve

    status = Console(stderr=True).status
    model = resolve(settings.model, settings.weights_locations)
    with status(f"Measuring {model.name} in {rounds} rounds ..."):
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
    with status("Measuring decoding and encoding ..."):
        stages = pixels(model.spec.input, max(1, rounds // 3))
    click.echo(f"{machine()}\n")
    for table in (network, stages):
        if markdown or not sys.stdout.isatty():
            click.echo(f"{table.markdown()}\n")
        else:
            Console().print(table.rich())
