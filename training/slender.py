"""Thin things and things with gaps: trunks, lattices, chairs, bicycles, boats, pieces of board games.

Lengths and axes are those of `training.things`.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from training.figures import sitter
from training.things import BOX, CYLINDER, Paint, Random, Thing, ball, box, limb, log_uniform, paint, place, rod, turn


def ring(look: Paint, radius: float, thickness: float, arc: float = 2 * np.pi, segments: int = 14) -> Thing:
    """A ring of rods around the origin in the plane z = 0, or the top `arc` radians of one."""
    angles = np.linspace(-arc / 2, arc / 2, segments + 1)
    corners = [(radius * np.sin(angle), -radius * np.cos(angle), 0.0) for angle in angles]
    return [rod(look, first, last, thickness) for first, last in itertools.pairwise(corners)]


def trunk(rng: Random) -> Thing:
    """A tall bare trunk with a few dead branches; its crown is far above."""
    bark, height = paint(rng, 0.5, 0.15), rng.uniform(6, 20)
    thick = log_uniform(rng, 0.06, 0.6)
    lean = rng.normal(0, 0.04, 2) * height
    top = np.array([lean[0], -height, lean[1]])
    parts = [rod(bark, (0, 0, 0), top, thick)]
    if thick > 0.25:
        parts.append(ball(bark, (0, 0, 0), (thick * 1.7, thick * 1.5, thick * 1.7)))
    for level in rng.uniform(0.08, 0.9, int(rng.integers(0, 7))):
        start = top * level
        tip = start + np.array([rng.normal(0, 1), rng.normal(-0.2, 0.5), rng.normal(0, 1)]) * rng.uniform(0.3, 1.5)
        parts.append(rod(bark, start, tip, thick * rng.uniform(0.08, 0.3)))
    return parts


def lattice(rng: Random) -> Thing:
    """A trellis, grille, gate, ladder or frame of a window: crossing bars with gaps, along x."""
    width, height, look = rng.uniform(0.4, 3), rng.uniform(0.6, 2.2), paint(rng, 1.0)
    thick, depth = rng.uniform(0.01, 0.06), rng.uniform(0.01, 0.05)
    columns, rows = int(rng.integers(2, 12)), int(rng.integers(2, 9))
    parts = [box(look, (x, -height / 2, 0), (thick, height, depth)) for x in np.linspace(-0.5, 0.5, columns) * width]
    parts += [box(look, (0, -y * height, 0), (width, thick, depth)) for y in np.linspace(0.03, 1, rows)]
    if rng.random() < 0.3:
        slope = turn(0, float(rng.choice([-1, 1])) * np.arctan2(height, width), 2)
        parts.append(box(look, (0, -height / 2, 0), (float(np.hypot(width, height)), thick, depth), slope))
    return parts


def seat(rng: Random) -> Thing:
    """A chair, stool, armchair of bars or bench whose back and legs have gaps."""
    look, other = paint(rng), paint(rng)
    level, width, depth = rng.uniform(0.38, 0.75), rng.uniform(0.38, 0.6), rng.uniform(0.38, 0.5)
    width = rng.uniform(1, 1.9) if rng.random() < 0.2 else width
    thick = rng.uniform(0.015, 0.045)
    slats = np.linspace(-0.45, 0.45, int(rng.integers(3, 7))) * depth
    if rng.random() < 0.35:
        parts = [box(other, (0, -level, z), (width, 0.02, depth / len(slats) * 0.6)) for z in slats]
    else:
        parts = [box(other, (0, -level, 0), (width, rng.uniform(0.015, 0.08), depth))]
    splay = rng.uniform(0.4, 0.55)
    for x in (-0.45, 0.45):
        for z in (-0.45, 0.45):
            parts.append(
                rod(look, (x * splay * 2 * width, 0, z * splay * 2 * depth), (x * width, -level, z * depth), thick)
            )
        if rng.random() < 0.4:
            parts.append(rod(look, (x * width, -0.15, -0.45 * depth), (x * width, -0.15, 0.45 * depth), thick * 0.7))
    parts += _back(rng, look, width, level, depth, thick) if rng.random() < 0.85 else []
    if rng.random() < 0.35:
        for x in (-0.48 * width, 0.48 * width):
            parts.append(box(look, (x, -level - 0.22, 0), (0.04, 0.03, depth)))
            parts.append(rod(look, (x, -level, -depth * 0.4), (x, -level - 0.22, -depth * 0.45), thick))
    return parts


def _back(rng: Random, look: Paint, width: float, level: float, depth: float, thick: float) -> Thing:
    """The back of a chair: a frame with upright or level slats, a cross, or a hoop with spindles."""
    tall, kind = rng.uniform(0.3, 0.6), int(rng.integers(4))
    if kind == 3:
        hoop = place(ring(look, width / 2, thick, np.pi, 9), 0, -level - tall + width / 2, 0)
        parts = hoop
        parts += [
            rod(look, (x * width, -level, 0), (x * width, -level - tall + width / 2, 0), thick) for x in (-0.5, 0.5)
        ]
        parts += [
            rod(look, (x * width, -level, 0), (x * width, -level - tall * 0.9, 0), thick * 0.7) for x in (-0.2, 0, 0.2)
        ]
    else:
        parts = [rod(look, (x * width, -level, 0), (x * width, -level - tall, 0), thick * 1.3) for x in (-0.48, 0.48)]
        parts.append(box(look, (0, -level - tall, 0), (width, rng.uniform(0.03, 0.12), thick)))
    if kind == 0:
        across = np.linspace(-0.36, 0.36, int(rng.integers(2, 7))) * width
        parts += [box(look, (x, -level - tall / 2, 0), (rng.uniform(0.015, 0.05), tall, 0.015)) for x in across]
    elif kind == 1:
        heights = np.linspace(0.3, 0.8, int(rng.integers(1, 4))) * tall
        parts += [box(look, (0, -level - y, 0), (width, rng.uniform(0.03, 0.07), 0.02)) for y in heights]
    elif kind == 2:
        ends = (-level, -level - tall)
        parts += [rod(look, (-x * width, ends[0], 0), (x * width, ends[1], 0), thick) for x in (-0.45, 0.45)]
    return place(parts, 0, 0, depth * 0.45)


def trestle(rng: Random) -> Thing:
    """A table with thin legs and an open space beneath, round or square."""
    width, depth, height = rng.uniform(0.5, 1.8), rng.uniform(0.5, 1), rng.uniform(0.45, 1.0)
    top, leg, thick = paint(rng, 0.8), paint(rng), rng.uniform(0.02, 0.06)
    if rng.random() < 0.4:
        parts = [rod(top, (0, -height, 0), (0, -height + 0.03, 0), width), rod(leg, (0, 0, 0), (0, -height, 0), 0.07)]
        return [*parts, rod(leg, (0, 0, 0), (0, -0.03, 0), width * 0.5)]
    feet = [(x * width, z * depth) for x in (-0.46, 0.46) for z in (-0.44, 0.44)]
    parts = [box(top, (0, -height, 0), (width, 0.03, depth))]
    return parts + [rod(leg, (x * 1.05, 0, z * 1.05), (x, -height, z), thick) for x, z in feet]


def bicycle(rng: Random) -> Thing:
    """A bicycle; it faces +x."""
    look, tyre = replace(paint(rng, 0.5), gloss=0.4), paint(rng)
    tyre = replace(tyre, tint=tyre.tint * 0.3)
    parts: Thing = []
    for x in (-0.52, 0.52):
        parts += place(ring(tyre, 0.33, 0.035), x, -0.34, 0)
        for angle in np.linspace(0, np.pi, 5)[:-1]:
            reach = 0.32 * np.array([np.cos(angle), np.sin(angle), 0])
            centre = np.array([x, -0.34, 0])
            parts.append(rod(tyre, centre - reach, centre + reach, 0.006))
    crank, saddle, head = (-0.05, -0.3, 0), (-0.22, -0.9, 0), (0.38, -0.88, 0)
    ends = [((-0.52, -0.34, 0), crank), (crank, saddle), (crank, head), ((-0.2, -0.78, 0), head)]
    parts += [
        rod(look, a, b, 0.035) for a, b in [*ends, ((-0.52, -0.34, 0), (-0.2, -0.78, 0)), (head, (0.52, -0.34, 0))]
    ]
    parts += [ball(tyre, saddle, (0.26, 0.07, 0.14)), rod(tyre, (0.36, -1, -0.28), (0.36, -1, 0.28), 0.03)]
    return [*parts, rod(look, head, (0.36, -1, 0), 0.03)]


def piece(rng: Random, look: Paint) -> Thing:
    """A piece of a board game, 0.04 to 0.1 m tall: turned discs and balls on a foot, with one of many heads."""
    foot, tall = rng.uniform(0.025, 0.04), rng.uniform(0.04, 0.1)
    waist = foot * rng.uniform(0.35, 0.6)
    parts = [rod(look, (0, 0, 0), (0, -0.008, 0), foot), ball(look, (0, -0.01, 0), (foot * 0.85, 0.02, foot * 0.85))]
    parts.append(rod(look, (0, 0, 0), (0, -tall * 0.75, 0), waist))
    parts += [rod(look, (0, -tall * y, 0), (0, -tall * y - 0.003, 0), waist * rng.uniform(1.4, 2)) for y in (0.6, 0.72)]
    head, kind = -tall * 0.8, int(rng.integers(5))
    if kind == 0:
        parts.append(ball(look, (0, head, 0), (foot * 0.75,) * 3))
    elif kind == 1:
        parts.append(rod(look, (0, head + 0.008, 0), (0, -tall, 0), foot * 0.75, int(rng.choice([BOX, CYLINDER]))))
    elif kind == 2:
        parts += [
            ball(look, (0, head, 0), (foot * 0.6, tall * 0.3, foot * 0.6)),
            ball(look, (0, -tall, 0), (0.008,) * 3),
        ]
    elif kind == 3:
        parts.append(ball(look, (0, head, 0), (foot * 0.7, tall * 0.22, foot * 0.7)))
        parts += [box(look, (0, -tall, 0), (0.016, 0.005, 0.005)), box(look, (0, -tall, 0), (0.005, 0.02, 0.005))]
    else:
        parts += [limb(look, (-0.006, head + 0.015, 0), (0.002, -tall, 0), foot * 0.6)]
        parts.append(limb(look, (0, -tall * 0.95, 0), (0.02, -tall * 0.8, 0), foot * 0.4))
    return parts


def boat(rng: Random) -> Thing:
    """A boat in the water, whose level is y = 0: open, with a cabin, or with masts and perhaps a sail; along x."""
    length = log_uniform(rng, 2.5, 14)
    wide, rise = length * rng.uniform(0.2, 0.33), length * rng.uniform(0.06, 0.12)
    hull, deck, mast = replace(paint(rng, 2.0, 0.7), gloss=0.3), paint(rng), paint(rng)
    parts = [ball(hull, (0, -rise * 0.2, 0), (length, rise * 2.2, wide))]
    parts.append(box(deck, (0, -rise * 0.9, 0), (length * 0.7, rise * 0.5, wide * 0.62)))
    kind = rng.random()
    if kind < 0.4:
        size = np.array([length * rng.uniform(0.2, 0.4), rise * rng.uniform(1.5, 3), wide * 0.5])
        parts.append(box(paint(rng, 1.0), (rng.normal(0, 0.1) * length, -rise - size[1] / 2, 0), tuple(size)))
    if kind > 0.25:
        for x in ((0.1,), (-0.2, 0.2))[int(rng.random() < 0.25)]:
            tall = length * rng.uniform(0.8, 1.4)
            foot, top = (x * length, -rise, 0), (x * length, -rise - tall, 0)
            parts.append(rod(mast, foot, top, 0.05 + 0.008 * length))
            parts += [rod(mast, top, (end * length, -rise, 0), 0.015) for end in (-0.48, 0.48)]
            parts.append(rod(mast, (x * length, -rise * 2, 0), ((x - 0.35) * length, -rise * 2, 0), 0.08))
            if rng.random() < 0.4:
                sail = box(paint(rng, 3.0, 0.7), (0, 0, 0), (length * 0.3, tall * 0.8, 0.03), turn(rng.normal(0, 0.4)))
                parts += place([sail], (x - 0.17) * length, -rise * 2 - tall * 0.42, 0)
    return parts


def kayak(rng: Random) -> Thing:
    """A kayak or canoe with one or two people and their paddles, in the water; along x."""
    look, wood, length = replace(paint(rng, 1.0, 0.7), gloss=0.5), paint(rng), rng.uniform(3, 5)
    parts = [ball(look, (0, -0.05, 0), (length, 0.5, 0.65))]
    for x in ((0.0,), (-0.6, 0.6))[int(rng.random() < 0.3)]:
        parts += place(sitter(rng), x, -0.3, 0, np.pi / 2)
        dip = rng.uniform(-0.7, 0.7)
        ends = [np.array([x - 0.45, -0.75 + side * dip, side * 0.95]) for side in (-1, 1)]
        parts.append(rod(wood, ends[0], ends[1], 0.035))
        parts += [ball(wood, end, (0.18, 0.42, 0.06)) for end in ends]
    return parts
