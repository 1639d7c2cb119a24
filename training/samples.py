"""The rendered samples of the web page: two places composed by hand and drawn by the project's own renderer.

`python -m training.samples` writes them: always the same pictures, except for rounding.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from training.data import Image
from training.layouts import Light, Place, look_at
from training.scenes import light_of
from training.textures import SIDE, noise, with_levels
from training.things import (
    BOX,
    CYLINDER,
    ELLIPSOID,
    Paint,
    Random,
    Thing,
    ball,
    box,
    building,
    car,
    limb,
    person,
    place,
    plant,
    pole,
    rod,
    shelf,
    tree,
    turn,
)

HEIGHT, WIDTH = 720, 960
_OVERSAMPLING = 2
"""Pixels rendered per pixel of the picture, in each direction."""
_JPEG_QUALITY = 84
_GAMMA = 2.2
_EXPOSURE = 0.36
"""Geometric mean of a picture's light."""

STATIC = Path(__file__).parents[1] / "src/depthsvc/web/samples"

_LEVEL = 117
"""Seed of a level camera."""
_SKY = 8
"""Seed of a blue sky with some clouds."""

_PLAIN, _WOOD, _WEAVE, _SPECKLED, _BOARDS, _TILES = range(6)


def _atlas(rng: Random) -> Image:
    """Light grey textures (6, LEVELS, SIDE, SIDE, 3), to be tinted."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    cloud, fine = noise(rng, SIDE, SIDE), noise(rng, SIDE, SIDE, 16)
    grain = 0.5 + 0.5 * np.sin(x * 0.35 + 6 * cloud + 0.6 * fine)
    weave = 0.5 + 0.25 * np.sin(x * np.pi / 2) + 0.25 * np.sin(y * np.pi / 2)
    boards = np.where(y % 32 < 1, 0.0, 0.75 + 0.25 * np.cos(y // 32 * 2.4) * (0.6 + 0.4 * fine))
    tiles = np.where((y % 64 < 2) | (x % 64 < 2), 0.0, 0.85 + 0.15 * cloud)
    shades = [
        0.93 + 0.07 * cloud,
        0.8 + 0.16 * grain + 0.04 * fine,
        0.88 + 0.12 * weave * fine,
        0.72 + 0.28 * fine,
        0.62 + 0.38 * boards,
        0.72 + 0.28 * tiles,
    ]
    return np.stack([with_levels(np.repeat((255 * shade)[..., None], 3, 2).astype(np.uint8)) for shade in shades])


def _look(colour: str, texture: int = _PLAIN, metres: float = 1.0, gloss: float = 0.0) -> Paint:
    """A paint of an sRGB colour, "rrggbb"."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return Paint(texture, srgb**_GAMMA, metres, gloss)


def _dressed(thing: Thing, *looks: Paint) -> Thing:
    """The thing in other paints: its first paint becomes the first of `looks`, and so on; the last serves the rest."""
    order: dict[int, Paint] = {}
    for part in thing:
        order.setdefault(id(part.paint), looks[min(len(order), len(looks) - 1)])
    return [replace(part, paint=order[id(part.paint)]) for part in thing]


def _by_kind(thing: Thing, boxes: Paint, balls: Paint, cylinders: Paint) -> Thing:
    """The thing with one paint per kind of solid."""
    looks = {BOX: boxes, ELLIPSOID: balls, CYLINDER: cylinders}
    return [replace(part, paint=looks[part.kind]) for part in thing]


def _rng(seed: int) -> Random:
    return np.random.default_rng(seed)


def _cup(colour: str, size: float = 1.0) -> Thing:
    look, tea = _look(colour, gloss=0.5), _look("4a2a18", gloss=0.3)
    cup = [
        rod(look, (0, 0, 0), (0, -0.085, 0), 0.085),
        rod(tea, (0, -0.08, 0), (0, -0.0855, 0), 0.074),
        limb(look, (0.04, -0.065, 0), (0.075, -0.045, 0), 0.014),
        limb(look, (0.075, -0.05, 0), (0.045, -0.02, 0), 0.014),
    ]
    return place(cup, 0, 0, 0, 0, size)


def _books(*colours: str) -> Thing:
    parts: Thing = []
    for index, colour in enumerate(colours):
        size = (0.2 - 0.012 * index, 0.032, 0.27 - 0.02 * index)
        parts.append(
            box(_look(colour, gloss=0.1), (0, -0.016 - 0.033 * index, 0), size, turn(0.3 * np.sin(2.6 * index)))
        )
    return parts


def _fruit(colour: str, size: float) -> Thing:
    stalk = rod(_look("5b4630"), (0, -size * 0.9, 0), (size * 0.06, -size * 1.12, 0), size * 0.06)
    return [ball(_look(colour, gloss=0.35), (0, -size * 0.46, 0), (size, size * 0.92, size)), stalk]


def _blossoms(rng: Random, petals: Sequence[str], tall: float) -> Thing:
    """A vase of flowers."""
    vase = _look("dfe6ea", gloss=0.7)
    parts = [ball(vase, (0, -0.07, 0), (0.13, 0.16, 0.13)), rod(vase, (0, -0.1, 0), (0, -0.19, 0), 0.065)]
    for index in range(9):
        angle, lean = 2.4 * index, 0.05 + 0.1 * (index % 3)
        top = np.array([lean * np.cos(angle), -tall * (1 - 0.1 * (index % 3)), lean * np.sin(angle)])
        parts.append(rod(_look("4f7a45"), (0, -0.17, 0), tuple(top), 0.006))
        for petal in range(7):
            around = 0.9 * petal
            outer = top + 0.038 * np.array([np.cos(around), 0.35 * np.sin(around), np.sin(around)])
            parts.append(limb(_look(petals[index % len(petals)]), tuple(top), tuple(outer), 0.026))
        parts.append(ball(_look("e8c25a"), tuple(top), (0.026, 0.026, 0.026)))
    for _ in range(7):
        tip = (rng.normal(0, 0.09), -rng.uniform(0.2, 0.32), rng.normal(0, 0.09))
        parts.append(limb(_look("5f8c50"), (0, -0.17, 0), tip, 0.035))
    return parts


def _table() -> Place:
    """Breakfast beside a window: a near table top, and a room behind it."""
    oak, linen = _look("b98a5a", _WOOD, 0.7, 0.15), _look("e9e2d4", _WEAVE, 0.08)
    parts: Thing = [
        box(oak, (0, 0.02, 0.55), (1.7, 0.04, 1.1)),
        box(linen, (0.04, -0.002, 0.45), (0.5, 0.004, 1.1)),
        box(_look("c9b79c", _BOARDS, 1.2), (0, 0.8, 3), (12, 0.1, 12)),
        box(_look("cfdbd4"), (0, -1, 5.2), (12, 6, 0.1)),
        box(_look("f6f4ee"), (-1.7, -0.7, 5.13), (1.6, 1.7, 0.06)),
        box(_look("a9cbe4"), (-1.7, -0.7, 5.1), (1.44, 1.54, 0.04)),
        box(_look("f6f4ee"), (-1.7, -0.7, 5.07), (0.05, 1.54, 0.03)),
    ]
    parts += place(_blossoms(_rng(3), ("d9586a", "f2b6bf", "f7efe6"), 0.46), 0.3, 0, 0.62)
    parts += place(_cup("33658a"), -0.17, 0, 0.2, -0.5)
    parts += place(_cup("e07a5f"), 0.08, 0, 0.62, 0.6)
    parts += place(_books("3d405b", "81b29a", "f2cc8f"), -0.46, 0, 0.55, 0.5)
    parts += place(_fruit("c8472f", 0.085), 0.2, 0, 0.26)
    parts += place(_fruit("d9a441", 0.08), 0.29, 0, 0.33)
    parts += place(_fruit("7c9a4a", 0.078), -0.46, -0.099, 0.55)
    books = [_look(colour) for colour in ("b5533c", "3f5d7d", "e2c48d", "6a8a6a", "4a4e69")]
    parts += place(_dressed(shelf(_rng(11)), _look("8a5f3f", _WOOD, 0.8), *books), 1.75, 0.75, 4.7)
    parts += place(_by_kind(plant(_rng(21)), oak, _look("5d8a55"), _look("c4694a")), -0.4, 0.75, 4.6, 0, 1.3)
    eye = np.array([-0.04, -0.36, -0.42])
    camera = look_at(_rng(_LEVEL), eye, (0.0, -0.08, 0.62), 58)
    return Place(parts, camera, Light(np.array([-2.2, -2.6, -0.4]), 0.85, 0.42, 0.0))


def _street() -> Place:
    """A street of coloured houses on a clear morning."""
    parts: Thing = [
        box(_look("8c9a6b", _SPECKLED, 3), (0, 0.5, 0), (600, 1, 600)),
        box(_look("6d7078", _SPECKLED, 2.5), (0, -0.01, 40), (7.4, 0.02, 140)),
        *(box(_look("c9c2b4", _TILES, 1.2), (side * 5.2, -0.07, 40), (3.0, 0.14, 140)) for side in (-1, 1)),
        *(box(_look("f3f0e6"), (0, -0.021, z), (0.14, 0.02, 1.8)) for z in range(3, 80, 5)),
    ]
    walls = ("e0a458", "d7c9aa", "b5533c", "8fa9b3", "e7d7b1", "a3b18a", "c98b70", "d8d2c6")
    for index in range(8):
        for side in (-1, 1):
            look = _look(walls[(index + (3 if side > 0 else 0)) % len(walls)], _SPECKLED, 4)
            house = _dressed(
                building(_rng(40 + 2 * index + (side > 0))), look, _look("8a4f3d"), _look("33424e", gloss=0.6)
            )
            parts += place(house, side * 7.0, 0, 8 + 11.5 * index, side * np.pi / 2, 0.72)
    glass, tyre = _look("27323a", gloss=0.8), _look("1f2022")
    for seed, colour, x, z, yaw in (
        (1, "c8372d", 2.55, 8.0, 0.0),
        (4, "2f6690", -2.5, 13.5, np.pi),
        (1, "e3e4e0", 2.55, 19.0, 0.0),
        (4, "e0a92e", -1.7, 30.0, np.pi),
    ):
        parts += place(_dressed(car(_rng(seed)), _look(colour, gloss=0.6), glass, tyre), x, 0, z, yaw)
    for x, z, seed in ((-5.9, 7.5, 9), (5.9, 12, 17), (-5.9, 18, 12), (5.9, 25, 9), (-5.9, 33, 17), (5.9, 42, 12)):
        crown = _by_kind(
            tree(_rng(seed)), glass, _look(("6f9a4e", "86a65a", "5d8a48")[seed % 3], _SPECKLED, 0.6), _look("6b4f3a")
        )
        tall = max(float(-part.centre[1] + part.half[1]) for part in crown)
        parts += place(crown, x, -0.14, z, seed, 5.2 / tall)
    lamps = _dressed(pole(_rng(7)), _look("3a3d40"))
    parts += place(lamps, 4.1, -0.14, 6.2, np.pi, 0.9) + place(lamps, -4.1, -0.14, 15, 0, 0.9)
    for seed, shirt, x, z, yaw in (
        (2, "e8e4da", 4.7, 9.6, 0.4),
        (5, "3f7d6e", -4.6, 11, 3.0),
        (6, "d2603a", -4.3, 23, 2.5),
    ):
        people = _dressed(person(_rng(seed)), _look(shirt), _look("2f3e54"), _look("c99b7a"))
        parts += place(people, x, -0.14, z, yaw)
    eye = np.array([0.9, -1.75, 0.0])
    camera = look_at(_rng(_LEVEL), eye, (0.1, -1.9, 20), 66)
    return Place(parts, camera, Light(np.array([-900.0, -1300.0, -700.0]), 0.85, 0.5, 1 / 260))


SAMPLES: dict[str, Callable[[], Place]] = {"street": _street, "table": _table}
"""The scenes by file name."""


def _developed(light: npt.NDArray[np.float32]) -> Image:
    """Linear light (2H, 2W, 3) to a picture (H, W, 3): averaged, exposed, highlights rolled off."""
    size = (light.shape[1] // _OVERSAMPLING, light.shape[0] // _OVERSAMPLING)
    small = cv2.resize(np.minimum(light, 4), size, interpolation=cv2.INTER_AREA)
    exposed = small * np.float32(_EXPOSURE / np.exp(np.log(small + 0.01).mean()))
    rolled = exposed * (1 + exposed / 5) / (1 + exposed * 0.62)
    return np.asarray((np.clip(rolled, 0, 1) ** (1 / _GAMMA) * 255).round(), np.uint8)


def picture(name: str, height: int = HEIGHT, width: int = WIDTH) -> Image:
    """RGB (height, width, 3) of a sample scene."""
    size = (_OVERSAMPLING * height, _OVERSAMPLING * width)
    light, _ = light_of(SAMPLES[name](), _atlas(_rng(7)), _rng(_SKY), *size, torch.device("cpu"))
    return _developed(light)


def main() -> None:
    """Write the sample scenes of the web page as JPEG files."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, default=STATIC)
    parser.add_argument("names", nargs="*", default=list(SAMPLES), metavar="NAME", help=", ".join(SAMPLES))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.names:
        bgr = cv2.cvtColor(picture(name), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(arguments.output / f"{name}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])


if __name__ == "__main__":
    main()
