"""Depth and colours to a point cloud, with a pinhole camera."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from depthsvc.errors import ConfigurationError
from depthsvc.imaging.colormaps import normalized
from depthsvc.imaging.spec import DepthKind

FARTHEST = 6.0
"""Depth of the farthest point in units of the nearest one's. Inverse depth of unknown shift does not determine it; this
is the median of the scenes that the project renders, without their sky."""
SKY = 0.02
"""Points in this fraction of the range of inverse depth, at its far end, are left out: usually sky."""
OPACITY = 127
"""What is no more opaque than this, of 255, has no points."""
_VERTEX = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")], align=False
)
_PLY_END = b"end_header\n"
_PLY_TYPES = {"f": "float", "u": "uchar"}


@dataclass(frozen=True, eq=False, repr=False)
class PointCloud:
    """Coloured points in camera axes: x to the right, y up, and the camera looks along -z.

    By a model of relative depth the unit of length is the nearest point's depth, not a metre, and the shape along z is
    plausible, not measured.
    """

    points: NDArray[np.float32]
    """(n, 3): x, y, z, in metres or, by a model of relative depth, with z from -1, nearest, to -6."""
    colors: NDArray[np.uint8]
    """(n, 3): RGB."""
    kind: DepthKind = DepthKind.INVERSE_DEPTH
    """The kind of depth that the points are made from."""

    def ply(self) -> bytes:
        """A binary little-endian PLY file, 15 bytes a point."""
        vertices = np.empty(len(self.points), _VERTEX)
        for values, names in ((self.points, ("x", "y", "z")), (self.colors, ("red", "green", "blue"))):
            for index, name in enumerate(names):
                vertices[name] = values[:, index]
        return _ply_header(len(vertices), self.kind) + vertices.tobytes()

    @classmethod
    def of_ply(cls, data: bytes | memoryview) -> PointCloud:
        """The cloud in a file that `ply` made, whatever its comments say. Raises ValueError for any other file."""
        header, mark, body = bytes(data).partition(_PLY_END)
        expected = _ply_header(len(body) // _VERTEX.itemsize, DepthKind.METRES)
        if _without_comments(header + mark) != _without_comments(expected):
            raise ValueError("not a PLY file of depthsvc")
        vertices = np.frombuffer(body, _VERTEX)
        points = np.stack([vertices[name] for name in ("x", "y", "z")], axis=1)
        colors = np.stack([vertices[name] for name in ("red", "green", "blue")], axis=1)
        in_metres = _COMMENTS[DepthKind.METRES].encode() in header
        return cls(points, colors, DepthKind.METRES if in_metres else DepthKind.INVERSE_DEPTH)

    def __repr__(self) -> str:
        return f"PointCloud({len(self.points):,} points)"

    def save(self, path: str | PathLike[str]) -> None:
        """Write a .ply file. Raises ConfigurationError for another extension, and OSError."""
        if Path(path).suffix.lower() != ".ply":
            raise ConfigurationError(f"{path}: unknown extension. Save a point cloud as .ply.")
        Path(path).write_bytes(self.ply())


_COMMENTS = {
    DepthKind.INVERSE_DEPTH: "comment relative depth, the nearest point at 1; not metres",
    DepthKind.METRES: "comment depth in metres",
}


def _ply_header(points: int, kind: DepthKind) -> bytes:
    properties = "".join(f"property {_PLY_TYPES[_VERTEX[name].kind]} {name}\n" for name in _VERTEX.names or ())
    return (
        f"ply\nformat binary_little_endian 1.0\n{_COMMENTS[kind]}\nelement vertex {points}\n{properties}"
    ).encode() + _PLY_END


def _without_comments(header: bytes) -> list[bytes]:
    return [line for line in header.split(b"\n") if not line.startswith(b"comment ")]


def grid_size(width: int, height: int, *, stride: int, max_points: int) -> tuple[int, int]:
    """Columns and rows of a photo's grid of points: every `stride`-th pixel each way, fewer to fit `max_points`."""
    return _strided(width, height, grid_stride(width, height, stride=stride, max_points=max_points))


def grid_stride(width: int, height: int, *, stride: int = 1, max_points: int) -> int:
    """The smallest stride, at least `stride`, by which a grid has at most `max_points`."""
    strides = range(stride, max(stride, width, height) + 1)
    return strides[bisect_left(strides, True, key=lambda n: math.prod(_strided(width, height, n)) <= max_points)]


def _strided(width: int, height: int, stride: int) -> tuple[int, int]:
    return -(-width // stride), -(-height // stride)


def plausible_inverse(inverse_depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Relative inverse depth (h, w) -> 1 / plausible depth (h, w), from 1, nearest, to 1 / FARTHEST.

    With n the inverse depth scaled to 0..1 it is n + (1 - n) / FARTHEST: the unknown shift of the inverse depth is
    chosen so that the farthest point is FARTHEST times as far away as the nearest one. A constant map becomes
    1 / FARTHEST everywhere.
    """
    nearness = normalized(inverse_depth)
    return nearness + (1 - nearness) / np.float32(FARTHEST)


def relative_depth(inverse_depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Relative inverse depth (h, w) -> plausible depth (h, w), from 1, nearest, to FARTHEST."""
    return np.reciprocal(plausible_inverse(inverse_depth))


def focal_length(width: int, height: int, fov: float) -> float:
    """Of a camera in pixels; `fov` is the angle in degrees that the longer side spans."""
    return max(width, height) / (2 * math.tan(math.radians(fov) / 2))


def point_cloud(
    pixels: NDArray[np.uint8],
    values: NDArray[np.float32],
    kind: DepthKind = DepthKind.INVERSE_DEPTH,
    *,
    fov: float,
    opacity: NDArray[np.uint8] | None = None,
) -> PointCloud:
    """The points of a photo, RGB (h, w, 3), with its depth of this kind, (h, w).

    There is no point where `opacity`, (h, w), is less than half, where metres are unknown, and in the sky.

    `fov` is the angle in degrees that the longer side spans. A pixel (u, v) at depth z is at
    ((u + 0.5 - w/2) z/f, -(v + 0.5 - h/2) z/f, -z), where f = max(w, h) / (2 tan(fov/2)).
    """
    height, width = values.shape
    focal = focal_length(width, height, fov)
    metric = kind is DepthKind.METRES
    depth = values if metric else relative_depth(values)
    x = (np.arange(width, dtype=np.float32) + np.float32(0.5 - width / 2)) / np.float32(focal)
    y = (np.float32(height / 2 - 0.5) - np.arange(height, dtype=np.float32)) / np.float32(focal)
    seen = values > 0 if metric else below_sky(values)
    if opacity is not None:
        seen &= opacity > OPACITY
    z = depth[seen]
    rows, columns = np.nonzero(seen)
    return PointCloud(np.stack([x[columns] * z, y[rows] * z, -z], axis=1), pixels[seen], kind)


def below_sky(inverse_depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """True where there is something other than sky; everywhere in a constant map."""
    nearness = normalized(inverse_depth)
    return (nearness >= SKY) | (not nearness.any())
