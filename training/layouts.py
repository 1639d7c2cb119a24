"""Places to photograph: rooms, streets, countryside, tables, shelves and heaps, each with a camera and a light.

Lengths are metres; x points right, y down and z away; the ground or floor is y = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from training.things import (
    BOX,
    EVERYTHING,
    FURNITURE,
    OUTDOORS,
    SMALL,
    Floats,
    Random,
    Solid,
    Thing,
    ball,
    bed,
    box,
    building,
    bush,
    cabinet,
    car,
    log_uniform,
    paint,
    person,
    place,
    pole,
    rod,
    shelf,
    sofa,
    solid,
    spread,
    table,
    tree,
    turn,
)

CALM_WALL = 0.75
"""Probability that walls are nearly plain."""
_WIDE = 600.0
"""Extent of the ground outdoors."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion."""

    position: Floats
    rotation: Floats
    """(3, 3), its columns are the directions right, down and along the optical axis."""
    field_of_view: float
    """Radians, along the picture's longer side."""


@dataclass(frozen=True)
class Light:
    """The light of a scene."""

    source: Floats
    """(3,) position of the key light; the sun is far away."""
    key: float
    ambient: float
    fog: float
    """Fraction of light lost per metre."""


@dataclass(frozen=True)
class Place:
    """A scene before it is rendered."""

    solids: Thing
    camera: Camera
    light: Light


Mix = dict[Callable[[Random], Place], float]
"""Kinds of places with their shares, which add up to 1."""


def look_at(rng: Random, position: Floats, target: Sequence[float], field_of_view: float) -> Camera:
    """A camera at a position that looks at a target, almost level; the field of view is in degrees."""
    aim = np.asarray(target, float)
    forward = (aim - position) / np.linalg.norm(aim - position)
    right = np.cross([0, 1.0, 0], forward)
    right /= np.linalg.norm(right)
    level = np.stack([right, np.cross(forward, right), forward], axis=1)
    roll = np.radians(rng.normal(0, 2.5))
    c, s = np.cos(roll), np.sin(roll)
    rolled = level @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return Camera(position, rolled, float(np.radians(field_of_view)))


def one_of(rng: Random, makers: Sequence[Callable[[Random], Thing]]) -> Thing:
    return makers[int(rng.integers(len(makers)))](rng)


def lamp_light(rng: Random, x: float, y: float, z: float) -> Light:
    return Light(np.array([x, y, z]), rng.uniform(0.4, 1.0), rng.uniform(0.25, 0.6), 0.0)


def daylight(rng: Random) -> Light:
    angle, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 1.3)
    source = 2000 * np.array([np.cos(angle) * np.cos(height), -np.sin(height), np.sin(angle) * np.cos(height)])
    overcast = rng.random() < 0.35
    fog = log_uniform(rng, 1 / 1500, 1 / 40) if rng.random() < 0.6 else 0.0
    return Light(source, 0.15 if overcast else rng.uniform(0.5, 1.1), rng.uniform(0.3, 0.6) + 0.3 * overcast, fog)


def ground(rng: Random) -> Thing:
    return [box(paint(rng, log_uniform(rng, 0.6, 12)), (0, 0.5, 0), (_WIDE, 1, _WIDE))]


def room_walls(rng: Random, width: float, length: float, height: float) -> Thing:
    """Floor, ceiling and four walls around x = 0, z from 0 to `length`; often all walls look alike."""
    wall = paint(rng, 2.0, CALM_WALL)
    looks = [wall if rng.random() < 0.75 else paint(rng, 2.0, CALM_WALL) for _ in range(4)]
    middle = length / 2
    return [
        box(paint(rng, 1.0), (0, 0.05, middle), (width + 0.2, 0.1, length + 0.2)),
        box(paint(rng, 2.0, 0.9), (0, -height - 0.05, middle), (width + 0.2, 0.1, length + 0.2)),
        box(looks[0], (-width / 2 - 0.05, -height / 2, middle), (0.1, height, length)),
        box(looks[1], (width / 2 + 0.05, -height / 2, middle), (0.1, height, length)),
        box(looks[2], (0, -height / 2, length + 0.05), (width, height, 0.1)),
        box(looks[3], (0, -height / 2, -0.05), (width, height, 0.1)),
    ]


def _against_wall(rng: Random, thing: Thing, width: float, length: float, y: float = 0.0) -> Thing:
    """The thing with its back to one of the walls of a room, at height y."""
    back = max(float(part.centre[2] + np.abs(part.rotation[2] * part.half).sum()) for part in thing)
    wall, along = int(rng.integers(4)), rng.uniform(0.08, 0.92)
    if wall == 0:
        return place(thing, -width / 2 + back, y, along * length, -np.pi / 2)
    if wall == 1:
        return place(thing, width / 2 - back, y, along * length, np.pi / 2)
    if wall == 2:
        return place(thing, (along - 0.5) * width, y, length - back)
    return place(thing, (along - 0.5) * width, y, back, np.pi)


def wall_piece(rng: Random, height: float) -> Thing:
    """A picture, window, door or curtain; its back is at z = 0."""
    kind, look, frame = rng.random(), paint(rng, 0.8), paint(rng)
    if kind < 0.3:
        size = (rng.uniform(0.75, 1), 2.0, 0.05)
        return [box(look, (0, -1.0, -0.025), size), box(frame, (size[0] * 0.4, -1, -0.06), (0.1, 0.03, 0.06))]
    if kind < 0.45:
        strips = np.linspace(-0.4, 0.4, int(rng.integers(5, 12)))
        return [rod(look, (x, -0.05, -0.06), (x, -height + 0.1, -0.06), 0.1) for x in strips]
    width, tall = rng.uniform(0.25, 1.8), rng.uniform(0.25, 1.3)
    y = -rng.uniform(1.2, 1.7)
    parts = [box(frame, (0, y, -0.01), (width + 0.08, tall + 0.08, 0.04))]
    return [*parts, box(look, (0, y, -0.02), (width, tall, 0.04))]


def clear_of(parts: Thing, position: Floats, distance: float) -> Thing:
    """The parts that keep a distance from a position, by their bounding boxes."""

    def away(part: Solid) -> float:
        local = part.rotation.T @ (position - part.centre)
        return float(np.linalg.norm(np.maximum(np.abs(local) - part.half, 0)))

    return [part for part in parts if away(part) > distance]


def room(rng: Random) -> Place:
    """A furnished room, seen from within."""
    width, length, height = rng.uniform(2.4, 7), rng.uniform(2.8, 9), rng.uniform(2.3, 3.3)
    eye = np.array([rng.uniform(-0.4, 0.4) * width, -rng.uniform(0.6, 1.8), rng.uniform(0.05, 0.35) * length])
    things: Thing = []
    for _ in range(rng.integers(3, 11)):
        thing = one_of(rng, FURNITURE)
        if rng.random() < 0.6:
            things += _against_wall(rng, thing, width, length)
        else:
            things += place(thing, *_spot(rng, width, length), rng.uniform(0, 2 * np.pi))
    for _ in range(rng.integers(1, 7)):
        things += _against_wall(rng, wall_piece(rng, height), width, length)
    if rng.random() < 0.3:
        things += place(person(rng), *_spot(rng, width, length), rng.uniform(0, 2 * np.pi))
    if rng.random() < 0.4:
        things.append(
            box(paint(rng), (0, -0.005, length / 2), (width * 0.5, 0.01, length * 0.4), turn(rng.uniform(0, 3)))
        )
    if rng.random() < 0.4:
        x, z = rng.uniform(-0.2, 0.2) * width, rng.uniform(0.4, 0.8) * length
        things.append(ball(paint(rng), (x, -height + 0.3, z), (0.4, 0.25, 0.4)))
    target = (rng.uniform(-0.35, 0.35) * width, -rng.uniform(0.2, 1.3), rng.uniform(0.6, 1) * length)
    camera = look_at(rng, eye, target, rng.uniform(48, 88))
    light = lamp_light(rng, rng.uniform(-0.4, 0.4) * width, -height * 0.9, rng.uniform(0.1, 0.9) * length)
    return Place(room_walls(rng, width, length, height) + clear_of(things, eye, 0.6), camera, light)


def _spot(rng: Random, width: float, length: float) -> tuple[float, float, float]:
    return rng.uniform(-0.4, 0.4) * width, 0.0, rng.uniform(0.3, 0.92) * length


def corridor(rng: Random) -> Place:
    """A long passage with doors, pillars and a few things."""
    width, length, height = rng.uniform(1.3, 4), rng.uniform(8, 30), rng.uniform(2.3, 4)
    eye = np.array([rng.uniform(-0.25, 0.25) * width, -rng.uniform(0.9, 1.8), 0.4])
    things: Thing = []
    for _ in range(rng.integers(4, 14)):
        things += _against_wall(rng, wall_piece(rng, height), width, length)
    look, pitch = paint(rng), rng.uniform(1.5, 5)
    if rng.random() < 0.5:
        for z in np.arange(2, length, pitch):
            for x in (-0.5, 0.5):
                things.append(box(look, (x * width, -height / 2, z), (0.3, height, 0.3)))
    for _ in range(rng.integers(0, 6)):
        thing = one_of(rng, (*FURNITURE, person))
        things += place(thing, rng.uniform(-0.45, 0.45) * width, 0, rng.uniform(2, length), rng.uniform(0, 6.3))
    target = (rng.uniform(-0.3, 0.3) * width, -rng.uniform(0.6, 1.6), rng.uniform(4, 10))
    light = lamp_light(rng, 0, -height * 0.9, rng.uniform(1, 12))
    camera = look_at(rng, eye, target, rng.uniform(50, 85))
    return Place(room_walls(rng, width, length, height) + clear_of(things, eye, 0.6), camera, light)


def street(rng: Random) -> Place:
    """A road between houses with cars, trees, lamps and people; the camera looks along or across it."""
    road, pavement = rng.uniform(5, 12), rng.uniform(1.5, 5)
    edge = road / 2 + pavement
    floor = [*ground(rng), box(paint(rng, 3.0), (0, -0.01, 0), (road, 0.02, _WIDE))]
    floor += [
        box(paint(rng, 1.0), (side * (road + pavement) / 2, -0.06, 0), (pavement, 0.12, _WIDE)) for side in (-1, 1)
    ]
    things: Thing = []
    open_sides = rng.random(2) < 0.25
    for side, is_open in zip((-1, 1), open_sides, strict=True):
        z = rng.uniform(-8, 6)
        while z < 90:
            thing = tree(rng) if is_open else building(rng)
            things += place(thing, side * (edge + rng.uniform(0, 4)), 0, z, side * np.pi / 2)
            z += rng.uniform(3, 9) if is_open else rng.uniform(9, 20)
    for _ in range(rng.integers(2, 9)):
        parked = rng.random() < 0.6
        x = (road / 2 - 1.1) * rng.choice([-1, 1]) if parked else rng.uniform(-0.3, 0.3) * road
        turned = float(rng.choice([0, np.pi])) + rng.normal(0, 0.05)
        things += place(car(rng), x, 0, log_uniform(rng, 5, 60), turned)
    for _ in range(rng.integers(3, 14)):
        side, z = rng.choice([-1, 1]), log_uniform(rng, 3, 50)
        thing = one_of(rng, (tree, pole, pole, person, person, bush))
        things += place(thing, side * (road / 2 + rng.uniform(0.3, pavement)), -0.1, z, rng.uniform(0, 6.3))
    eye = np.array([rng.uniform(-0.5, 0.5) * edge * 1.6, -rng.uniform(1.2, 2.2), 0.0])
    aside = rng.normal(0, 0.12) if rng.random() < 0.7 else rng.normal(0, 0.6)
    target = (eye[0] + 20 * np.sin(aside), eye[1] + rng.normal(0.3, 1.2), 20 * np.cos(aside))
    return Place(floor + clear_of(things, eye, 1.2), look_at(rng, eye, target, rng.uniform(50, 90)), daylight(rng))


def country(rng: Random) -> Place:
    """Hills, trees, rocks, fences, animals and people under the sky."""
    things: Thing = []
    for _ in range(rng.integers(0, 7)):
        z, x = log_uniform(rng, 25, 280), rng.normal(0, 0.7)
        wide = z * rng.uniform(0.5, 1.6)
        size = (wide, wide * rng.uniform(0.1, 0.6), wide * rng.uniform(0.4, 1))
        things.append(ball(paint(rng, 0.08 * wide), (x * z, 0, z + wide * 0.5), size, turn(rng.uniform(0, 3))))
    look = paint(rng, 3.0)
    for _ in range(rng.integers(0, 8)):
        z = log_uniform(rng, 3, 30)
        wide = z * rng.uniform(0.2, 1)
        size = (wide, wide * rng.uniform(0.1, 0.35), wide * 0.8)
        things.append(ball(look, (rng.normal(0, 0.5) * z, size[1] * 0.1, z), size, turn(rng.uniform(0, 3))))
    if rng.random() < 0.4:
        path = box(paint(rng, 2.0), (0, -0.005, 20), (rng.uniform(1, 8), 0.01, 80), turn(rng.normal(0, 0.3)))
        things.append(path)
    near, far = rng.uniform(2, 6), rng.uniform(15, 90)
    for _ in range(rng.integers(3, 24)):
        z = log_uniform(rng, near, far)
        things += place(one_of(rng, OUTDOORS), rng.uniform(-0.7, 0.7) * z, 0, z, rng.uniform(0, 6.3))
    high = log_uniform(rng, 0.4, 3) if rng.random() < 0.85 else rng.uniform(3, 15)
    eye = np.array([0.0, -high, 0.0])
    target = (rng.normal(0, 2), -high + rng.normal(0.12, 0.14) * 20, 20.0)
    return Place(
        ground(rng) + clear_of(things, eye, 1.0), look_at(rng, eye, target, rng.uniform(40, 80)), daylight(rng)
    )


def desk(rng: Random) -> Place:
    """A table's top with small things, a wall or a room behind it."""
    width, depth, rise = rng.uniform(0.8, 2.5), rng.uniform(0.6, 1.6), rng.uniform(0.4, 1.1)
    things = [box(paint(rng, 0.6), (0, 0.02, depth / 2), (width, 0.04, depth))]
    things += [
        rod(paint(rng), (x * width, 0, 0.9 * depth), (x * width, rise, 0.9 * depth), 0.06) for x in (-0.45, 0.45)
    ]
    things += place(spread(rng, int(rng.integers(4, 22)), width, depth * 0.9, 0), 0, 0, depth / 2)
    things.append(box(paint(rng, 1.0), (0, rise + 0.05, 3), (20, 0.1, 20)))
    back = depth + (rng.uniform(0, 0.3) if rng.random() < 0.5 else rng.uniform(0.3, 4))
    things.append(box(paint(rng, 1.5, CALM_WALL), (0, -1, back + 0.05), (20, 6, 0.1), turn(rng.normal(0, 0.12))))
    for _ in range(rng.integers(0, 5)):
        x, z = rng.uniform(-2.5, 2.5), rng.uniform(depth + 0.3, back) if back > depth + 0.5 else back - 0.2
        things += place(one_of(rng, FURNITURE), x, rise, z, rng.uniform(-0.3, 0.3))
    for _ in range(rng.integers(0, 4)):
        things += place(wall_piece(rng, 2.4), rng.uniform(-1.5, 1.5), rise, back)
    eye = np.array([rng.uniform(-0.3, 0.3), -rng.uniform(0.15, 0.8), -rng.uniform(0.2, 0.9)])
    target = (rng.uniform(-0.2, 0.2), -rng.uniform(-0.05, 0.25), depth * rng.uniform(0.35, 0.8))
    light = lamp_light(rng, rng.uniform(-2, 2), -rng.uniform(1, 2), rng.uniform(-1, back * 0.7))
    return Place(clear_of(things, eye, 0.25), look_at(rng, eye, target, rng.uniform(40, 75)), light)


def shelves(rng: Random) -> Place:
    """Shelves in a shop or a library, from in front or along them."""
    floor = [box(paint(rng, 1.0), (0, 0.05, 5), (30, 0.1, 30)), box(paint(rng, 2.0), (0, -1.5, 9), (30, 3, 0.1))]
    things: Thing = []
    x = -rng.uniform(1, 2)
    for _ in range(4):
        x += rng.uniform(0.8, 1.9)
        things += place(shelf(rng), x, 0, rng.uniform(1.9, 2.1))
    for _ in range(rng.integers(0, 4)):
        things += place(
            one_of(rng, (person, cabinet, table)), rng.uniform(-1.5, 3), 0, rng.uniform(1, 5), rng.uniform(0, 6)
        )
    eye = np.array([rng.uniform(-0.3, 1.5), -rng.uniform(0.6, 1.6), rng.uniform(-0.3, 1.2)])
    target = (eye[0] + rng.normal(0, 0.7), -rng.uniform(0.4, 1.3), 2.0)
    light = lamp_light(rng, rng.uniform(-1, 2), -2.6, rng.uniform(-1, 1))
    return Place(floor + clear_of(things, eye, 0.3), look_at(rng, eye, target, rng.uniform(45, 80)), light)


def close_up(rng: Random) -> Place:
    """One thing that fills the picture, in front of others far behind, or of a wall."""
    is_small = rng.random() < 0.45
    thing = one_of(rng, SMALL if is_small else EVERYTHING)
    low = np.min([part.centre - part.half.max() for part in thing], axis=0)
    high = np.max([part.centre + part.half.max() for part in thing], axis=0)
    size = float(max(high[0] - low[0], -low[1])) * 1.1
    distance = size * rng.uniform(0.8, 1.8)
    things = place(thing, 0, 0, 0, rng.uniform(0, 2 * np.pi))
    outside = rng.random() < 0.5 or size > 3
    if not outside:
        back = size * rng.uniform(0.4, 3)
        things.append(box(paint(rng, 1.5), (0, -10, back + 0.5), (60, 22, 1), turn(rng.normal(0, 0.25))))
    for _ in range(rng.integers(0, 9)):
        z = size * log_uniform(rng, 0.6, 12)
        makers = SMALL if is_small else EVERYTHING
        things += place(one_of(rng, makers), rng.uniform(-0.8, 0.8) * (z + distance), 0, z, rng.uniform(0, 6.3))
    eye = np.array([0, low[1] * rng.uniform(0.3, 1.1) - 0.05, -distance])
    target = (rng.normal(0, 0.15) * size, low[1] * rng.uniform(0.3, 0.6), 0)
    light = daylight(rng) if outside else lamp_light(rng, rng.normal(0, 2 * size), -3 * size, -size)
    return Place(ground(rng) + clear_of(things, eye, 0.1 * size), look_at(rng, eye, target, rng.uniform(40, 65)), light)


def heap(rng: Random) -> Place:
    """Many solids of all sizes anywhere in front of the camera, with or without a ground and a wall."""
    floor = ground(rng) if rng.random() < 0.7 else []
    things: Thing = []
    far = log_uniform(rng, 3, 40)
    if rng.random() < 0.7:
        things.append(box(paint(rng, 0.3 * far), (0, 0, far * 1.1), (8 * far, 8 * far, 0.1), turn(rng.normal(0, 0.4))))
    for _ in range(rng.integers(8, 60)):
        z = log_uniform(rng, 0.12 * far, far)
        size = z * np.exp(rng.uniform(np.log(0.02), np.log(0.6), 3))
        centre = (rng.uniform(-0.7, 0.7) * z, -1.2 + rng.uniform(-0.6, 0.6) * z, z)
        tilt = turn(rng.uniform(0, 6.3), rng.normal(0, 0.7), int(rng.choice([0, 2])))
        things.append(solid(int(rng.integers(BOX, 3)), paint(rng, 0.15 * z), centre, tuple(size), tilt))
    eye = np.array([0, -1.2, 0])
    camera = look_at(rng, eye, (rng.normal(0, 0.1), -1.2 + rng.normal(0.15, 0.2), 1), rng.uniform(45, 80))
    light = daylight(rng) if rng.random() < 0.5 else lamp_light(rng, rng.normal(0, 2), -4, rng.uniform(-2, 2))
    return Place(floor + clear_of(things, eye, 0.05 * far), camera, light)


def lounge(rng: Random) -> Place:
    """Furniture from nearby, cut by the picture's border, in front of a wall."""
    things: Thing = [box(paint(rng, 1.0), (0, 0.05, 3), (20, 0.1, 20))]
    back = rng.uniform(2, 5)
    things.append(box(paint(rng, 2.0, CALM_WALL), (0, -1.4, back + 0.05), (20, 3.2, 0.1), turn(rng.normal(0, 0.2))))
    if rng.random() < 0.6:
        things.append(box(paint(rng, 2.0), (rng.choice([-1, 1]) * rng.uniform(1.2, 2.5), -1.4, 2), (0.1, 3.2, 20)))
    for _ in range(rng.integers(3, 9)):
        maker = one_of(rng, (*FURNITURE, sofa, bed))
        things += place(
            maker, rng.uniform(-2, 2), 0, rng.uniform(0.9, back), float(rng.choice([-1.6, 0, 1.6])) + rng.normal(0, 0.3)
        )
    for _ in range(rng.integers(0, 5)):
        things += place(wall_piece(rng, 2.6), rng.uniform(-2, 2), 0, back)
    for _ in range(rng.integers(0, 5)):
        things += place(
            one_of(rng, SMALL), rng.uniform(-1, 1), 0, rng.uniform(0.8, 2.5), rng.uniform(0, 6), rng.uniform(1, 2)
        )
    eye = np.array([rng.uniform(-0.5, 0.5), -rng.uniform(0.5, 1.7), -rng.uniform(0, 0.8)])
    target = (rng.uniform(-0.8, 0.8), -rng.uniform(0, 1), rng.uniform(1.2, back))
    light = lamp_light(rng, rng.uniform(-2, 2), -2.4, rng.uniform(-1, back - 0.5))
    return Place(clear_of(things, eye, 0.35), look_at(rng, eye, target, rng.uniform(45, 80)), light)


GENERAL: Mix = {
    room: 0.22,
    lounge: 0.13,
    corridor: 0.06,
    street: 0.17,
    country: 0.14,
    desk: 0.1,
    shelves: 0.04,
    close_up: 0.09,
    heap: 0.05,
}
"""Kinds of places that cover what people photograph; `training.fine_layouts` has those that are hard."""


def layout(rng: Random, mix: Mix = GENERAL) -> Place:
    """A place of any kind of a mix."""
    makers = list(mix)
    return makers[int(rng.choice(len(makers), p=list(mix.values())))](rng)
