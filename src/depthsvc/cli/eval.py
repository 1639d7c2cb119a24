"""`depthsvc eval`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from depthsvc.cli.contenders import contenders_for
from depthsvc.cli.service_options import check_no_worker_options, service_options
from depthsvc.cli.setting_options import COMPUTING, CommandWithSettings, log_to_stderr
from depthsvc.errors import ConfigurationError, DepthServiceError

if TYPE_CHECKING:
    from depthsvc.evaluation.contenders import Contender
    from depthsvc.evaluation.run import Rules, Source
    from depthsvc.evaluation.summary import Summary
    from depthsvc.settings import Settings

LAYOUTS = ("simple", "beside", "nyu", "kitti", "tum", "eth3d", "diode", "sintel", "middlebury", "ibims", "diw")


@click.command(
    "eval", cls=CommandWithSettings, settings=(*COMPUTING, "max_megapixels", "log_level"), repeated=("model",)
)
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("depthsvc-eval"),
    help="Folder for report.html and the scores of each photo.  [depthsvc-eval]",
)
@click.option("--layout", type=click.Choice(LAYOUTS), help="How DATA is arranged.  [by its files]")
@click.option(
    "--protocol",
    type=click.Choice(["midas", "median", "none"]),
    default="midas",
    help="What is fitted to the truth: scale and shift of inverse depth, the medians of depth, or nothing, for models "
    "in metres.  [midas]",
)
@click.option(
    "--crop",
    type=click.Choice(["none", "eigen", "garg"]),
    default="none",
    help="Part of each picture that counts.  [none]",
)
@click.option("--min-depth", type=click.FloatRange(0), help="Smallest true depth that counts, in metres.  [the data's]")
@click.option("--max-depth", type=click.FloatRange(0), help="Largest one, in metres.  [the data's]")
@click.option("--limit", type=click.IntRange(1), help="Score at most this many photos of each DATA, evenly spread.")
@click.option("--input-size", type=click.IntRange(32), help="Input size of the network in pixels.  [the model's own]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of a table.")
@service_options
@click.pass_context
def evaluate(
    context: click.Context,
    settings: Settings,
    data: tuple[Path, ...],
    output: Path,
    layout: str | None,
    protocol: str,
    crop: str,
    min_depth: float | None,
    max_depth: float | None,
    limit: int | None,
    input_size: int | None,
    as_json: bool,
    as_csv: bool,
    url: str | None,
    api_key: str | None,
    concurrency: int,
) -> None:
    """Score models on photos with known depth: each DATA is a folder as a data set is published, see
    docs/evaluation.md. Give --model several times to compare models. Photos that already have a score are skipped, so
    rerunning the same command resumes after an interruption, and the report shows all models that have been scored
    into the same folder.

    Exit status: 0 if all photos have been scored, 1 if some could not be or a model could not be started.
    """
    log_to_stderr(settings)
    if as_json and as_csv:
        raise click.UsageError("--json and --csv cannot be combined. Choose one.")
    check_no_worker_options(context, url)
    from depthsvc.evaluation.protocol import Crop, Fit
    from depthsvc.evaluation.run import Rules, check_units

    rules = Rules(Fit(protocol), Crop(crop), min_depth, max_depth)
    sources = _sources(data, layout, rules, limit)
    contenders = contenders_for(context, settings, input_size, url, api_key, concurrency)
    check_units(contenders, rules.fit)
    summary, is_complete = _evaluated(contenders, sources, rules, output)
    _print(summary, as_json=as_json, as_csv=as_csv)
    click.echo(f"{output / 'report.html'}", err=True)
    scored = {contender.name for contender in contenders}
    sys.exit(0 if is_complete and not any(failure.key.model in scored for failure in summary.failures) else 1)


def _sources(data: tuple[Path, ...], layout: str | None, rules: Rules, limit: int | None) -> list[Source]:
    from depthsvc.evaluation.layouts.registry import LAYOUTS, layout_of
    from depthsvc.evaluation.run import find_sources

    layouts = {folder: LAYOUTS[layout] if layout else layout_of(folder) for folder in data}
    return find_sources(data, layouts, rules, limit)


def _evaluated(contenders: list[Contender], sources: list[Source], rules: Rules, output: Path) -> tuple[Summary, bool]:
    """The scores, and whether all models could be started. Raises DepthServiceError if none could."""
    import cv2

    from depthsvc.batch.progress import display
    from depthsvc.batch.session import Interrupted, ended_by_signals
    from depthsvc.evaluation.pictures import Pictures
    from depthsvc.evaluation.records import Records
    from depthsvc.evaluation.report import write_report
    from depthsvc.evaluation.run import Evaluation
    from depthsvc.evaluation.summary import summarize

    cv2.utils.logging.setLogLevel(0)  # what is damaged is named with its photo
    with _locked(output), ended_by_signals(), closing(Records(output, rules.text())) as records:
        pictures, shown = Pictures(output / "pictures"), display()
        evaluation = Evaluation(sources, records, pictures, shown)
        errors: list[DepthServiceError] = []
        try:
            for contender in contenders:
                try:
                    evaluation.score(contender)
                except DepthServiceError as error:
                    shown.note(f"{contender.name} is left out: {error}")
                    errors.append(error)
        except Interrupted:
            shown.note("Interrupted. Run the same command again to resume.")
            raise
        finally:
            shown.end()
        if len(errors) == len(contenders):
            raise errors[0]
        summary = summarize(records, rules.text(), sources)
        write_report(output / "report.html", summary, sources, records, pictures)
        return summary, not errors


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Create a folder and keep other evaluations out. Raises ConfigurationError or OSError."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".depthsvc-eval.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ConfigurationError(f"{folder}: another evaluation is writing there. Wait, or choose another.") from error
    try:
        yield
    finally:
        lock.release()


def _print(summary: Summary, *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        click.echo(json.dumps(summary.json(), indent=2))
    elif as_csv:
        click.echo(summary.csv(), nl=False)
    elif sys.stdout.isatty():
        from rich.console import Console

        Console().print(summary.table().rich())
    else:
        click.echo(summary.table().markdown())
