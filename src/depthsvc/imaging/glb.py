"""GLB files: glTF 2.0 with its data in one file. One mesh, textured with a photo.

The format: registry.khronos.org/glTF/specs/2.0/glTF-2.0.html. It is a JSON object and arrays, which takes no library.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from depthsvc.errors import ConfigurationError
from depthsvc.imaging.mesh import Surface
from depthsvc.version import __version__

MAGIC = b"glTF"
_VERSION = 2
_UNLIT = "KHR_materials_unlit"
_FLOAT, _UNSIGNED_INT = 5126, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP_TO_EDGE = 9729, 9987, 33071
_HEADER, _CHUNK = struct.Struct("<4sII"), struct.Struct("<I4s")
_ALIGNMENT = 4


class Mesh(bytes):
    """The bytes of a GLB file, with a method to save it."""

    def save(self, path: str | PathLike[str]) -> None:
        """Write a .glb file. Raises ConfigurationError for another extension, and OSError."""
        if Path(path).suffix.lower() != ".glb":
            raise ConfigurationError(f"{path}: unknown extension. Save a mesh as .glb.")
        Path(path).write_bytes(self)

    @classmethod
    def of(cls, data: bytes) -> Mesh:
        """A mesh from a file's bytes. Raises ValueError if they are not a whole GLB file."""
        if len(data) < _HEADER.size or _HEADER.unpack_from(data) != (MAGIC, _VERSION, len(data)):
            raise ValueError("not a GLB file")
        return cls(data)

    def __repr__(self) -> str:
        return f"Mesh({len(self):,} bytes)"

    __str__ = __repr__


def glb_file(surface: Surface, texture: bytes, about: Mapping[str, str]) -> bytes:
    """A file of a surface with a JPEG as its texture, shown without light. `about`: what `asset.extras` says.

    A surface without triangles becomes an empty scene.
    """
    content: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"depthsvc {__version__}", "extras": dict(about)},
        "scene": 0,
        "scenes": [{}],
    }
    if not len(surface.triangles):
        return _file(content, [])
    arrays = [surface.points.astype("<f4"), surface.places.astype("<f4"), surface.triangles.astype("<u4")]
    parts = [*(array.tobytes() for array in arrays), texture]
    return _file(content | _described(surface, [len(part) for part in parts]), parts)


def _described(surface: Surface, sizes: list[int]) -> dict[str, Any]:
    """Everything but the asset; `sizes`: bytes of points, places, triangles and texture, each aligned in the buffer."""
    offsets = [0, *np.cumsum([_aligned(size) for size in sizes]).tolist()]
    views: list[dict[str, int]] = [
        {"buffer": 0, "byteOffset": offset, "byteLength": size} for offset, size in zip(offsets, sizes, strict=False)
    ]
    for view, target in zip(views, (_ARRAY_BUFFER, _ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER), strict=False):
        view["target"] = target
    low, high = surface.points.min(axis=0).tolist(), surface.points.max(axis=0).tolist()
    count, indices = len(surface.points), surface.triangles.size
    return {
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}]}],
        "materials": [
            {
                "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}, "metallicFactor": 0, "roughnessFactor": 1},
                "doubleSided": True,
                "extensions": {_UNLIT: {}},
            }
        ],
        "extensionsUsed": [_UNLIT],
        "textures": [{"sampler": 0, "source": 0}],
        "samplers": [
            {
                "magFilter": _LINEAR,
                "minFilter": _LINEAR_MIPMAP_LINEAR,
                "wrapS": _CLAMP_TO_EDGE,
                "wrapT": _CLAMP_TO_EDGE,
            }
        ],
        "images": [{"bufferView": 3, "mimeType": "image/jpeg"}],
        "accessors": [
            {"bufferView": 0, "componentType": _FLOAT, "count": count, "type": "VEC3", "min": low, "max": high},
            {"bufferView": 1, "componentType": _FLOAT, "count": count, "type": "VEC2"},
            {"bufferView": 2, "componentType": _UNSIGNED_INT, "count": indices, "type": "SCALAR"},
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": offsets[-1]}],
    }


def _file(content: Mapping[str, Any], parts: list[bytes]) -> bytes:
    """A header, the JSON chunk and, if there are parts, the binary chunk."""
    text = json.dumps(content, separators=(",", ":")).encode()
    pieces = [*_chunk(b"JSON", [text], b" "), *(_chunk(b"BIN\0", parts, b"\0") if parts else [])]
    return b"".join([_HEADER.pack(MAGIC, _VERSION, _HEADER.size + sum(map(len, pieces))), *pieces])


def _chunk(kind: bytes, parts: list[bytes], filler: bytes) -> list[bytes]:
    """A chunk in pieces, whose parts are filled up until they are aligned."""
    aligned = [piece for part in parts for piece in (part, filler * (_aligned(len(part)) - len(part)))]
    return [_CHUNK.pack(sum(map(len, aligned)), kind), *aligned]


def _aligned(size: int) -> int:
    return size + -size % _ALIGNMENT
