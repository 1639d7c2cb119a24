"""The output formats, one row each. HTTP, CLI, clients, Python API and documentation all read this table.

Heavy modules are imported only to encode: the command line needs the names at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from depthsvc.errors import ConfigurationError


class Result(StrEnum):
    """What can be made from a photo. Each has a class of options, a renderer, and one or more formats."""

    HEATMAP = "heatmap"
    SIDE_BY_SIDE = "side_by_side"
    DEPTH = "depth"
    POINT_CLOUD = "point_cloud"
    BOKEH = "bokeh"
    STEREO = "stereo"
    NORMALS = "normals"
    MESH = "mesh"


@dataclass(frozen=True)
class Format:
    """One file format."""

    name: str
    result: Result
    extension: str
    """Extension of its file names, without the leading dot; unique."""
    media_type: str
    dtype: str
    """NumPy's name for the type of its numbers."""
    encoder: str
    """Function of `depthsvc.imaging.encode` that makes its bytes."""
    description: str
    """A short description."""
    labelled: bool = False
    """Whether a file says what its numbers are."""

    @property
    def ending(self) -> str:
        """The last part of the extension."""
        return self.extension.rpartition(".")[2]

    def encode(self, content: Any, *, about: Mapping[str, str] | None = None, **style: Any) -> bytes:
        """The file's bytes. `content` comes from the result's renderer, `style` from its options.

        `about`: what to write into a file that is labelled, such as the model.
        """
        from depthsvc.imaging import encode

        if self.labelled:
            style["about"] = about or {}
        data: bytes = getattr(encode, self.encoder)(content, **style)
        return data


FORMATS = (
    Format("png", Result.HEATMAP, "png", "image/png", "uint8", "heatmap_png", "heatmap"),
    Format("pair", Result.SIDE_BY_SIDE, "pair.png", "image/png", "uint8", "rgb_png", "photo beside its heatmap"),
    Format(
        "f16", Result.DEPTH, "f16", "application/octet-stream", "float16", "f16", "raw little-endian row-major float16"
    ),
    Format("npy", Result.DEPTH, "npy", "application/x-npy", "float16", "npy", "the same as a NumPy file"),
    Format(
        "png16",
        Result.DEPTH,
        "16.png",
        "image/png",
        "uint16",
        "png16",
        "16-bit grey PNG: 0 is the farthest point and 65535 the nearest; metres in steps of a millimetre or a few",
        labelled=True,
    ),
    Format(
        "exr", Result.DEPTH, "exr", "image/x-exr", "float32", "exr", "OpenEXR of one float32 channel", labelled=True
    ),
    Format(
        "tiff",
        Result.DEPTH,
        "f32.tif",
        "image/tiff",
        "float32",
        "tiff",
        "TIFF of one float32 channel, uncompressed",
        labelled=True,
    ),
    Format("ply", Result.POINT_CLOUD, "ply", "model/ply", "float32", "ply", "coloured points"),
    Format("jpeg", Result.BOKEH, "bokeh.jpg", "image/jpeg", "uint8", "tagged_jpeg", "refocused photo"),
    Format("stereo", Result.STEREO, "stereo.jpg", "image/jpeg", "uint8", "tagged_jpeg", "stereo picture"),
    Format("normals", Result.NORMALS, "normals.png", "image/png", "uint8", "rgb_png", "surface normals as colours"),
    Format(
        "glb",
        Result.MESH,
        "glb",
        "model/gltf-binary",
        "float32",
        "glb",
        "a mesh textured with the photo, glTF 2.0",
        labelled=True,
    ),
)


def formats_of(*results: Result) -> tuple[Format, ...]:
    """The formats of these results, in table order: the default of each comes first."""
    return tuple(format for format in FORMATS if format.result in results)


def format_named(name: str, formats: Iterable[Format] = FORMATS) -> Format:
    """The format with this name. Raises ConfigurationError if `formats` has none."""
    formats = list(formats)
    for format in formats:
        if format.name == name:
            return format
    names = ", ".join(format.name for format in formats)
    raise ConfigurationError(f"Unknown output format {name!r}: use one of {names}.")


def format_of_file(name: str, formats: Iterable[Format]) -> Format | None:
    """The format of a file whose name ends in the format's name, extension or end of it; the first one, or None."""
    suffixes = {
        f".{suffix}": format
        for format in reversed(list(formats))
        for suffix in (format.name, format.extension, format.ending)
    }
    longest_first = sorted(suffixes, key=len, reverse=True)
    return next((suffixes[suffix] for suffix in longest_first if name.lower().endswith(suffix)), None)
