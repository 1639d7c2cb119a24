"""The settings, where each comes from, and what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from depthsvc.errors import problem_name
from depthsvc.settings import Settings, flag, sentences, variable


@dataclass(frozen=True)
class Configuration:
    """The settings in effect, with the default in place of each that is not valid."""

    settings: Settings
    sources: Mapping[str, str]
    """Settings that somebody has set, and the option or variable that did."""
    problems: tuple[str, ...]
    """A sentence for each setting that is not valid."""


def read_configuration(given: Mapping[str, object]) -> Configuration:
    """The settings from the command line and the environment. Raises nothing for values that are not valid."""
    sources = {**_variables(), **{name: flag(name) for name in given}}
    try:
        return Configuration(Settings(**given), sources, ())  # type: ignore[arg-type]  # pydantic reports what is wrong
    except ValidationError as error:
        defaults = {problem_name(problem): _default(problem_name(problem)) for problem in error.errors()}
        settings = Settings(**{**given, **defaults})
        return Configuration(settings, sources, tuple(sentences(error, lambda name: sources.get(name, name))))


def _variables() -> dict[str, str]:
    """Settings that a variable sets, in whatever case it is written."""
    names = {variable(name).lower(): name for name in Settings.model_fields}
    return {names[written.lower()]: written for written in os.environ if written.lower() in names}


def _default(name: str) -> Any:
    return Settings.model_fields[name].get_default(call_default_factory=True)


def settings_that_differ(configuration: Configuration) -> dict[str, str]:
    """The values that are not the defaults, in words, by name. Keys and other secrets are not shown."""
    values = {name: getattr(configuration.settings, name) for name in configuration.sources}
    return {name: _in_words(value) for name, value in values.items() if value != _default(name)}


def _in_words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
