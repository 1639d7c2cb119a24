"""`depthsvc cache`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from depthsvc.cli.setting_options import CommandWithSettings

if TYPE_CHECKING:
    from pathlib import Path

    from depthsvc.settings import Settings

_SHOWN = 5


@click.command(cls=CommandWithSettings, settings=("cache_dir",))
@click.option("--clear", is_flag=True, help="Remove the entries. Stop the service first.")
def cache(settings: Settings, clear: bool) -> None:
    """Show the folder of downloaded weights and of the files prepared from them, or empty it.

    Only what depthsvc has put there is counted and removed. Links are not followed.
    """
    from depthsvc.model.cached import entries, foreign, remove, size_of

    folder = settings.cache_dir
    total = 0
    for entry in entries(folder):
        size = size_of(entry)
        total += size
        if clear:
            remove(entry)
        if not entry.name.endswith(".lock"):
            click.echo(f"{_megabytes(size)}  {_name(entry, folder)}")
    click.echo(f"{_megabytes(total)}  {'removed from' if clear else 'in'} {_printable(folder)}")
    if others := foreign(folder):
        names = ", ".join(_name(path, folder) for path in others[:_SHOWN])
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        click.echo(f"Left alone, because depthsvc did not put it there: {names}{more}", err=True)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:8.1f} MB"


def _name(path: Path, folder: Path) -> str:
    return _printable(path.relative_to(folder))


def _printable(path: Path) -> str:
    from depthsvc.batch.progress import printable

    return printable(path)
