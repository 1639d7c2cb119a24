"""Settings as command-line options."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from depthsvc.settings import Settings

WEIGHTS = "WeightsSettings"
"""Settings that choose the model."""

MODEL = (WEIGHTS, "EngineSettings")
"""Settings that choose the model and its engine, for the commands that run one."""

COMPUTING = (
    *MODEL,
    "workers",
    "worker_threads",
    "max_input_size",
    "deadline_s",
    "max_photos_per_worker",
    "ClusterSettings",
)
"""Settings of the workers of a command; with --url the service decides them."""


def setting_names(given: tuple[str, ...]) -> list[str]:
    """Names of settings; the name of a settings class in `depthsvc.settings` expands to all of its fields."""
    from depthsvc import settings

    names: list[str] = []
    for name in given:
        group = getattr(settings, name, None)
        names += group.model_fields if group else [name]
    return names


class CommandWithSettings(click.Command):
    """A command with an option for each of the given settings; it receives all settings as `settings`."""

    def __init__(
        self, *arguments: Any, settings: tuple[str, ...], repeated: tuple[str, ...] = (), **keywords: Any
    ) -> None:
        """`settings`: names as for `setting_names`. `repeated`: those whose options may be given several times."""
        super().__init__(*arguments, **keywords)
        self._settings = settings
        self._repeated = repeated

    @cached_property
    def _setting_options(self) -> dict[str, click.Option]:
        return {name: _option(name, repeated=name in self._repeated) for name in setting_names(self._settings)}

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        *own, help_option = super().get_params(context)
        return [*own, *self._more_options(), *self._setting_options.values(), help_option]

    def _more_options(self) -> list[click.Option]:
        """Options listed between the command's own and the settings."""
        return []

    def invoke(self, context: click.Context) -> Any:
        options = {name: context.params.pop(name) for name in self._setting_options}
        given = {name: value for name, value in options.items() if value not in (None, ())}
        given = {name: ",".join(value) if isinstance(value, tuple) else value for name, value in given.items()}
        context.params["settings"] = self.read(given)
        return super().invoke(context)

    def read(self, given: dict[str, Any]) -> Any:
        """What the command receives as `settings`: settings given on the command line, and those of the environment.

        Raises ConfigurationError if one is not valid.
        """
        from depthsvc.settings import flag, read_settings, variable

        return read_settings(given, lambda name: f"{flag(name)} (or {variable(name)})")


def _option(name: str, *, repeated: bool) -> click.Option:
    from depthsvc.settings import Settings, default_text, flag, variable

    field = Settings.model_fields[name]
    is_flag = field.annotation is bool
    return click.Option(
        [f"{flag(name)}/{flag('no_' + name)}" if is_flag else flag(name), name],
        default=None,
        help=f"{field.description}  [{default_text(name)}; {variable(name)}]",
        metavar=None if is_flag else "VALUE",
        multiple=repeated,
    )


def log_to_stderr(settings: Settings) -> None:
    """Log in the console format, whether or not standard error is a terminal."""
    from depthsvc.cli.logs import configure
    from depthsvc.settings import LogFormat

    configure(settings.log_level, LogFormat.CONSOLE)
