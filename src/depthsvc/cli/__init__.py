"""The `depthsvc` command. Commands import heavy modules inside their functions, to keep `--help` fast."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, Any

import click

from depthsvc.cli.batch import batch
from depthsvc.cli.bench import bench
from depthsvc.cli.cache import cache
from depthsvc.cli.compare import compare
from depthsvc.cli.doctor.command import doctor
from depthsvc.cli.eval import evaluate
from depthsvc.cli.export import export
from depthsvc.cli.predict import predict
from depthsvc.cli.setting_options import CommandWithSettings
from depthsvc.cli.streams import use_safe_streams
from depthsvc.cli.video import video
from depthsvc.cli.weights import weights
from depthsvc.errors import DepthServiceError, RequestError
from depthsvc.version import __version__

if TYPE_CHECKING:
    from depthsvc.settings import Settings

logger = logging.getLogger(__name__)


class _Group(click.Group):
    """Turns errors meant for the user into a message and exit status 1."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except RequestError as error:
            from depthsvc.settings import advice

            raise click.ClickException(advice(error)) from error
        except DepthServiceError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output has gone; click exits quietly
                raise
            subject = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{subject}{error.strerror or error}") from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main() -> None:
    """One photo in, its depth out: relative inverse depth, larger and brighter is nearer."""


@main.command(cls=CommandWithSettings, settings=("Settings",), repeated=("model",))
def serve(settings: Settings) -> None:
    """Run the HTTP service."""
    from depthsvc.cli.logs import configure
    from depthsvc.settings import unknown_variables

    configure(settings.log_level, settings.log_format)
    for name, similar in unknown_variables().items():
        hint = f"; did you mean {similar[0]}?" if similar else ""
        logger.warning("%s is not a setting of depthsvc and has no effect%s", name, hint)
    from depthsvc.server.boot import serve as run

    run(settings)


@main.command("settings")
def show_settings() -> None:
    """Print every setting with its variable and default, as a Markdown table."""
    from depthsvc.settings import markdown_table

    click.echo(markdown_table())


for command in (predict, batch, video, compare, evaluate, export, bench, weights, cache, doctor):
    main.add_command(command)


def run() -> None:
    """The program `depthsvc`."""
    use_safe_streams()
    main()
