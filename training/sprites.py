"""Single things, cut out: rendered with their silhouette and relief, to stand in photos (`training.insertion`)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from training.data import Image, is_held_out
from training.figures import beast, bird, crab, figure, standing
from training.foreground import arm, face, grip, post, spray
from training.layouts import Camera, Light, Place, daylight, look_at, one_of
from training.scenes import FIRST_FOR_TRAINING, light_of
from training.slender import bicycle, boat, kayak, lattice, piece, seat, trestle, trunk
from training.textures import atlas
from training.things import (
    CALM_TEXTURES,
    FURNITURE,
    OUTDOORS,
    SMALL,
    TEXTURES,
    Random,
    Thing,
    fence,
    log_uniform,
    paint,
    place,
    plant,
    pole,
)

Floats = npt.NDArray[np.float32]

_SIDE = 400
"""Longest side of a sprite, in pixels."""
_SAMPLES = 2
"""Rays per pixel, along each side."""
_PHOTO_SHARE = 0.7
"""Share of the patterned textures that are cut from photos."""


@dataclass(frozen=True)
class Sprite:
    """A thing without its surroundings."""

    kind: str
    image: Image
    """(H, W, 3) RGB."""
    cover: Floats
    """(H, W), the fraction of each pixel that the thing covers."""
    relief: Floats
    """(H, W), inverse depth over that of the thing's lowest visible part; 0 where there is nothing."""

    def save(self, path: Path) -> None:
        """Write to an .npz file, whose name starts with the kind."""
        cover = (self.cover * 255).round().astype(np.uint8)
        np.savez_compressed(path, image=self.image, cover=cover, relief=self.relief.astype(np.float16))


@dataclass(frozen=True)
class Kind:
    """Things of which several may stand in one picture."""

    make: Callable[[Random], Thing]
    share: float
    """Of the sprites."""
    tilt: tuple[float, float] = (0.0, 0.25)
    """How far the camera looks down at it, in radians."""
    height: tuple[float, float] = (0.2, 1.1)
    """At the picture's lower edge, as a fraction of the picture's height."""
    most: int = 3
    """Most of them in one picture."""
    is_close: bool = False
    """Whether it is close to the lens and need not stand on anything."""


def _pieces(rng: Random) -> Thing:
    return piece(rng, paint(rng, 0.1))


def _stout_trunk(rng: Random) -> Thing:
    """A trunk that is not too thin to be seen from top to bottom."""
    while True:
        parts = trunk(rng)
        thick, _, tall = np.sort(parts[0].half)
        if thick > tall / 35:
            return parts


def _any_of(*makers: Callable[[Random], Thing]) -> Callable[[Random], Thing]:
    return lambda rng: one_of(rng, makers)


KINDS = {
    "trunk": Kind(_stout_trunk, 0.13, height=(1.2, 3.0), most=9),
    "pole": Kind(pole, 0.05, height=(0.6, 2.0), most=4),
    "piece": Kind(_pieces, 0.1, (0.15, 0.9), (0.15, 0.6), 10),
    "figure": Kind(figure, 0.13, (0.0, 0.3), (0.3, 1.4), 5),
    "beast": Kind(_any_of(beast, bird), 0.06, (0.0, 0.5), (0.15, 0.8), 4),
    "seat": Kind(seat, 0.1, (0.05, 0.6), (0.25, 0.9), 4),
    "barrier": Kind(_any_of(lattice, fence), 0.07, (0.0, 0.3), (0.2, 1.0), 2),
    "bicycle": Kind(bicycle, 0.03, (0.0, 0.4), (0.25, 0.7), 3),
    "boat": Kind(_any_of(boat, kayak), 0.05, (0.0, 0.3), (0.15, 0.8), 4),
    "furniture": Kind(_any_of(*FURNITURE, trestle), 0.06, (0.05, 0.5), (0.25, 0.9), 3),
    "outdoors": Kind(_any_of(*OUTDOORS, plant), 0.06, (0.0, 0.3), (0.25, 1.2), 3),
    "small": Kind(_any_of(*SMALL, crab), 0.08, (0.1, 0.8), (0.1, 0.7), 6),
    "close": Kind(_any_of(arm, arm, grip, face, spray, post), 0.08, (-0.2, 0.3), (0.4, 1.2), 2, is_close=True),
}


def _camera_for(rng: Random, thing: Thing, tilt: tuple[float, float]) -> Camera:
    """A camera that sees all of a thing."""
    reach = np.array([np.abs(part.rotation) @ part.half for part in thing])
    centres = np.array([part.centre for part in thing])
    low, high = (centres - reach).min(axis=0), (centres + reach).max(axis=0)
    middle, radius = (low + high) / 2, float(np.linalg.norm(high - low) / 2)
    distance, down = radius * log_uniform(rng, 1.6, 5), rng.uniform(*tilt)
    eye = middle + distance * np.array([0, -np.sin(down), -np.cos(down)])
    # Narrower than the sphere around it: the picture is cut to the thing anyway.
    return look_at(rng, eye, middle.tolist(), float(np.degrees(2 * np.arcsin(min(radius / distance, 0.99)))))


def _light(rng: Random) -> Light:
    sky = daylight(rng)
    return Light(sky.source, sky.key, sky.ambient, 0.0)


def _box_of(cover: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


@torch.inference_mode()
def render_sprite(seed: int, photos: Sequence[Path] = ()) -> Sprite:
    """The sprite of this seed, with textures cut from `photos`. Reproducible, except for rounding."""
    rng = np.random.default_rng((seed, 1))
    name = str(rng.choice(list(KINDS), p=[kind.share for kind in KINDS.values()]))
    kind = KINDS[name]
    thing = place(standing(kind.make(rng)), 0, 0, 0, rng.uniform(0, 2 * np.pi))
    pictures = atlas(rng, TEXTURES, CALM_TEXTURES, photos, _PHOTO_SHARE)
    side = _SIDE * _SAMPLES
    scene = Place(thing, _camera_for(rng, thing, kind.tilt), _light(rng))
    light, inverse = light_of(scene, pictures, rng, side, side, torch.device("cpu"))
    crop = _box_of(inverse > 0)
    return _cut(rng, name, light[crop], inverse[crop])


def _cut(rng: Random, kind: str, light: Floats, inverse: Floats) -> Sprite:
    """A sprite of linear light (H, W, 3) and inverse depth (H, W), 0 around the thing, at several rays per pixel."""
    height, width = (max(2, round(length / _SAMPLES)) for length in inverse.shape)

    def shrink(values: Floats) -> Floats:
        return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA), np.float32)

    solid = (inverse > 0).astype(np.float32)
    cover = np.minimum(shrink(solid), 1)
    divisor = np.maximum(cover, 1e-3)
    colour = shrink(light * solid[..., None]) / divisor[..., None]
    mean = float((colour * cover[..., None]).sum() / (3 * cover.sum()))
    picture = np.clip(colour * (rng.uniform(0.3, 0.55) / max(mean, 1e-3)), 0, 1) ** (1 / rng.uniform(1.6, 2.2))
    rows = np.flatnonzero(solid.any(axis=1))
    lowest = inverse[rows[-1] - len(rows) // 25 : rows[-1] + 1]
    relief = shrink(inverse) / divisor / np.median(lowest[lowest > 0])
    relief[cover == 0] = 0
    return Sprite(kind, np.asarray((picture * 255).round(), np.uint8), cover, np.asarray(relief, np.float32))


@lru_cache(maxsize=1500)
def read_sprite(path: Path) -> Sprite:
    """A sprite from the file that `Sprite.save` wrote."""
    with np.load(path) as arrays:
        cover = arrays["cover"].astype(np.float32) / 255
        return Sprite(path.name.split("_")[0], arrays["image"], cover, arrays["relief"].astype(np.float32))


def main() -> None:
    """Render sprites into a folder (see training/README.md)."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--first-seed", type=int, default=FIRST_FOR_TRAINING, help="those below are for evaluation")
    parser.add_argument("--photos", type=Path, required=True, help="folder of NAME.jpg to cut textures from")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    photos = [path for path in sorted(arguments.photos.glob("*.jpg")) if not is_held_out(path)]
    cv2.setNumThreads(1)
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.count):
        sprite = render_sprite(seed, photos)
        sprite.save(arguments.output / f"{sprite.kind}_{seed:06d}.npz")


if __name__ == "__main__":
    main()
