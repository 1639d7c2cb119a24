"""Things to fill scenes with, built of boxes, ellipsoids and cylinders.

Lengths are metres; x points right, y down and z away. A thing stands on y = 0 around x = z = 0 with its front
towards -z, until it is placed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Vector = Sequence[float] | Floats
"""Three numbers."""
Random = np.random.Generator

BOX, ELLIPSOID, CYLINDER = 0, 1, 2
TEXTURES = 16
"""Number of textures that the solids of a scene choose from."""
CALM_TEXTURES = 5
"""The first of the textures, this many, are nearly plain."""


@dataclass(frozen=True)
class Paint:
    """How a surface looks."""

    texture: int
    tint: Floats
    """(3,) factors of the texture's RGB."""
    metres: float
    """Length of one repeat of the texture."""
    gloss: float = 0.0


@dataclass(frozen=True)
class Solid:
    """A unit box [-1, 1]^3, ball or upright cylinder, scaled, turned and moved."""

    kind: int
    centre: Floats
    half: Floats
    """(3,) half of the extent along the solid's own axes."""
    rotation: Floats
    """(3, 3), its columns are the solid's own axes."""
    paint: Paint


Thing = list[Solid]


def paint(rng: Random, metres: float = 0.5, calm: float = 0.4) -> Paint:
    """A random paint whose texture repeats about every `metres`; `calm` is the probability of a plain one."""
    tint = np.clip(rng.uniform(0.45, 1.1) * (1 + rng.normal(0, 0.12, 3)), 0.05, 1.2)
    gloss = rng.uniform(0.1, 0.7) if rng.random() < 0.25 else 0.0
    texture = int(rng.integers(0, CALM_TEXTURES) if rng.random() < calm else rng.integers(TEXTURES))
    return Paint(texture, tint, metres * float(np.exp(rng.normal(0, 0.6))), gloss)


def turn(yaw: float, tilt: float = 0.0, axis: int = 0) -> Floats:
    """Rotation by `tilt` radians about the x axis (axis 0) or the z axis (2), then by `yaw` about the vertical."""
    c, s = np.cos(yaw), np.sin(yaw)
    about_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    c, s = np.cos(tilt), np.sin(tilt)
    tilted = [[1, 0, 0], [0, c, -s], [0, s, c]] if axis == 0 else [[c, -s, 0], [s, c, 0], [0, 0, 1]]
    return np.asarray(about_y @ np.array(tilted))


def log_uniform(rng: Random, low: float, high: float) -> float:
    """A number from a range, each factor as likely as another: 1 to 2 as 2 to 4."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def solid(kind: int, look: Paint, centre: Vector, size: Vector, rotation: Floats | None = None) -> Solid:
    """A solid by its whole extent, `size`."""
    half = np.maximum(np.asarray(size, float) / 2, 1e-4)
    return Solid(kind, np.asarray(centre, float), half, np.eye(3) if rotation is None else rotation, look)


def box(look: Paint, centre: Vector, size: Vector, rotation: Floats | None = None) -> Solid:
    """A box."""
    return solid(BOX, look, centre, size, rotation)


def ball(look: Paint, centre: Vector, size: Vector, rotation: Floats | None = None) -> Solid:
    """An ellipsoid."""
    return solid(ELLIPSOID, look, centre, size, rotation)


def rod(look: Paint, start: Vector, end: Vector, thickness: float, kind: int = CYLINDER) -> Solid:
    """A cylinder, or another kind of solid, from one point to another."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    length = float(np.linalg.norm(b - a))
    axis = (b - a) / max(length, 1e-6)
    other = np.cross(axis, [0, 0, 1] if abs(axis[2]) < 0.9 else [1, 0, 0])
    other /= np.linalg.norm(other)
    rotation = np.stack([other, axis, np.cross(other, axis)], axis=1)
    return solid(kind, look, (a + b) / 2, (thickness, length, thickness), rotation)


def limb(look: Paint, start: Vector, end: Vector, thickness: float) -> Solid:
    """A rounded rod."""
    return rod(look, start, end, thickness, ELLIPSOID)


def place(thing: Thing, x: float, y: float, z: float, yaw: float = 0.0, scale: float = 1.0) -> Thing:
    """The thing scaled, turned about the vertical and moved so that what was the origin is at (x, y, z)."""
    rotation, position = turn(yaw), np.array([x, y, z])
    return [
        replace(
            part,
            centre=rotation @ part.centre * scale + position,
            half=part.half * scale,
            rotation=rotation @ part.rotation,
        )
        for part in thing
    ]


def table(rng: Random) -> Thing:
    """A table of any height from coffee table to bar, sometimes with things on it."""
    width, depth, height = rng.uniform(0.5, 2), rng.uniform(0.4, 1), rng.uniform(0.4, 1.0)
    top, leg, thick = paint(rng), paint(rng), rng.uniform(0.02, 0.06)
    parts = [box(top, (0, -height + thick / 2, 0), (width, thick, depth))]
    if rng.random() < 0.2:
        parts.append(rod(leg, (0, 0, 0), (0, -height, 0), 0.08))
    else:
        feet = [(x * width, z * depth) for x in (-0.45, 0.45) for z in (-0.43, 0.43)]
        parts += [rod(leg, (x, 0, z), (x, -height, z), rng.uniform(0.03, 0.08)) for x, z in feet]
    return parts + spread(rng, int(rng.integers(0, 7)), width, depth, -height)


def chair(rng: Random) -> Thing:
    """A chair with four legs or one foot, with or without a slatted back."""
    look, leg, seat, width = paint(rng), paint(rng), rng.uniform(0.4, 0.5), rng.uniform(0.4, 0.55)
    parts = [box(look, (0, -seat, 0), (width, rng.uniform(0.03, 0.1), width))]
    if rng.random() < 0.3:
        parts += [rod(leg, (0, 0, 0), (0, -seat, 0), 0.06), box(leg, (0, -0.03, 0), (width, 0.04, 0.08))]
        parts.append(box(leg, (0, -0.03, 0), (0.08, 0.04, width)))
    else:
        legs = [(x * width, z * width) for x in (-0.45, 0.45) for z in (-0.45, 0.45)]
        parts += [rod(leg, (x, 0, z), (x, -seat, z), 0.035) for x, z in legs]
    back = seat + rng.uniform(0.35, 0.6)
    if rng.random() < 0.5:
        parts.append(box(look, (0, -(seat + back) / 2 - 0.05, width / 2), (width, back - seat, 0.04), turn(0, -0.15)))
    else:
        for x in np.linspace(-0.45, 0.45, int(rng.integers(2, 7))) * width:
            parts.append(rod(leg, (x, -seat, width / 2), (x, -back, width / 2 + 0.08), 0.025))
        parts.append(box(leg, (0, -back, width / 2 + 0.08), (width, 0.06, 0.03)))
    return parts


def sofa(rng: Random) -> Thing:
    """A sofa or armchair with cushions."""
    look, width, depth = paint(rng), rng.uniform(0.8, 2.4), rng.uniform(0.8, 1)
    parts = [
        box(look, (0, -0.22, 0), (width, 0.4, depth)),
        box(look, (0, -0.45, depth * 0.4), (width, 0.85, 0.22), turn(0, -0.12)),
    ]
    parts += [box(look, (side * width / 2, -0.32, 0), (0.18, 0.62, depth)) for side in (-1, 1)]
    for x in rng.uniform(-0.35, 0.35, int(rng.integers(0, 4))) * width:
        parts.append(ball(paint(rng, 0.3), (x, -0.58, 0.15), (0.45, 0.42, 0.2), turn(0, -0.3)))
    return parts


def bed(rng: Random) -> Thing:
    """A bed with its head away from the front."""
    width, sheet = rng.uniform(0.9, 1.8), paint(rng, 1.0)
    parts = [box(paint(rng), (0, -0.15, 0), (width, 0.3, 2)), box(sheet, (0, -0.4, 0), (width, 0.22, 1.95))]
    parts.append(box(paint(rng), (0, -0.5, 1.02), (width, 1, 0.06)))
    parts += [
        ball(paint(rng), (x * width, -0.56, 0.7), (0.6, 0.2, 0.4)) for x in ((-0.25, 0.25) if width > 1.2 else (0,))
    ]
    return parts


def shelf(rng: Random) -> Thing:
    """Shelves with rows of books, boxes or bottles."""
    width, depth, height = rng.uniform(0.6, 2), rng.uniform(0.25, 0.45), rng.uniform(0.8, 2.2)
    look, rows = paint(rng, 1.0), int(rng.integers(2, 6))
    parts = [box(look, (0, -height / 2, depth / 2), (width, height, 0.02))]
    parts += [box(look, (side * width / 2, -height / 2, 0), (0.03, height, depth)) for side in (-1, 1)]
    for level in np.linspace(0.04, height, rows + 1):
        parts.append(box(look, (0, -level, 0), (width, 0.025, depth)))
    for level in np.linspace(0.05, height, rows + 1)[:-1]:
        parts += _row(rng, width * 0.94, depth, -float(level), height / rows * 0.85)
    return parts


def _row(rng: Random, width: float, depth: float, y: float, height: float) -> Thing:
    """Like things side by side on one board of a shelf."""
    parts: Thing = []
    kind, size = int(rng.choice([BOX, BOX, CYLINDER])), rng.uniform(0.03, 0.16)
    tall, looks = height * rng.uniform(0.4, 1), [paint(rng, 0.2) for _ in range(3)]
    x = -width / 2
    while x < width / 2 and len(parts) < 14:
        thick = size * rng.uniform(0.6, 1.4)
        if rng.random() < 0.88:
            this = tall * rng.uniform(0.75, 1)
            deep = thick if kind == CYLINDER else depth * rng.uniform(0.5, 0.9)
            z = -depth / 2 + deep / 2 + rng.uniform(0, 0.1) * depth
            parts.append(
                solid(kind, looks[int(rng.integers(3))], (x + thick / 2, y - this / 2, z), (thick, this, deep))
            )
        x += thick * 1.05
    return parts


def cabinet(rng: Random) -> Thing:
    """A cupboard, chest of drawers, refrigerator or counter, with knobs."""
    width, depth, height = rng.uniform(0.4, 2), rng.uniform(0.35, 0.7), rng.uniform(0.4, 2.1)
    look, front, rows = paint(rng, 1.0), paint(rng, 0.8), int(rng.integers(1, 5))
    parts = [box(look, (0, -height / 2, 0), (width, height, depth))]
    columns = int(rng.integers(1, 4))
    for row in range(rows):
        for column in range(columns):
            x, y = ((column + 0.5) / columns - 0.5) * width, -(row + 0.5) / rows * height
            size = (width / columns - 0.03, height / rows - 0.03, 0.025)
            parts.append(box(front, (x, y, -depth / 2), size))
            parts.append(ball(look, (x, y, -depth / 2 - 0.03), (0.03, 0.03, 0.03)))
    return parts + spread(rng, int(rng.integers(0, 5)), width, depth, -height)


def lamp(rng: Random) -> Thing:
    """A standard lamp."""
    height, look = rng.uniform(1.1, 1.8), paint(rng)
    shade = solid(int(rng.integers(1, 3)), paint(rng), (0, -height, 0), (0.35, 0.3, 0.35))
    return [rod(look, (0, 0, 0), (0, -height, 0), 0.03), rod(look, (0, 0, 0), (0, -0.03, 0), 0.3), shade]


def plant(rng: Random) -> Thing:
    """A plant in a pot: leaves on stems."""
    pot, look, tall = rng.uniform(0.15, 0.4), paint(rng, 0.2), rng.uniform(0.3, 1.4)
    parts = [rod(paint(rng), (0, 0, 0), (0, -pot, 0), pot)]
    for _ in range(rng.integers(6, 22)):
        reach = rng.normal(0, 0.3, 2) * tall
        tip = (reach[0], -pot - tall * rng.uniform(0.2, 1), reach[1])
        if rng.random() < 0.4:
            parts.append(rod(look, (0, -pot, 0), tip, 0.012))
        size = rng.uniform(0.06, 0.3) * (0.3 + tall)
        tilt = turn(rng.uniform(0, 6.3), rng.normal(0, 0.8))
        parts.append(ball(look, tip, (size, size * 0.12, size * rng.uniform(0.3, 1)), tilt))
    return parts


def person(rng: Random) -> Thing:
    """A standing or walking person of any age."""
    shirt, trousers, skin = paint(rng), paint(rng), paint(rng, 2.0)
    stride, reach = rng.normal(0, 0.18), rng.normal(0, 0.1, 2)
    hip, shoulder = -0.9, -1.42
    parts = [
        ball(shirt, (0, -1.18, 0), (0.4, 0.72, 0.26)),
        ball(trousers, (0, -0.9, 0), (0.36, 0.36, 0.26)),
        ball(skin, (0, -1.64, 0), (0.17, 0.25, 0.2)),
        rod(skin, (0, -1.4, 0), (0, -1.58, 0), 0.11),
    ]
    for side in (-1, 1):
        foot = (side * 0.1, -0.04, side * stride)
        knee = (side * 0.1, -0.48, side * stride * 0.4 - 0.03)
        hand = (side * (0.26 + abs(reach[0])), -0.85 - abs(reach[1]), side * reach[0] - 0.08)
        elbow = (side * 0.27, -1.13, 0.03)
        parts += [limb(trousers, (side * 0.09, hip, 0), knee, 0.19), limb(trousers, knee, foot, 0.14)]
        parts += [limb(shirt, (side * 0.19, shoulder, 0), elbow, 0.13), limb(skin, elbow, hand, 0.1)]
        parts.append(ball(skin, (foot[0], -0.04, foot[2] - 0.06), (0.1, 0.09, 0.26)))
    scale = rng.uniform(0.85, 1.08) if rng.random() < 0.85 else rng.uniform(0.5, 0.8)
    return place(parts, 0, 0, 0, 0, scale)


def animal(rng: Random) -> Thing:
    """Something on four legs, from the size of a cat to that of a cow."""
    look, scale, leg = paint(rng, 0.4), log_uniform(rng, 0.25, 1.4), rng.uniform(0.3, 0.7)
    parts = [ball(look, (0, -leg - 0.18, 0), (1.1, 0.45, 0.4))]
    for x in (-0.38, 0.38):
        parts += [limb(look, (x, -leg - 0.15, z), (x + rng.normal(0, 0.1), 0, z), 0.11) for z in (-0.12, 0.12)]
    parts.append(limb(look, (0.4, -leg - 0.2, 0), (0.65, -leg - 0.5, 0), 0.2))
    parts.append(ball(look, (0.75, -leg - 0.52, 0), (0.36, 0.22, 0.22)))
    parts += [ball(look, (0.65, -leg - 0.66, z), (0.06, 0.14, 0.05)) for z in (-0.07, 0.07)]
    parts.append(limb(look, (-0.5, -leg - 0.25, 0), (-0.8, -leg - rng.uniform(0, 0.5), 0), 0.06))
    return place(parts, 0, 0, 0, 0, scale)


def car(rng: Random) -> Thing:
    """A car, van or lorry; its length is along z."""
    look, glass, tyre = replace(paint(rng, 3.0), gloss=0.6), paint(rng, 2.0), paint(rng, 1.0)
    glass, tyre = replace(glass, tint=glass.tint * 0.25, gloss=0.8), replace(tyre, tint=tyre.tint * 0.2)
    width, length, height = rng.uniform(1.6, 1.9), rng.uniform(3.6, 4.8), rng.uniform(1.4, 1.6)
    parts = [box(look, (0, -0.62, 0), (width, 0.6, length))]
    if rng.random() < 0.25:
        height = rng.uniform(1.9, 3.2)
        parts.append(box(look, (0, -height / 2 - 0.3, 0.3), (width, height - 0.5, length * 0.85)))
    else:
        parts.append(box(glass, (0, -0.98, 0.1), (width * 0.86, (height - 0.9) * 2, length * 0.5)))
        parts.append(box(look, (0, -height, 0.1), (width * 0.8, 0.06, length * 0.42)))
        slanted = (width * 0.82, 0.55, 0.5)
        ends = [(0.1 + end * length * 0.26, end * 0.6) for end in (-1, 1)]
        parts += [box(glass, (0, -1.1, z), slanted, turn(0, tilt)) for z, tilt in ends]
    outer, inner = width * 0.5, width * 0.38
    wheels = [(side, z * length) for side in (-1, 1) for z in (-0.3, 0.3)]
    parts += [rod(tyre, (side * outer, -0.32, z), (side * inner, -0.32, z), 0.64) for side, z in wheels]
    return parts


def tree(rng: Random) -> Thing:
    """A tree: a trunk, some branches and a crown of many lobes, or a conifer, or bare."""
    bark, leaves, height = paint(rng, 0.5), paint(rng, 1.0), rng.uniform(2, 12)
    trunk = height * rng.uniform(0.03, 0.06)
    parts = [rod(bark, (0, 0, 0), (rng.normal(0, 0.03) * height, -0.75 * height, 0), trunk)]
    kind = rng.random()
    if kind < 0.25:
        for level in np.linspace(0.25, 1, 7):
            spread_at = height * 0.36 * (1.15 - level)
            parts.append(ball(leaves, (0, -level * height, 0), (spread_at, height * 0.16, spread_at)))
        return parts
    tips = []
    for _ in range(rng.integers(4, 12)):
        start = -rng.uniform(0.35, 0.75) * height
        tip = (rng.normal(0, 0.2) * height, -rng.uniform(0.6, 1) * height, rng.normal(0, 0.2) * height)
        parts.append(rod(bark, (0, start, 0), tip, trunk * 0.35))
        tips.append(tip)
    if kind < 0.85:
        for tip in tips:
            size = height * rng.uniform(0.15, 0.45) * np.array([1, 0.75, 1])
            parts.append(ball(leaves, tip, tuple(size), turn(0, rng.normal(0, 0.3))))
    return parts


def bush(rng: Random) -> Thing:
    """A low heap of leaves."""
    look, size = paint(rng, 0.5), rng.uniform(0.3, 1.8)
    parts = []
    for _ in range(rng.integers(2, 7)):
        x, z = rng.normal(0, 0.4, 2) * size
        lobe = size * rng.uniform(0.5, 1.1)
        parts.append(ball(look, (x, -lobe * 0.3, z), (lobe, lobe * rng.uniform(0.6, 1.1), lobe)))
    return parts


def rock(rng: Random) -> Thing:
    """Stones, half in the ground."""
    look, size = paint(rng, 0.6), log_uniform(rng, 0.15, 2)
    parts = []
    for _ in range(rng.integers(1, 5)):
        x, z = rng.normal(0, 0.5, 2) * size
        half = size * rng.uniform(0.4, 1.2, 3)
        tilt = turn(rng.uniform(0, 6.3), rng.normal(0, 0.5))
        parts.append(solid(int(rng.integers(2)), look, (x, -half[1] * 0.25, z), tuple(half), tilt))
    return parts


def building(rng: Random) -> Thing:
    """A house with a roof, a door and windows, its front at z = 0."""
    width, depth, height = rng.uniform(5, 16), rng.uniform(5, 14), rng.uniform(3, 16)
    wall, roof, glass = paint(rng, 3.0), paint(rng, 2.0), paint(rng, 2.0)
    glass = replace(glass, tint=glass.tint * 0.4, gloss=0.5)
    parts = [box(wall, (0, -height / 2, depth / 2), (width, height, depth))]
    if rng.random() < 0.5:
        slope, run = rng.uniform(0.4, 0.8), depth * 0.62
        for side in (-1, 1):
            z = depth / 2 + side * run / 2 * np.cos(slope) * 0.9
            parts.append(
                box(roof, (0, -height - run / 2 * np.sin(slope), z), (width * 1.06, 0.15, run), turn(0, -side * slope))
            )
    columns, rows = int(rng.integers(2, 6)), max(1, int(height / 3))
    inset, size = rng.uniform(-0.08, 0.12), rng.uniform(0.35, 0.75, 2)
    for column in range(columns):
        for row in range(min(rows, 5)):
            x, y = ((column + 0.5) / columns - 0.5) * width, -(row + 0.5) * height / rows
            parts.append(box(glass, (x, y, -inset), (width / columns * size[0], height / rows * size[1], 0.1)))
    return parts


def pole(rng: Random) -> Thing:
    """A street lamp, sign or mast."""
    height, look = rng.uniform(2, 8), paint(rng)
    parts = [rod(look, (0, 0, 0), (0, -height, 0), rng.uniform(0.05, 0.2))]
    if rng.random() < 0.5:
        arm = rng.uniform(-1.5, 1.5)
        parts += [
            rod(look, (0, -height, 0), (arm, -height - 0.2, 0), 0.07),
            ball(look, (arm, -height - 0.2, 0), (0.5, 0.15, 0.25)),
        ]
    else:
        parts.append(box(paint(rng, 0.5), (0, -height * 0.9, -0.06), (*rng.uniform(0.4, 1, 2), 0.03)))
    return parts


def fence(rng: Random) -> Thing:
    """A fence or railing of thin posts, a hedge or a low wall, along x."""
    length, height, look = rng.uniform(2, 8), rng.uniform(0.6, 1.6), paint(rng, 1.0)
    if rng.random() < 0.3:
        return [box(look, (0, -height / 2, 0), (length, height, rng.uniform(0.1, 0.7)))]
    thick = rng.uniform(0.02, 0.1)
    parts = [
        rod(look, (x, 0, 0), (x, -height, 0), thick) for x in np.linspace(-0.5, 0.5, int(rng.integers(5, 24))) * length
    ]
    parts += [box(look, (0, -height * level, 0), (length, 0.05, 0.04)) for level in (0.3, 0.95)]
    return parts


def stairs(rng: Random) -> Thing:
    """Steps that rise away from the front."""
    width, rise, run = rng.uniform(0.8, 3), rng.uniform(0.14, 0.2), rng.uniform(0.25, 0.4)
    look = paint(rng)
    steps = range(int(rng.integers(3, 13)))
    return [box(look, (0, -(i + 1) * rise / 2, i * run), (width, (i + 1) * rise, run)) for i in steps]


def flower(rng: Random) -> Thing:
    """Flowers on stems with leaves, about 0.4 m tall."""
    parts: Thing = []
    stem, petal, heart = paint(rng), paint(rng), paint(rng, 0.1)
    for _ in range(rng.integers(1, 5)):
        x, z = rng.normal(0, 0.12, 2)
        top, size = -rng.uniform(0.2, 0.5), rng.uniform(0.03, 0.1)
        parts.append(rod(stem, (x * 0.3, 0, z * 0.3), (x, top, z), 0.008))
        parts.append(ball(heart, (x, top, z), (size * 0.7, size * 0.7, size * 0.5)))
        for angle in np.arange(0, 6.28, 6.28 / rng.integers(5, 10)):
            tip = (x + size * np.cos(angle), top + size * np.sin(angle) * 0.8, z + 0.3 * size * np.sin(angle))
            parts.append(limb(petal, (x, top, z), tip, size * 0.45))
    for _ in range(rng.integers(0, 6)):
        tip = (rng.normal(0, 0.15), -rng.uniform(0.05, 0.3), rng.normal(0, 0.15))
        parts.append(limb(stem, (0, 0, 0), tip, 0.03))
    return parts


def _bottle(rng: Random) -> Thing:
    height, wide, look = rng.uniform(0.15, 0.35), rng.uniform(0.05, 0.1), paint(rng, 0.15)
    body = [rod(look, (0, 0, 0), (0, -height * 0.65, 0), wide), ball(look, (0, -height * 0.65, 0), (wide, wide, wide))]
    return [*body, rod(look, (0, -height * 0.6, 0), (0, -height, 0), wide * 0.35)]


def _cup(rng: Random) -> Thing:
    height, wide = rng.uniform(0.06, 0.16), rng.uniform(0.06, 0.14)
    return [rod(paint(rng, 0.2), (0, 0, 0), (0, -height, 0), wide)]


def _book(rng: Random) -> Thing:
    parts, y = [], 0.0
    for _ in range(rng.integers(1, 5)):
        thick = rng.uniform(0.01, 0.06)
        size = (rng.uniform(0.13, 0.25), thick, rng.uniform(0.18, 0.32))
        parts.append(box(paint(rng, 0.25), (0, y - thick / 2, 0), size, turn(rng.uniform(-0.4, 0.4))))
        y -= thick
    return parts


def _carton(rng: Random) -> Thing:
    size = np.exp(rng.uniform(np.log(0.04), np.log(0.35), 3))
    return [box(paint(rng, 0.25), (0, -size[1] / 2, 0), tuple(size))]


def _ball(rng: Random) -> Thing:
    size = log_uniform(rng, 0.04, 0.3)
    return [ball(paint(rng, 0.2), (0, -size / 2, 0), (size, size * rng.uniform(0.6, 1), size))]


def _screen(rng: Random) -> Thing:
    width = rng.uniform(0.3, 0.7)
    panel = box(paint(rng, 0.6), (0, -0.1 - width * 0.3, 0), (width, width * 0.6, 0.03), turn(0, -rng.uniform(0, 0.3)))
    return [
        panel,
        rod(paint(rng), (0, 0, 0.02), (0, -0.15, 0.02), 0.04),
        box(paint(rng), (0, -0.01, 0.02), (0.25, 0.02, 0.18)),
    ]


def _desk_lamp(rng: Random) -> Thing:
    look, elbow = paint(rng), (rng.uniform(-0.15, 0.15), -0.3, 0.1)
    head = (rng.uniform(-0.3, 0.3), -0.45, -0.1)
    return [
        rod(look, (0, 0, 0), (0, -0.03, 0), 0.16),
        *(rod(look, (0, 0, 0), elbow, 0.015), rod(look, elbow, head, 0.015)),
        ball(look, head, (0.14, 0.12, 0.14)),
    ]


SMALL: tuple[Callable[[Random], Thing], ...] = (
    *(_bottle, _cup, _cup, _book, _book, _carton, _carton, _carton, _ball, _ball, _screen, _desk_lamp, flower),
)
FURNITURE: tuple[Callable[[Random], Thing], ...] = (
    *(table, table, chair, chair, chair, sofa, bed, shelf, shelf, cabinet, cabinet, lamp, plant),
)
OUTDOORS: tuple[Callable[[Random], Thing], ...] = (
    *(tree, tree, tree, bush, bush, rock, person, person, animal, pole, fence, fence, building, car, stairs),
)
EVERYTHING = (*FURNITURE, *OUTDOORS)


def spread(rng: Random, count: int, width: float, depth: float, y: float) -> Thing:
    """Small things anywhere on a level (width, depth) surface at height y, kept small beside it."""
    parts: Thing = []
    for _ in range(count):
        x, z = rng.uniform(-0.42, 0.42, 2) * (width, depth)
        thing = SMALL[int(rng.integers(len(SMALL)))](rng)
        parts += place(thing, x, y, z, rng.uniform(-0.6, 0.6), rng.uniform(0.6, 1.1))
    return parts
