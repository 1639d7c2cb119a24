"""What is close to the lens, in front of everything else: arms, faces, things that are held, leaves, posts, roofs.

Lengths are metres. A thing is built around the origin in the camera's axes: x points right, y down and z away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.figures import sitter, turned
from training.layouts import Camera, one_of
from training.things import SMALL, Random, Thing, ball, box, flower, limb, log_uniform, paint, place, plant, rod, turn


def arm(rng: Random) -> Thing:
    """A hand around the origin, any of its fingers bent, that points up, away and to one side, with its forearm."""
    skin, sleeve, side = paint(rng, 1.0, 0.9), paint(rng, 0.4), rng.choice([-1, 1])
    parts = [ball(skin, (0, -0.045, 0), (0.09, 0.12, 0.04)), limb(skin, (0, 0.01, 0), (0, 0.3, 0), 0.07)]
    bent = rng.uniform(0, 1.5)
    for base in np.linspace(-0.033, 0.033, 4):
        bend, aside = max(0, bent + rng.normal(0, 0.2)), base * rng.uniform(2, 8)
        start = np.array([base, -0.09, 0])
        for length in (0.045, 0.035):
            end = start + length * np.array([aside, -np.cos(bend), -np.sin(bend)])
            parts.append(limb(skin, start, end, 0.022))
            start, bend = end, bend * 1.7
    thumb = np.array([side * 0.075, -0.07, -0.02 - 0.03 * rng.random()])
    parts += [limb(skin, (side * 0.035, -0.02, 0), thumb, 0.028)]
    if rng.random() < 0.7:
        parts.append(rod(sleeve, (0, rng.uniform(0.06, 0.2), 0), (0, 0.6, 0), rng.uniform(0.09, 0.13)))
    return turned(parts, turn(0, side * rng.uniform(-0.2, 0.9), 2) @ turn(rng.normal(0, 0.6), -rng.uniform(0, 1.3)))


def grip(rng: Random) -> Thing:
    """An arm and something that its hand holds."""
    thing, tilt = one_of(rng, SMALL), rng.normal(0, 0.6)
    return arm(rng) + turned(place(thing, 0, 0.05, -0.05, rng.uniform(0, 6.3)), turn(0, tilt, 2))


def face(rng: Random) -> Thing:
    """The head and shoulders of a person, from the front, the side or behind."""
    return place(sitter(rng), 0, 0.75, 0.3, rng.choice([0.0, np.pi]) + rng.normal(0, 0.6))


def spray(rng: Random) -> Thing:
    """A twig with leaves on both sides that reaches in from above, below or aside."""
    look, leaf = paint(rng), paint(rng, 0.2)
    length, wide = rng.uniform(0.2, 0.7), rng.uniform(0.02, 0.06)
    parts = [rod(look, (0, 0, 0), (0, -length, 0), rng.uniform(0.004, 0.015))]
    for at in np.arange(0.05, length, rng.uniform(0.03, 0.08)):
        side, tall = rng.choice([-1, 1]), wide * rng.uniform(1.5, 3)
        turning = turn(rng.normal(0, 0.7), side * rng.uniform(0.4, 1.3), 2)
        parts.append(ball(leaf, np.array([0, -at, 0]) + turning @ [0, -tall / 2, 0], (wide, tall, 0.004), turning))
    return turned(parts, turn(0, rng.uniform(0, 6.3), 2) @ turn(rng.normal(0, 0.4), rng.normal(0, 0.4)))


def post(rng: Random) -> Thing:
    """A post, a pipe or a corner of a wall, about upright."""
    look, tall = paint(rng, 0.5), rng.uniform(1, 4)
    lean, thick = turn(rng.uniform(0, 6.3), rng.normal(0, 0.08)), rng.uniform(0.03, 0.4)
    if rng.random() < 0.5:
        return turned([rod(look, (0, tall, 0), (0, -tall, 0), thick)], lean)
    return turned([box(look, (0, 0, 0), (thick, 2 * tall, thick * rng.uniform(0.3, 3)))], lean)


def roof(rng: Random) -> Thing:
    """A roof, a balcony or a parasol above the camera; some stand on a post."""
    look, wide = paint(rng, 1.0), rng.uniform(1, 4)
    thick, up = rng.uniform(0.05, 0.6), rng.uniform(0.6, 1.5)
    size = (wide, thick, wide * rng.uniform(0.4, 1.5))
    top = (box if rng.random() < 0.6 else ball)(look, (0, -up, wide / 2), size, turn(rng.normal(0, 0.4)))
    stem = rod(look, (0, 3, wide / 2), (0, -up, wide / 2), rng.uniform(0.05, 0.5))
    return [top, stem] if rng.random() < 0.5 else [top]


def _held_up(rng: Random) -> Thing:
    return turned(one_of(rng, SMALL), turn(rng.uniform(0, 6.3), rng.normal(0, 0.5)))


@dataclass(frozen=True)
class _Kind:
    make: Callable[[Random], Thing]
    share: float
    distance: tuple[float, float]
    height: tuple[float, float]
    """-1 is the upper edge of the picture, and 1 the lower one."""


_KINDS = (
    _Kind(arm, 0.24, (0.3, 0.8), (0.2, 1.0)),
    _Kind(grip, 0.12, (0.3, 0.7), (0.1, 0.8)),
    _Kind(face, 0.16, (0.5, 1.4), (-0.3, 0.5)),
    _Kind(spray, 0.12, (0.25, 1.2), (-1.0, 1.0)),
    _Kind(flower, 0.04, (0.4, 1.0), (0.8, 2.0)),
    _Kind(plant, 0.06, (0.7, 1.8), (0.8, 2.0)),
    _Kind(_held_up, 0.08, (0.25, 0.8), (-0.7, 0.9)),
    _Kind(post, 0.1, (0.5, 2.5), (-0.5, 0.5)),
    _Kind(roof, 0.08, (0.8, 2.5), (0.0, 0.0)),
)


def in_front_of(rng: Random, camera: Camera) -> Thing:
    """One to three things close to a camera, often cut off by the picture's edges."""
    solids: Thing = []
    half = np.tan(camera.field_of_view / 2)
    for _ in range(rng.choice([1, 2, 3], p=[0.55, 0.35, 0.1])):
        kind = _KINDS[int(rng.choice(len(_KINDS), p=[kind.share for kind in _KINDS]))]
        z = log_uniform(rng, *kind.distance)
        x, y = rng.uniform(-1, 1) * half * z, rng.uniform(*kind.height) * 0.75 * half * z
        thing = turned(place(kind.make(rng), x, y, z), camera.rotation)
        solids += place(thing, *camera.position)
    return solids
