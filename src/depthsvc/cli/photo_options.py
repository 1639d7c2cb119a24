"""Photo options as command-line options, generated from `depthsvc.options`."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from depthsvc.cli.setting_options import CommandWithSettings
from depthsvc.errors import ConfigurationError, problem_name, problem_reason
from depthsvc.formats import Format, Result, formats_of

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from depthsvc.options import Options

FILE_FORMATS = formats_of(Result.HEATMAP, Result.DEPTH, Result.POINT_CLOUD)
"""The formats that commands can write."""
FORMAT_CHOICE = click.Choice([format.name for format in FILE_FORMATS])
FORMAT_HELP = "; ".join(f"{format.name}: {format.description}" for format in FILE_FORMATS) + "."


class PhotoCommand(CommandWithSettings):
    """A command with settings and photo options; it receives the photo options that were given as `wanted`."""

    def __init__(self, *arguments: Any, photo_options: tuple[str, ...], **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._names = photo_options

    @cached_property
    def _photo_options(self) -> dict[str, click.Option]:
        return {name: _option(name) for name in self._names}

    def _more_options(self) -> list[click.Option]:
        return list(self._photo_options.values())

    def invoke(self, context: click.Context) -> Any:
        given = {name: context.params.pop(name) for name in self._photo_options}
        context.params["wanted"] = {name: value for name, value in given.items() if value is not None}
        return super().invoke(context)


def options_for(format: Format, wanted: dict[str, Any]) -> Options:
    """Options for a file of this format. Raises ConfigurationError for an option that the format does not support."""
    from pydantic import ValidationError

    from depthsvc.options import OPTIONS

    try:
        return OPTIONS[format.result].for_format(format, **wanted)
    except ValidationError as error:
        raise ConfigurationError("\n".join(map(_problem, error.errors()))) from error


def _problem(problem: Any) -> str:
    flag = _flag(problem_name(problem))
    if problem["type"] == "extra_forbidden":
        return f"{flag} cannot be used with this format."
    return f"{flag}: {problem_reason(problem, echo=True)}."


def _option(name: str) -> click.Option:
    field = _field(name)
    is_flag = field.annotation is bool
    default = "" if is_flag or field.default is None else f"  [{field.default}]"
    return click.Option(
        [_flag(name)],
        type=None if is_flag else _type(name, field),
        is_flag=is_flag,
        default=None,
        metavar=f"[{'|'.join(_names(field))}]" if _names(field) else None,
        shell_complete=lambda _, __, typed: [name for name in _names(field) if name.startswith(typed)],
        help=f"{(field.description or '').replace('`', '')}{default}",
    )


def _field(name: str) -> FieldInfo:
    from depthsvc.options import DepthOptions, PointCloudOptions, UploadQuery

    kinds = (UploadQuery, DepthOptions, PointCloudOptions)
    return next(kind.model_fields[name] for kind in kinds if name in kind.model_fields)


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
