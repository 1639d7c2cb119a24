"""How far surface normals are off, over rendered scenes whose geometry is known.

    python -m benchmarks.normals --scenes 60

Angles to the true normals in degrees, by the true depth and by that which the embedded model predicts, beside those of
the gradient of depth and of central differences between points in space.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc import DepthEstimator
from depthsvc.imaging.normals import surface_normals
from depthsvc.imaging.pointcloud import focal_length, plausible_inverse
from depthsvc.options import USUAL_FOV
from training.layouts import layout
from training.scenes import render, surface

Floats = NDArray[np.float32]

_SIZE = 384, 288
_FARTHEST_M = 50
"""What is farther is sky to a camera."""


def gradient_normals(inverse_depth: Floats, fov: float) -> Floats:
    """(-z_x, -z_y, 1) by central differences, as if all rays were parallel, for a depth z > 0, (h, w)."""
    height, width = inverse_depth.shape
    depth = 1 / inverse_depth
    down, across = np.gradient(depth)
    scale = focal_length(width, height, fov) / depth
    return _unit(np.stack([across * scale, -down * scale, np.ones_like(depth)], axis=-1))


def central_normals(inverse_depth: Floats, fov: float) -> Floats:
    """Across the central differences between points in space."""
    height, width = inverse_depth.shape
    focal = focal_length(width, height, fov)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    rays = np.stack([(x + 0.5 - width / 2) / focal, (height / 2 - 0.5 - y) / focal, -np.ones_like(x)], axis=-1)
    points = rays / inverse_depth[..., None]
    return _unit(np.cross(np.gradient(points, axis=1), -np.gradient(points, axis=0)))


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def angles(normals: Floats, true: Floats) -> Floats:
    """Degrees between unit vectors (..., 3)."""
    return np.asarray(np.degrees(np.arccos((normals * true).sum(axis=-1).clip(-1, 1))), np.float32)


def measured(seeds: Iterable[int]) -> dict[tuple[str, str], Floats]:
    """Angles at all pixels of scenes, by whose depth it is and whose normals."""
    estimator = DepthEstimator("embedded", worker_threads=1)
    found: dict[tuple[str, str], list[Floats]] = defaultdict(list)
    width, height = _SIZE
    for seed in seeds:
        place = layout(np.random.default_rng(seed))
        inverse_depth, normals = surface(place.solids, place.camera, height, width)
        predicted = estimator.depth(render(seed, height, width).image, size="model").values
        grid = predicted.shape[::-1]
        true = np.asarray(cv2.resize(normals, grid, interpolation=cv2.INTER_NEAREST), np.float32)
        exact = cv2.resize(inverse_depth, grid, interpolation=cv2.INTER_NEAREST)
        seen = exact > 1 / _FARTHEST_M
        field_of_view = float(np.degrees(place.camera.field_of_view))
        for name, depth, fov in (
            ("true", np.maximum(inverse_depth, 1e-6), field_of_view),
            ("predicted", plausible_inverse(predicted), USUAL_FOV),
        ):
            for way, made in (
                ("depthsvc", surface_normals(depth, width, height, fov=fov)),
                ("gradient", gradient_normals(depth, fov)),
                ("central", central_normals(depth, fov)),
            ):
                whole = made.shape[:2] == normals.shape[:2]
                off = angles(made, normals if whole else true)
                found[name, way].append(off[inverse_depth > 1 / _FARTHEST_M if whole else seen])
    return {key: np.concatenate(parts) for key, parts in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=60, help="number of scenes")
    arguments = parser.parse_args()
    for (depth, way), off in measured(range(arguments.scenes)).items():
        middle, most = np.percentile(off, (50, 90))
        print(f"{depth:10} {way:10} median {middle:6.2f}  mean {off.mean():6.2f}  p90 {most:6.2f}")


if __name__ == "__main__":
    main()
