"""The files that photos become: what each format is called, what it asks of the pipeline or a service, its extension.

It imports what is heavy only when asked: the command line needs the names at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from depthsvc.errors import ConfigurationError

if TYPE_CHECKING:
    from depthsvc.options import Options

FORMATS = ("png", "npy", "f16", "png16", "ply")
"""png: a heatmap; npy and f16: float16 values; png16: a 16-bit grey PNG; ply: a point cloud."""

_EXTENSIONS = {"png16": "16.png"}
"""Of formats whose files other programs know by another name; yet no two formats share one."""


def is_uri(word: str) -> bool:
    """Whether a file or folder is named by a URI instead of a path."""
    return "://" in word


def format_of(name: str) -> str:
    """The format of a file by its name, as `extension` makes it; "" if it has none that is known."""
    suffixes = {f".{extension(format)}": format for format in FORMATS} | {f".{format}": format for format in FORMATS}
    return next((suffixes[suffix] for suffix in sorted(suffixes, key=len)[::-1] if name.lower().endswith(suffix)), "")


def options_of(format: str, **wanted: Any) -> Options:
    """What a file of this format asks of one photo. `wanted` are fields of the format's options; None: its default.

    Raises ConfigurationError for a format, a field or a value that does not exist.
    """
    from pydantic import ValidationError

    from depthsvc.options import DepthFormat, DepthOptions, HeatmapOptions, PointCloudOptions

    options: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    try:
        match format:
            case "png":
                return HeatmapOptions(**options)
            case "npy" | "f16" | "png16":
                return DepthOptions(format=DepthFormat(format), **options)
            case "ply":
                return PointCloudOptions(**options)
    except ValidationError as error:
        raise ConfigurationError("\n".join(map(_problem, error.errors()))) from error
    raise ConfigurationError(f"Unknown format {format!r}: use one of {', '.join(FORMATS)}.")


def _problem(problem: Any) -> str:
    name = str(problem["loc"][0])
    option = f"--{name.replace('_', '-')}"
    if problem["type"] == "extra_forbidden":
        return f"{option} does not go with this format."
    if problem["type"] == "enum":
        return f"{option}: {problem['input']!r} is not one of {problem['ctx']['expected'].replace(chr(39), '')}."
    return f"{option}: {problem['msg']}, not {problem['input']!r}."


def extension(format: str, *, side_by_side: bool = False) -> str:
    """The extension of a file's name, without its first dot."""
    return f"{'pair.' if side_by_side else ''}{_EXTENSIONS.get(format, format)}"
