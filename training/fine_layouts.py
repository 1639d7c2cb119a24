"""Places full of what a small network loses: thin things, gaps, figures, far walls, and prints that have no depth.

Lengths and axes are those of `training.layouts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from training.figures import beast, bird, crab, figure
from training.foreground import in_front_of
from training.layouts import (
    GENERAL,
    Camera,
    Light,
    Mix,
    Place,
    clear_of,
    daylight,
    ground,
    lamp_light,
    layout,
    look_at,
    one_of,
    room_walls,
    wall_piece,
)
from training.slender import bicycle, boat, kayak, lattice, piece, ring, seat, trestle, trunk
from training.things import (
    FURNITURE,
    OUTDOORS,
    SMALL,
    Floats,
    Paint,
    Random,
    Thing,
    ball,
    box,
    building,
    bush,
    fence,
    flower,
    log_uniform,
    paint,
    place,
    plant,
    pole,
    rock,
    rod,
    spread,
    tree,
    turn,
)

Maker = Callable[[Random], Thing]


def _glowing(rng: Random, strength: float) -> Paint:
    """A nearly plain paint, brighter than others: a window by day, or a lamp."""
    look = paint(rng, 2.0, 1.0)
    return replace(look, tint=np.clip(look.tint, 0.5, None) * strength, gloss=0.0)


def _eye(rng: Random, low: float, high: float, aside: float = 0.0) -> Floats:
    """A camera's position at z = 0, as high above the ground as the range says."""
    return np.array([rng.uniform(-1, 1) * aside, -rng.uniform(low, high), 0.0])


def _view(rng: Random, eye: Floats, down: tuple[float, float], angles: tuple[float, float]) -> Camera:
    """A camera that looks away, turned down by radians from a range, with a field of view of degrees from a range."""
    target = eye + np.array([rng.normal(0, 0.12), np.tan(rng.uniform(*down)), 1.0])
    return look_at(rng, eye, tuple(target), rng.uniform(*angles))


def _scattered(rng: Random, makers: Sequence[Maker], count: int, near: float, far: float) -> list[Thing]:
    """Things of these kinds in the view of a camera at z = 0, from `near` to `far` metres away."""
    depths = rng.uniform(near, far, count)
    return [place(one_of(rng, makers), rng.uniform(-0.45, 0.45) * z, 0, z, rng.uniform(0, 6.3)) for z in depths]


def _joined(*things: Thing) -> Thing:
    return [part for thing in things for part in thing]


def _view_of(rng: Random, eye: Floats, things: Sequence[Thing], angles: tuple[float, float]) -> Camera:
    """A camera that looks about at one of the things, with a field of view of degrees from a range."""
    thing = things[int(rng.integers(len(things)))]
    middle = np.mean([part.centre for part in thing], axis=0)
    middle[1] = max(middle[1], -1.6)
    target = middle + rng.normal(0, (0.2, 0.12, 0.0)) * middle[2]
    return look_at(rng, eye, tuple(target), rng.uniform(*angles))


def _backdrop(rng: Random, near: float) -> tuple[Thing, Light]:
    """What is behind a thing in the open or in a room: solids beyond `near` metres, the floor, and the light."""
    if rng.random() < 0.45:
        back = near + log_uniform(rng, 0.2, 5)
        solids = [box(paint(rng, 1.0), (0, 0.05, 0), (60, 0.1, 60))]
        solids.append(box(paint(rng, 1.5, 0.5), (0, -2, back + 0.05), (40, 5, 0.1), turn(rng.normal(0, 0.25))))
        for _ in range(rng.integers(0, 5)):
            solids += place(wall_piece(rng, 2.4), rng.uniform(-0.8, 0.8) * back, 0, back)
        for _ in range(rng.integers(0, 4)):
            solids += place(
                one_of(rng, FURNITURE), rng.uniform(-0.8, 0.8) * back, 0, rng.uniform(near, back), rng.uniform(0, 6)
            )
        return solids, lamp_light(rng, rng.uniform(-2, 2), -rng.uniform(1.8, 3), rng.uniform(-1, back - 0.3))
    solids = ground(rng)
    for _ in range(rng.integers(2, 14)):
        z = near * log_uniform(rng, 1.3, 25) + 1
        solids += place(one_of(rng, OUTDOORS), rng.uniform(-0.9, 0.9) * z, 0, z, rng.uniform(0, 6.3))
    if rng.random() < 0.4:
        solids += place(building(rng), rng.normal(0, 4), 0, near + log_uniform(rng, 4, 40), rng.normal(0, 0.2))
    return solids, daylight(rng)


def wood(rng: Random) -> Place:
    """Among trunks, from those within reach to those that close the view."""
    solids: Thing = ground(rng)
    far = rng.uniform(15, 60)
    if rng.random() < 0.6:
        solids.append(box(paint(rng, 4.0, 0.1), (0, -8, far), (300, 40, 0.5), turn(rng.normal(0, 0.15))))
    if rng.random() < 0.4:
        solids.append(box(paint(rng, 3.0, 0.1), (0, -rng.uniform(7, 14), far / 2), (200, 0.3, far)))
    for _ in range(rng.integers(8, 60)):
        z = log_uniform(rng, 1, far)
        solids += place(trunk(rng), rng.uniform(-0.75, 0.75) * z, 0, z, rng.uniform(0, 6.3))
    for _ in range(rng.integers(0, 12)):
        z = log_uniform(rng, 1.5, far)
        thing = one_of(rng, (bush, bush, rock, tree, figure, beast, plant))
        solids += place(thing, rng.uniform(-0.7, 0.7) * z, 0, z, rng.uniform(0, 6.3))
    eye = _eye(rng, 0.4, 2.0)
    light = daylight(rng)
    light = replace(light, fog=light.fog if rng.random() < 0.6 else log_uniform(rng, 1 / 100, 1 / 15))
    return Place(clear_of(solids, eye, 0.5), _view(rng, eye, (-0.3, 0.35), (45, 80)), light)


def board(rng: Random) -> Place:
    """Pieces on a board, seen from nearby; a table and what is far behind."""
    table, square = rng.uniform(0.6, 1.4), rng.uniform(0.035, 0.07)
    behind, light = _backdrop(rng, table + 0.2)
    solids = place(behind, 0, rng.uniform(0.5, 0.9), 0)
    solids.append(box(paint(rng, 0.6), (0, 0.02, 0.45), (table * 1.5, 0.04, table)))
    half, turned_by = 4 * square, rng.choice([0, rng.uniform(0, 6.3)])
    solids += place(_board_with_pieces(rng, square), 0, 0, 0.45, float(turned_by))
    for _ in range(rng.integers(0, 5)):
        x, z = rng.choice([-1, 1]) * rng.uniform(half * 1.5, half * 3), rng.uniform(0.1, 0.9) * table
        solids += place(one_of(rng, SMALL), x, 0, z)
    eye = np.array([rng.normal(0, 0.12), -rng.uniform(0.06, 0.45), 0.45 - half - rng.uniform(0.05, 0.35)])
    target = (rng.normal(0, 0.05), rng.uniform(-0.08, 0.02), 0.45 + rng.normal(0, 0.5) * half)
    return Place(clear_of(solids, eye, 0.03), look_at(rng, eye, target, rng.uniform(35, 65)), light)


def _board_with_pieces(rng: Random, square: float) -> Thing:
    """A board of 8 x 8 squares around the origin, its top a little above y = 0, with 4 to 29 pieces of two colours."""
    thick, dark = rng.uniform(0.005, 0.03), paint(rng, 0.2, 0.8)
    parts = [box(paint(rng, 0.2, 0.8), (0, -thick / 2, 0), (8.6 * square, thick, 8.6 * square))]
    places = [((i % 8 - 3.5) * square, -thick, (i // 8 - 3.5) * square) for i in range(64)]
    parts += [box(dark, at, (square, 0.001, square)) for i, at in enumerate(places) if (i + i // 8) % 2]
    looks = [replace(paint(rng, 0.1, 0.8), gloss=rng.uniform(0, 0.5)) for _ in range(2)]
    for i in rng.permutation(64)[: int(rng.integers(4, 30))]:
        own = looks[int(rng.integers(2)) if rng.random() < 0.2 else int(i >= 32)]
        parts += place(piece(rng, own), *places[int(i)], rng.uniform(0, 6.3), square / 0.05 * rng.uniform(0.8, 1.2))
    return parts


def seats(rng: Random) -> Place:
    """Chairs, tables and lattices with gaps, from nearby, in front of what is behind."""
    near = rng.uniform(1.3, 4)
    solids, light = _backdrop(rng, near)
    makers = (seat, seat, seat, seat, trestle, bicycle)
    things = _scattered(rng, makers, int(rng.integers(1, 7)), 0.9, near)
    eye = _eye(rng, 0.4, 1.7)
    camera = _view_of(rng, eye, things, (40, 70))
    return Place(clear_of(_joined(solids, *things), eye, 0.3), camera, light)


def figures(rng: Random) -> Place:
    """People and animals close to the camera in many poses."""
    near = rng.uniform(1.5, 5)
    solids, light = _backdrop(rng, near * 0.8)
    makers = (figure, figure, figure, beast, beast, bird)
    things = _scattered(rng, makers, int(rng.integers(1, 5)), 0.8, near)
    others = _scattered(rng, (seat, bicycle, lattice, plant), int(rng.integers(0, 3)), 0.8, near)
    eye = _eye(rng, 0.5, 1.8)
    camera = _view_of(rng, eye, things, (40, 75))
    return Place(clear_of(_joined(solids, *things, *others), eye, 0.3), camera, light)


def shore(rng: Random) -> Place:
    """Small animals, flowers and stones on the ground, from very nearby, in front of more stones and the far."""
    solids, light = _backdrop(rng, 2.0)
    look = paint(rng, 0.4, 0.1)
    for _ in range(rng.integers(3, 16)):
        z = log_uniform(rng, 0.4, 4)
        size = z * rng.uniform(0.1, 0.6, 3) * (1, 0.6, 1)
        own = look if rng.random() < 0.7 else paint(rng, 0.3, 0.1)
        solids.append(
            ball(own, (rng.uniform(-0.7, 0.7) * z, 0, z + 0.2), size, turn(rng.uniform(0, 3), rng.normal(0, 0.3)))
        )
    for _ in range(rng.integers(1, 4)):
        z, thing = rng.uniform(0.3, 0.9), one_of(rng, (crab, crab, bird, flower, beast, *SMALL))
        rise = rng.uniform(0, 0.15)
        solids.append(ball(look, (0, 0, z), (rng.uniform(0.1, 1), rise * 2, 0.5)))
        wide = max(float(np.abs(part.centre).max() + part.half.max()) for part in thing)
        scale = z * rng.uniform(0.15, 0.5) / wide
        solids += place(thing, rng.uniform(-0.25, 0.25) * z, -rise, z, rng.uniform(0, 6.3), scale)
    eye = _eye(rng, 0.08, 0.5)
    return Place(clear_of(solids, eye, 0.12), _view(rng, eye, (0.05, 0.6), (40, 70)), light)


def water(rng: Random) -> Place:
    """Boats, people in kayaks, posts and masts on water, with a far shore or none."""
    calm = replace(paint(rng, rng.uniform(1, 8), 0.5), gloss=rng.uniform(0, 0.7))
    solids: Thing = [box(calm, (0, 0.5, 0), (4000, 1, 4000))]
    shore_at = log_uniform(rng, 40, 600)
    if rng.random() < 0.75:
        hills, look = int(rng.integers(2, 9)), paint(rng, 0.1 * shore_at, 0.2)
        for x in rng.uniform(-1, 1, hills) * shore_at:
            wide = shore_at * rng.uniform(0.3, 1.2)
            solids.append(ball(look, (x, 0, shore_at + wide / 2), (wide, wide * rng.uniform(0.05, 0.5), wide)))
        solids.append(box(look, (0, -0.004 * shore_at, shore_at * 1.1), (4 * shore_at, 0.02 * shore_at, 10)))
    for _ in range(rng.integers(1, 9)):
        z = log_uniform(rng, 2.5, min(shore_at, 80))
        makers = (kayak, kayak, boat, boat) if z < 12 else (boat, boat, boat, kayak)
        solids += place(one_of(rng, makers), rng.uniform(-0.6, 0.6) * z, 0, z, rng.uniform(0, 6.3))
    for _ in range(rng.integers(0, 9)):
        z, tall, thick = log_uniform(rng, 2, 40), rng.uniform(0.5, 3), rng.uniform(0.06, 0.35)
        x = rng.uniform(-0.6, 0.6) * z
        solids.append(rod(paint(rng, 0.4), (x, 0.3, z), (x + rng.normal(0, 0.05), -tall, z), thick))
    for _ in range(rng.integers(0, 4)):
        z = log_uniform(rng, 2, 20)
        solids += place(rock(rng), rng.uniform(-0.7, 0.7) * z, 0, z, 0, rng.uniform(1, 3))
    if rng.random() < 0.25:
        pier = box(paint(rng, 1.0), (0, -0.5, 6), (rng.uniform(1, 2.5), 0.12, 14), turn(rng.normal(0, 0.1)))
        solids += place([pier], rng.uniform(-3, 3), 0, 0)
    eye = _eye(rng, 0.9, 4.0)
    return Place(clear_of(solids, eye, 0.6), _view(rng, eye, (-0.08, 0.3), (40, 80)), daylight(rng))


def _arch(look: Paint, span: float, rise: float, z: float, thick: float) -> Thing:
    """Half a ring from wall to wall whose feet are `rise` above the floor."""
    return place(ring(look, span / 2, thick, np.pi, 12), 0, -rise, z)


def _dim(rng: Random, light: Light) -> Light:
    """The light with much less of it where the lamp does not reach."""
    return replace(light, ambient=rng.uniform(0.06, 0.3), key=rng.uniform(0.5, 1.5))


def _bright_openings(rng: Random, width: float, length: float, height: float) -> Thing:
    """Windows that shine, in both long walls and at the end."""
    look, tall, wide = _glowing(rng, rng.uniform(1.5, 5)), rng.uniform(0.25, 0.55) * height, rng.uniform(0.5, 2)
    y = -rng.uniform(0.45, 0.65) * height
    sides = [(x * width / 2, z) for x in (-1, 1) for z in np.arange(2, length, rng.uniform(2.5, 7))]
    solids = [box(look, (x, y, z), (0.08, tall, wide)) for x, z in sides] if rng.random() < 0.7 else []
    ends = np.linspace(-0.3, 0.3, int(rng.integers(1, 4)) if rng.random() < 0.7 else 0) * width
    return solids + [box(look, (x, y, length), (wide, tall * rng.uniform(0.8, 1.3), 0.08)) for x in ends]


def nave(rng: Random) -> Place:
    """A church, station or gallery: rows of columns, arches, pews, bright windows, a far end."""
    width, length, height = rng.uniform(6, 20), rng.uniform(15, 55), rng.uniform(5, 16)
    solids = room_walls(rng, width, length, height) + _bright_openings(rng, width, length, height)
    pitch, look, inner = rng.uniform(2.5, 6), paint(rng, 1.5, 0.5), width * rng.uniform(0.22, 0.36)
    thick = rng.uniform(0.3, 1.1)
    places = np.arange(rng.uniform(1, 4), length - 1, pitch)
    if rng.random() < 0.85:
        solids += [rod(look, (x * inner, 0, z), (x * inner, -height, z), thick) for x in (-1, 1) for z in places]
    if rng.random() < 0.6:
        rise = max(height - inner, height * 0.4)
        for z in places:
            solids += _arch(look, 2 * inner, rise, float(z), thick * 0.5)
    bench = paint(rng, 0.6)
    if rng.random() < 0.65:
        for z in np.arange(rng.uniform(1.5, 5), length * 0.75, rng.uniform(0.9, 1.4)):
            for side in (-1, 1):
                x, wide = side * inner * 0.55, inner * 0.75
                solids.append(box(bench, (x, -0.45, z), (wide, 0.06, 0.4)))
                solids.append(box(bench, (x, -0.7, z + 0.2), (wide, 0.55, 0.05)))
    solids.append(box(paint(rng), (0, -0.6, length - 2), (rng.uniform(1, 4), 1.2, 1)))
    for _ in range(rng.integers(0, 9)):
        z = log_uniform(rng, 2, length * 0.8)
        solids += place(
            one_of(rng, (figure, figure, plant, lattice)), rng.uniform(-0.8, 0.8) * inner, 0, z, rng.uniform(0, 6.3)
        )
    solids += _hanging_lamps(rng, inner, length, height)
    eye = np.array([rng.normal(0, 0.25) * inner, -rng.uniform(1.2, 2.2), 0.6])
    light = _dim(rng, lamp_light(rng, rng.normal(0, 1), -height * 0.85, rng.uniform(1, length)))
    return Place(clear_of(solids, eye, 0.6), _view(rng, eye, (-0.4, 0.15), (50, 85)), light)


def _hanging_lamps(rng: Random, inner: float, length: float, height: float) -> Thing:
    solids: Thing = []
    look, cord = _glowing(rng, rng.uniform(2, 8)), paint(rng)
    for z in np.arange(2, length, rng.uniform(1.5, 6)) if rng.random() < 0.6 else ():
        x, y, size = rng.normal(0, 0.4) * inner, -height * rng.uniform(0.55, 0.85), rng.uniform(0.1, 0.5)
        solids += [rod(cord, (x, -height, z), (x, y, z), 0.02), ball(look, (x, y, z), (size, size * 0.7, size))]
    return solids


def dining(rng: Random) -> Place:
    """A restaurant, café or class room: tables, chairs, guests, things on the tables, far walls, little light."""
    width, length, height = rng.uniform(5, 14), rng.uniform(7, 22), rng.uniform(2.5, 4.5)
    solids = room_walls(rng, width, length, height) + _bright_openings(rng, width, length, height)
    look_of_chairs = int(rng.integers(2**31))
    for z in np.arange(rng.uniform(1.2, 2), length - 0.5, rng.uniform(1.7, 2.6)):
        for x in np.arange(-width / 2 + 0.9, width / 2 - 0.5, rng.uniform(1.8, 2.8)):
            if rng.random() < 0.25:
                continue
            x_at, z_at, top = x + rng.normal(0, 0.15), z + rng.normal(0, 0.15), rng.uniform(0.7, 0.78)
            solids += place(_laid_table(rng, top, with_things=bool(z < 6)), x_at, 0, z_at)
            for side in (-1, 1):
                chair = seat(np.random.default_rng(look_of_chairs))
                here = place(chair, x_at + rng.normal(0, 0.05), 0, z_at + side * 0.6, 0 if side > 0 else np.pi)
                solids += here if z < 9 else here[:2]
                if rng.random() < 0.18 and z < 12:
                    solids += place(figure(rng), x_at + 0.4, 0, z_at + side * 0.55, rng.uniform(0, 6.3))
    solids += _hanging_lamps(rng, width, length, height)
    for _ in range(rng.integers(1, 6)):
        solids += place(wall_piece(rng, height), rng.uniform(-0.45, 0.45) * width, 0, length)
    eye = np.array([rng.normal(0, 0.15) * width, -rng.uniform(0.9, 1.8), 0.5])
    light = _dim(rng, lamp_light(rng, rng.normal(0, 0.2) * width, -height * 0.9, rng.uniform(1, length)))
    return Place(clear_of(solids, eye, 0.35), _view(rng, eye, (-0.05, 0.3), (50, 85)), light)


def _laid_table(rng: Random, height: float, *, with_things: bool) -> Thing:
    parts = [
        box(paint(rng, 0.8), (0, -height, 0), (0.8, 0.04, 0.75)),
        rod(paint(rng), (0, 0, 0), (0, -height, 0), 0.07),
    ]
    return parts + (spread(rng, int(rng.integers(0, 6)), 0.75, 0.7, -height - 0.02) if with_things else [])


def gaps(rng: Random) -> Place:
    """A lattice, fence, mast or ladder close to the camera, with everything else behind it."""
    near = rng.uniform(0.9, 3)
    solids, light = _backdrop(rng, near + 0.5)
    things: list[Thing] = []
    for _ in range(rng.integers(1, 5)):
        z = rng.uniform(0.7, near)
        thing = one_of(rng, (lattice, lattice, fence, pole, bicycle, trunk, plant))
        things.append(place(thing, rng.uniform(-0.5, 0.5) * z, -rng.uniform(0, 0.3), z, rng.normal(0, 0.5)))
    behind = _scattered(rng, (figure, beast, seat), int(rng.integers(0, 4)), near, near + 4)
    eye = _eye(rng, 0.6, 1.7)
    camera = _view_of(rng, eye, things + behind, (45, 75))
    return Place(clear_of(_joined(solids, *things, *behind), eye, 0.2), camera, light)


def prints(rng: Random) -> Place:
    """Posters, screens, carpets, covers and walls with strong patterns, all flat, and few real things before them."""
    back, slant = log_uniform(rng, 0.5, 5), rng.normal(0, 0.5)
    solids: Thing = [box(paint(rng, rng.uniform(0.3, 2), 0.0), (0, 0.05, 0), (40, 0.1, 40))]
    wall: Thing = [box(paint(rng, rng.uniform(0.5, 3) * back, 0.2), (0, -2, 0.05), (40, 8, 0.1))]
    for _ in range(rng.integers(1, 8)):
        wide, tall = rng.uniform(0.15, 0.9, 2) * back
        x, y, thin = rng.normal(0, 0.5) * back, -1 + rng.normal(0, 0.35) * back, rng.uniform(0.002, 0.03)
        look = paint(rng, rng.uniform(0.5, 1.2) * max(wide, tall), 0.0)
        look = replace(look, gloss=rng.uniform(0, 0.6))
        wall.append(box(look, (x, y, -thin / 2), (wide, tall, thin)))
    solids += place(wall, 0, 0, back, np.clip(slant, -1.1, 1.1))
    if rng.random() < 0.5:
        solids.append(
            box(paint(rng, 1.0, 0.0), (0, -0.004, back / 2), (back, 0.008, back * 0.6), turn(rng.uniform(0, 3)))
        )
    for _ in range(rng.integers(0, 4)):
        z = rng.uniform(0.35, 0.85) * back
        small = back < 1.5
        thing = one_of(rng, SMALL if small else (figure, seat, beast, *FURNITURE))
        solids += place(thing, rng.uniform(-0.5, 0.5) * z, 0 if not small else -0.7, z, rng.uniform(0, 6.3))
    if back < 1.5:
        solids.append(box(paint(rng, 0.5, 0.1), (0, -0.67, back / 2), (3, 0.06, back)))
    eye = _eye(rng, 0.85, 1.4)
    light = _dim(rng, lamp_light(rng, rng.normal(0, 1), -2.2, rng.uniform(-1, back * 0.5)))
    light = light if rng.random() < 0.4 else replace(light, ambient=rng.uniform(0.3, 0.6))
    return Place(clear_of(solids, eye, 0.1), _view(rng, eye, (-0.15, 0.5), (40, 75)), light)


def foreground(rng: Random) -> Place:
    """Any other place, with something close to the lens in front of it."""
    fine = (wood, seats, figures, water, nave, dining)
    behind = layout(rng, GENERAL) if rng.random() < 0.6 else fine[int(rng.integers(len(fine)))](rng)
    return replace(behind, solids=behind.solids + in_front_of(rng, behind.camera))


FINE: Mix = {
    wood: 0.12,
    board: 0.06,
    seats: 0.11,
    figures: 0.14,
    shore: 0.07,
    water: 0.08,
    nave: 0.08,
    dining: 0.08,
    gaps: 0.05,
    prints: 0.06,
    foreground: 0.15,
}
"""The kinds of places and their shares."""
