"""Photo options as command-line options, generated from `depthsvc.options`."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

import click

from depthsvc.cli.setting_options import CommandWithSettings
from depthsvc.errors import ConfigurationError, problem_name, problem_reason
from depthsvc.formats import Format, Result, format_named, formats_of

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from depthsvc.options import Options

FILE_FORMATS = formats_of(Result.HEATMAP, Result.DEPTH, Result.POINT_CLOUD, Result.NORMALS, Result.MESH)
"""The formats that commands can write."""
FORMAT_CHOICE = click.Choice([format.name for format in FILE_FORMATS])
FORMAT_HELP = "; ".join(f"{format.name}: {format.description}" for format in FILE_FORMATS) + "."


_CHOOSING = {"side_by_side": Result.SIDE_BY_SIDE, "bokeh": Result.BOKEH, "stereo": Result.STEREO}
"""Options that choose a result with a single format."""
_DECIDED = {"format", "palette", "model"}
"""Options of photos that are none of a command: --format and the setting --model decide two, the command the third."""


class PhotoCommand(CommandWithSettings):
    """A command with settings and all photo options; it receives the photo options that were given as `wanted`."""

    @cached_property
    def _photo_options(self) -> dict[str, click.Option]:
        chosen = {name: _chosen(name, help) for name, help in _ROUTES.items()}
        return {**{name: _option(name, field) for name, field in _fields().items()}, **chosen}

    def _more_options(self) -> list[click.Option]:
        return list(self._photo_options.values())

    def invoke(self, context: click.Context) -> Any:
        given = {name: context.params.pop(name) for name in self._photo_options}
        context.params["wanted"] = {name: value for name, value in given.items() if value is not None}
        return super().invoke(context)


def formats_for(name: str | None, wanted: dict[str, Any]) -> tuple[Format, ...]:
    """The formats that --format and other options leave to choose from, the default first.

    Removes the options that choose a result from `wanted`. Raises ConfigurationError for those that exclude each other.
    """
    chosen = [option for option in _CHOOSING if wanted.pop(option, False)]
    if not chosen:
        return (format_named(name),) if name else FILE_FORMATS
    if len(chosen) > 1:
        raise ConfigurationError(f"{' and '.join(map(_flag, chosen))} cannot be combined. Choose one.")
    formats = formats_of(_CHOOSING[chosen[0]])
    if name and name != formats[0].ending:
        raise ConfigurationError(f"{_flag(chosen[0])} cannot be used with this format.")
    return formats


def options_for(format: Format, wanted: dict[str, Any]) -> Options:
    """Options for a file of this format. Raises ConfigurationError for an option that the format does not support."""
    from pydantic import ValidationError

    from depthsvc.options import OPTIONS

    try:
        return OPTIONS[format.result].for_format(format, **wanted)
    except ValidationError as error:
        flags = (_flag(option) for option, result in _CHOOSING.items() if result is format.result)
        chosen = next(flags, "this format")
        raise ConfigurationError("\n".join(_problem(problem, chosen) for problem in error.errors())) from error


def _problem(problem: Any, chosen: str) -> str:
    flag = _flag(problem_name(problem))
    if problem["type"] == "extra_forbidden":
        return f"{flag} cannot be used with {chosen}."
    return f"{flag}: {problem_reason(problem, echo=True)}."


_ROUTES = {
    "bokeh": "The photo as a JPEG, refocused by --focus and --strength.",
    "stereo": "A stereo picture, a JPEG, by --layout, --divergence and --convergence.",
}
"""Options in whose place HTTP has a route, with their help."""


def _chosen(name: str, help: str) -> click.Option:
    return click.Option([_flag(name)], is_flag=True, default=None, help=help)


def _option(name: str, field: FieldInfo) -> click.Option:
    is_flag = bool in (field.annotation, *get_args(field.annotation))
    default = "" if field.default in (None, False) else f"  [{field.default}]"
    return click.Option(
        [_flag(name) if field.annotation is bool or not is_flag else f"{_flag(name)}/--no-{name}"],
        type=None if is_flag else _type(name, field),
        is_flag=is_flag,
        default=None,
        metavar=f"[{'|'.join(_names(field))}]" if _names(field) else None,
        shell_complete=lambda _, __, typed: [name for name in _names(field) if name.startswith(typed)],
        help=f"{(field.description or '').replace('`', '')}{default}",
    )


def _fields() -> dict[str, FieldInfo]:
    """The options of photos by name; what two results share is explained as the first explains it."""
    from depthsvc.options import OPTIONS, UploadQuery

    fields: dict[str, FieldInfo] = {}
    for kind in (UploadQuery, *OPTIONS.values()):
        for name, field in kind.model_fields.items():
            fields.setdefault(name, field)
    return {name: field for name, field in fields.items() if name not in _DECIDED}


def _type(name: str, field: FieldInfo) -> click.Choice[str] | type[int] | type[float] | type[str]:
    if field.annotation in (int, int | None):
        return int
    if field.annotation is float:
        return float
    if name in _EXPLAINED or not _names(field):
        return str
    return click.Choice(_names(field))


_EXPLAINED = ("colormap",)
"""Names whose wrong values `options_for` explains, as it does for HTTP."""


def _names(field: FieldInfo) -> list[str]:
    """The values of an enumeration; none for any other type."""
    kind = field.annotation
    return list(map(str, kind)) if isinstance(kind, type) and issubclass(kind, StrEnum) else []


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
