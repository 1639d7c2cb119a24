"""Settings as options of a command."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from depthsvc.settings import Settings

WEIGHTS_SETTINGS = ("model", "weights", "weights_sha256", "weights_dir", "cache_dir", "download")
"""Settings that say which model is used."""

MODEL_SETTINGS = (*WEIGHTS_SETTINGS, "engine", "precision")
"""Settings that say which model is used and what computes it, for the commands that run one."""


class CommandWithSettings(click.Command):
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
    from depthsvc.settings import flag, read_settings, variable

    said = {name: value for name, value in given.items() if value is not None}
    return read_settings(said, lambda name: f"{flag(name)} (or {variable(name)})")


def log_to_stderr(settings: Settings) -> None:
    """Log for a person, whether or not standard error is a terminal."""
    from depthsvc.cli.logs import configure
    from depthsvc.settings import LogFormat

    configure(settings.log_level, LogFormat.CONSOLE)
