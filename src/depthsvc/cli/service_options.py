"""Options of the commands that may let a running service compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from depthsvc.cli.setting_options import COMPUTING, setting_names

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def service_options(command: Decorated) -> Decorated:
    """Decorator: the command gets --url, --api-key and --concurrency."""
    for option in (
        click.option(
            "--concurrency", type=click.IntRange(1), default=4, help="With --url: photos sent at the same time.  [4]"
        ),
        click.option(
            "--api-key",
            envvar="DEPTHSVC_API_KEY",
            help="With --url: its API key; prefer the variable.  [none; DEPTHSVC_API_KEY]",
        ),
        click.option("--url", help="Address of a running service to use instead of workers on this machine."),
    ):
        command = option(command)
    return command


def check_no_worker_options(context: click.Context, url: str | None) -> None:
    """A service has its own workers: silently ignoring an option would mislead. It may have several models."""
    if not url:
        return
    for name in setting_names(COMPUTING):
        if name != "model" and is_given(context, name):
            raise click.UsageError(
                f"--{name.replace('_', '-')} cannot be combined with --url: the service decides that."
            )


def is_given(context: click.Context, name: str) -> bool:
    """Whether an option is on the command line."""
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
