"""`depthsvc doctor`."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from depthsvc.cli.setting_options import CommandWithSettings
from depthsvc.version import __version__

if TYPE_CHECKING:
    from depthsvc.cli.doctor.configuration import Configuration
    from depthsvc.cli.doctor.finding import Finding

_NAME_WIDTH = 13
_COLOURS = {"ok": "green", "note": "yellow", "wrong": "red"}


class _DoctorCommand(CommandWithSettings):
    def read(self, given: dict[str, Any]) -> Configuration:
        from depthsvc.cli.doctor.configuration import read_configuration

        return read_configuration(given)


@click.command(cls=_DoctorCommand, settings=("Settings",))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(settings: Configuration, as_json: bool) -> None:
    """Check this machine, the installation and the settings, and say what is wrong.

    Give it the options of depthsvc serve, in the same environment. Nothing is downloaded.

    Exit status: 0 if nothing is wrong, 1 if something is.
    """
    found = _found(settings)
    findings = dict(found) if as_json else dict(map(_printed, found))
    wrong_ones = [name for name, finding in findings.items() if finding.status == "wrong"]
    if as_json:
        checks = [{"name": name, **vars(finding)} for name, finding in findings.items()]
        click.echo(json.dumps({"ok": not wrong_ones, "version": __version__, "checks": checks}, indent=2))
    else:
        click.echo(f"\nwrong: {', '.join(wrong_ones)}" if wrong_ones else "\nNothing is wrong.")
    sys.exit(1 if wrong_ones else 0)


def _found(configuration: Configuration) -> Iterator[tuple[str, Finding]]:
    from depthsvc.cli.doctor.checks import CHECKS

    for check in CHECKS:
        yield check.name, check.find(configuration)


def _printed(row: tuple[str, Finding]) -> tuple[str, Finding]:
    """Print a finding at once: the next check may take a while."""
    from depthsvc.batch.progress import harmless

    name, finding = row
    status = click.style(f"{finding.status:5}", fg=_COLOURS[finding.status])
    margin = 7 + _NAME_WIDTH
    lines = textwrap.wrap(
        harmless(finding.sentence),
        max(40, shutil.get_terminal_size().columns - margin),
        break_long_words=False,
        break_on_hyphens=False,
    )
    click.echo(f"{status}  {name:{_NAME_WIDTH}}" + f"\n{' ' * margin}".join(lines))
    return row
