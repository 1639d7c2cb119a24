"""People, animals and birds in many poses, built from joints; lengths and axes are those of `training.things`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.things import ELLIPSOID, Floats, Random, Thing, ball, box, limb, log_uniform, paint, place, rod, turn


@dataclass(frozen=True)
class _Pose:
    """Ranges of a body's angles, in radians: 0 hangs straight down, pi / 2 points forwards."""

    lean: tuple[float, float]
    thigh: tuple[float, float]
    knee: tuple[float, float]
    """How far the knee bends backwards."""
    arm: tuple[float, float]
    lies: bool = False


_POSES = (
    _Pose((-0.05, 0.15), (-0.1, 0.2), (0, 0.2), (-0.3, 0.5)),  # stands
    _Pose((0, 0.3), (-0.6, 0.8), (0.1, 1.0), (-0.9, 0.9)),  # walks or runs
    _Pose((-0.2, 0.4), (1.3, 1.6), (1.1, 1.7), (0.2, 1.3)),  # sits
    _Pose((0.2, 0.9), (1.5, 2.2), (1.9, 2.5), (0.4, 1.5)),  # crouches
    _Pose((-0.2, 0.2), (-0.2, 0.3), (0, 0.3), (1.4, 3.0)),  # raises its arms
    _Pose((0.5, 1.3), (-0.2, 0.4), (0, 0.4), (0.2, 1.8)),  # bends down
    _Pose((-0.1, 0.2), (-0.1, 1.2), (0, 1.8), (-0.4, 2.6), lies=True),
)
_SITTING = _POSES[2]


def turned(thing: Thing, rotation: Floats) -> Thing:
    """The thing turned about the origin by a rotation, (3, 3)."""
    return [replace(part, centre=rotation @ part.centre, rotation=rotation @ part.rotation) for part in thing]


def lowest(thing: Thing) -> float:
    """The height, y, of the thing's lowest point."""
    return max(float(part.centre[1] + np.linalg.norm(part.rotation[1] * part.half)) for part in thing)


def standing(thing: Thing) -> Thing:
    """The thing moved so that its lowest point is at y = 0."""
    return place(thing, 0, -lowest(thing), 0)


def _swing(start: Floats, length: float, angle: float, aside: float) -> Floats:
    """The end of a segment that hangs from `start`, swung forwards and aside by angles."""
    direction = [np.sin(aside), np.cos(angle) * np.cos(aside), -np.sin(angle) * np.cos(aside)]
    return start + length * np.array(direction)


def _posed(rng: Random, pose: _Pose) -> Thing:
    """A person in a pose, hips at the origin."""
    shirt, trousers, skin = paint(rng, 0.6), paint(rng, 0.6), paint(rng, 2.0, 0.8)
    stout = rng.uniform(0.85, 1.25)
    lean = rng.uniform(*pose.lean)
    hips, up = np.zeros(3), np.array([0, -np.cos(lean), -np.sin(lean)])
    neck = hips + 0.52 * up
    head = neck + 0.2 * up + np.array([0, 0, -rng.uniform(0, 0.06)])
    parts = [rod(shirt, hips - 0.03 * up, neck, 0.34 * stout, ELLIPSOID), limb(shirt, hips, neck + 0.1 * up, 0.27)]
    parts += [ball(trousers, hips, (0.36 * stout, 0.26, 0.27 * stout)), rod(skin, neck, head, 0.1)]
    parts.append(ball(skin, head, (0.17, 0.24, 0.2)))
    hair = ball(paint(rng, 0.3), head + 0.05 * up + np.array([0, 0, 0.03]), (0.185, 0.19, 0.19))
    parts += [hair] if rng.random() < 0.8 else []
    parts.append(limb(shirt, neck + np.array([-0.2, 0.04, 0]), neck + np.array([0.2, 0.04, 0]), 0.16))
    for side in (-1, 1):
        thigh, knee, arm = (rng.uniform(*angles) for angles in (pose.thigh, pose.knee, pose.arm))
        hip = hips + np.array([side * 0.1, 0.02, 0])
        middle = _swing(hip, 0.44, thigh, side * rng.uniform(0, 0.2))
        foot = _swing(middle, 0.43, thigh - knee, side * 0.02)
        parts += [limb(trousers, hip, middle, 0.19 * stout), limb(trousers, middle, foot, 0.13 * stout)]
        parts.append(limb(skin, foot, foot + np.array([0, 0.02, -0.2]), 0.1))
        shoulder = neck + np.array([side * 0.19, 0.05, 0])
        elbow = _swing(shoulder, 0.3, arm + lean, side * rng.uniform(0.05, 0.6))
        hand = _swing(elbow, 0.3, arm + lean + rng.uniform(0, 1.2), -side * rng.uniform(-0.3, 0.3))
        parts += [limb(shirt, shoulder, elbow, 0.12 * stout), limb(skin, elbow, hand, 0.085)]
    return turned(parts, turn(0, np.pi / 2 * float(rng.choice([-1, 1])))) if pose.lies else parts


def figure(rng: Random) -> Thing:
    """A person of any age who stands, walks, sits on a box, crouches, reaches, bends or lies."""
    pose = _POSES[int(rng.integers(len(_POSES)))]
    parts = _posed(rng, pose)
    if pose is _SITTING:
        parts.append(box(paint(rng), (0, 0.3, 0.08), (0.45, 0.4, 0.4)))
    scale = rng.uniform(0.9, 1.1) if rng.random() < 0.8 else rng.uniform(0.5, 0.8)
    return place(standing(parts), 0, 0, 0, 0, scale)


def sitter(rng: Random) -> Thing:
    """A person who sits, without a seat; the hips are at the origin."""
    return _posed(rng, _SITTING)


def beast(rng: Random) -> Thing:
    """An animal on four legs that stands, sits or lies, from the size of a cat to that of a horse; it faces +x."""
    look, other = paint(rng, 0.4), paint(rng, 0.4)
    leg, stout, thick = rng.uniform(0.25, 0.75), rng.uniform(0.28, 0.5), rng.uniform(0.06, 0.12)
    pitch, folded = (rng.uniform(0.4, 0.9), 0.5) if rng.random() < 0.3 else (rng.normal(0, 0.08), 1.0)
    folded = 0.2 if rng.random() < 0.2 else folded
    along = np.array([np.cos(pitch), -np.sin(pitch), 0])
    rump, chest = -0.45 * along, 0.45 * along
    parts = [
        rod(look, rump - 0.1 * along, chest + 0.1 * along, stout, ELLIPSOID),
        ball(look, chest, [stout * 0.95] * 3),
    ]
    parts.append(ball(look, rump, [stout * 0.9] * 3))
    for hip, length in ((rump, leg * folded), (chest, leg * max(folded, 0.3) + np.sin(max(pitch, 0)) * 0.8)):
        for side in (-1, 1):
            top = hip + np.array([0, stout * 0.2, side * stout * 0.3])
            knee = top + np.array([rng.normal(0, 0.12), (length + stout * 0.2) / 2, 0])
            foot = np.array([top[0] + rng.normal(0, 0.15), hip[1] + length + stout * 0.4, top[2]])
            parts += [limb(look, top, knee, thick * 1.7), rod(look, knee, foot, thick)]
            parts.append(ball(other, foot + np.array([0.04, 0, 0]), (thick * 1.8, thick, thick * 1.3)))
    raised, reach = rng.uniform(-0.3, 1.3), rng.uniform(0.15, 0.6)
    head = chest + np.array([0.15 + reach * np.cos(raised), -reach * np.sin(raised) - stout * 0.3, 0])
    parts += [limb(look, chest, head, stout * 0.55), rod(look, chest, head, stout * 0.3)]
    skull, snout = rng.uniform(0.2, 0.32), rng.uniform(0.1, 0.35)
    parts += [ball(look, head, (skull, skull * 0.9, skull * 0.85))]
    parts.append(limb(other, head, head + np.array([snout, rng.uniform(0, 0.15), 0]), skull * 0.55))
    ear = rng.uniform(0.06, 0.2)
    parts += [ball(look, head + np.array([-0.05, -skull * 0.5, side * 0.08]), (0.06, ear, 0.05)) for side in (-1, 1)]
    tail = rump + np.array([-rng.uniform(0.2, 0.6), rng.uniform(-0.5, 0.4), rng.normal(0, 0.2)])
    parts.append(limb(look, rump - 0.15 * along, tail, rng.uniform(0.04, 0.15)))
    scale = log_uniform(rng, 0.25, 1.5)
    return place(standing(parts), 0, 0, 0, 0, scale)


def bird(rng: Random) -> Thing:
    """A bird on thin legs, from a sparrow to a heron; it faces +x."""
    look, other = paint(rng, 0.1), paint(rng, 0.1)
    leg, neck, pitch = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.6), rng.uniform(-0.2, 1.0)
    along = np.array([np.cos(pitch), -np.sin(pitch), 0])
    head = 0.3 * along + np.array([0.05, -neck, 0])
    parts = [rod(look, -0.35 * along, 0.38 * along, 0.36, ELLIPSOID), limb(look, 0.2 * along, head, 0.17)]
    parts += [
        ball(other, head, (0.2, 0.18, 0.17)),
        limb(paint(rng), head, head + np.array([rng.uniform(0.15, 0.4), 0.02, 0]), 0.05),
    ]
    parts.append(box(other, -0.55 * along, (0.4, 0.03, 0.16), turn(0, -pitch, 2)))
    parts += [ball(other, (-0.05, -0.02, side * 0.15), (0.55, 0.26, 0.08), turn(0, -pitch, 2)) for side in (-1, 1)]
    for side in (-0.07, 0.07):
        parts.append(rod(paint(rng), (0, 0.12, side), (rng.normal(0, 0.05), 0.15 + leg, side), 0.025))
    scale = log_uniform(rng, 0.15, 1)
    return place(standing(parts), 0, 0, 0, 0, scale)


def crab(rng: Random) -> Thing:
    """Something flat on many legs, up to 0.3 m wide."""
    look, other = paint(rng, 0.1), paint(rng, 0.1)
    parts = [ball(look, (0, -0.09, 0), (0.22, 0.09, 0.17))]
    for side in (-1, 1):
        for z in np.linspace(-0.08, 0.1, 4):
            knee = (side * rng.uniform(0.14, 0.2), -rng.uniform(0.1, 0.16), z * 1.5)
            parts += [limb(look, (side * 0.08, -0.09, z), knee, 0.035)]
            parts.append(limb(look, knee, (side * rng.uniform(0.2, 0.28), 0, z * 2), 0.022))
        claw = np.array([side * rng.uniform(0.1, 0.17), -rng.uniform(0.06, 0.14), -0.17])
        parts += [
            limb(look, (side * 0.09, -0.09, -0.06), claw, 0.04),
            limb(other, claw, claw + np.array([-side * 0.07, 0, -0.04]), 0.06),
        ]
    return place(parts, 0, 0, 0, 0, rng.uniform(0.4, 1.2))
