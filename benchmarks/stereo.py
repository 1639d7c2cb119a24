"""How close a warped view is to the one that the other eye really has, over rendered scenes.

    python -m benchmarks.stereo --scenes 16

A camera's picture is warped by its true depth to what a camera beside it sees, so that only the warp is judged: by
`depthsvc.imaging.stereo`, and as a beginner writes it. PSNR in dB against the picture that is rendered there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from depthsvc.imaging.stereo import right_view, stepped
from training.layouts import Camera, layout
from training.scenes import inverse_depth, light_of
from training.textures import atlas
from training.things import CALM_TEXTURES, TEXTURES

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

_SIZE = 384, 288
_SAMPLES = 2
"""Rays for each pixel, each way."""
_GREY = 0.3
"""Mean linear light of a picture."""


class Pair(NamedTuple):
    """A scene as two cameras see it that differ in their place alone."""

    left: Pixels
    right: Pixels
    shifts: Floats
    """(h, w): by how many pixels more to the left a point of the left picture is seen in the right one."""


def pair(seed: int, largest: float) -> Pair:
    """A scene seen twice; its nearest point is shifted by `largest`, a fraction of the width.

    Its light is even: shadows and highlights depend on the camera, and are not the warp's.
    """
    width, height = _SIZE
    rng = np.random.default_rng(seed)
    place = layout(rng)
    light = replace(place.light, key=0.0, ambient=1.0)
    pictures, sky = atlas(rng, TEXTURES, CALM_TEXTURES, ()), int(rng.integers(2**32))

    def seen_by(camera: Camera) -> Floats:
        place_seen, above = replace(place, camera=camera, light=light), np.random.default_rng(sky)
        fine, _ = light_of(place_seen, pictures, above, _SAMPLES * height, _SAMPLES * width, torch.device("cpu"))
        return np.asarray(cv2.resize(fine, _SIZE, interpolation=cv2.INTER_AREA), np.float32)

    nearness = inverse_depth(place.solids, place.camera, height, width)
    shifts = nearness * np.float32(largest * width / nearness.max())
    focal = max(_SIZE) / 2 / np.tan(place.camera.field_of_view / 2)
    beside = largest * width / (focal * nearness.max()) * place.camera.rotation[:, 0]
    left, right = seen_by(place.camera), seen_by(replace(place.camera, position=place.camera.position + beside))
    exposure = _GREY / max(float(left.mean()), 1e-3)
    return Pair(_developed(left * exposure), _developed(right * exposure), shifts)


def _developed(light: Floats) -> Pixels:
    return np.asarray(np.rint(255 * np.clip(light, 0, 1) ** (1 / 2.2)), np.uint8)


def shifted_back(pixels: Pixels, shifts: Floats) -> Pixels:
    """Every pixel by the shift that is known at its own place: what a beginner writes."""
    y, x = np.mgrid[: len(shifts), : len(shifts[0])].astype(np.float32)
    return np.asarray(cv2.remap(pixels, x + shifts, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def moved(pixels: Pixels, shifts: Floats) -> Pixels:
    """Whole pixels moved in the order of their columns, and gaps filled from the left: the next try."""
    height, width = shifts.shape
    y, x = np.mgrid[:height, :width]
    to = np.rint(x - shifts).astype(np.intp)
    inside = (to >= 0) & (to < width)
    seen = np.full((height, width), -1)
    seen[y[inside], to[inside]] = x[inside]
    place = np.maximum.accumulate(np.where(seen >= 0, x, 0), axis=1)
    return np.asarray(pixels[y, np.maximum(seen[y, place], 0)])


WAYS: dict[str, Callable[[Pixels, Floats], Pixels]] = {
    "depthsvc": lambda pixels, shifts: right_view(pixels, stepped(shifts)),
    "shifted back": shifted_back,
    "moved": moved,
    "photo itself": lambda pixels, _: pixels,
}


def psnr(one: Pixels, other: Pixels) -> float:
    """In dB."""
    return float(-10 * np.log10(max(np.square(one.astype(float) - other).mean() / 255**2, 1e-10)))


def measured(seeds: Iterable[int], largest: float) -> dict[str, Floats]:
    """PSNR of every scene, by the way it was warped."""
    pairs = [pair(seed, largest) for seed in seeds]
    return {name: np.array([psnr(way(p.left, p.shifts), p.right) for p in pairs]) for name, way in WAYS.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=16, help="number of scenes")
    parser.add_argument("--largest", type=float, default=0.025, help="shift of the nearest point, by the width")
    arguments = parser.parse_args()
    found = measured(range(arguments.scenes), arguments.largest)
    ours, *_ = found.values()
    for way, reached in found.items():
        low, middle, high = np.percentile(reached, (10, 50, 90))
        behind = np.median(ours - reached)
        print(f"{way:14} median {middle:5.2f} dB  p10 {low:5.2f}  p90 {high:5.2f}  behind by {behind:5.2f} dB")


if __name__ == "__main__":
    main()
