"""Things set into photos, in front of what a teacher saw there: real surroundings, and an exact silhouette.

A teacher's labels lack thin things, and rendered scenes lack the look of photos. A sprite stands where its foot is: its
inverse depth there is the label's, and so it is in the right order with everything else in the photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.data import Floats, Image, Mask
from training.sprites import KINDS, Kind, Sprite, read_sprite
from training.things import Random

_KINDS_AT_ONCE = 2
"""Most kinds of things in one picture."""
_TRIES = 8
"""Places that are tried for one thing."""
_LEAST_PIXELS = 30
_LEAST_STEP = 0.08
"""Least mean distance between a thing and what it hides, as a fraction of the label's range."""
_SLACK = 0.04
"""How far a soft label may be in front of a thing that hides it all the same, as a fraction of its range."""
_LEAST_SEEN = 0.75
"""Least fraction of a thing that nothing may hide."""


@dataclass
class _Picture:
    """A photo that things are set into, all arrays of its size."""

    image: Floats
    """(H, W, 3) RGB in [0, 255]."""
    inverse_depth: Floats
    """(H, W), relative."""
    inserted: Mask
    """(H, W), where a thing is that the label did not have."""


@dataclass(frozen=True)
class _Pose:
    """A sprite of some size at its place in a picture: rows and columns of its upper left corner may be outside."""

    top: int
    left: int
    colour: Floats
    cover: Floats
    relief: Floats

    def window(self, height: int, width: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """What is inside of a picture of this size, as slices of the picture and of the sprite."""
        mine, own = [], []
        for start, length, limit in zip((self.top, self.left), self.cover.shape, (height, width), strict=True):
            first, last = max(start, 0), min(start + length, limit)
            mine.append(slice(first, max(first, last)))
            own.append(slice(first - start, max(first, last) - start))
        return (mine[0], mine[1]), (own[0], own[1])


class Inserter:
    """Sprites of a folder, ready to be set into photos."""

    def __init__(self, sprites: Sequence[Path]) -> None:
        """`sprites` are files that `training.sprites` wrote. Raises ValueError if there are none."""
        self.by_kind: dict[str, list[Path]] = {}
        for path in sprites:
            self.by_kind.setdefault(path.name.split("_")[0], []).append(path)
        if not self.by_kind:
            raise ValueError("no sprites to insert")
        shares = np.array([KINDS[name].share for name in self.by_kind])
        self.probabilities = shares / shares.sum()

    def insert(self, rng: Random, image: Image, inverse_depth: Floats) -> tuple[Image, Floats, Mask]:
        """The photo (H, W, 3) and its label, of any size, with a few things in it, and where they are.

        All have the photo's size; nothing is inserted if no place is found.
        """
        height, width = image.shape[:2]
        label = np.asarray(cv2.resize(inverse_depth, (width, height)), np.float32)
        picture = _Picture(image.astype(np.float32), label.copy(), np.zeros((height, width), np.bool_))
        ground = _Ground.of(label)
        for name in rng.choice(list(self.by_kind), int(rng.integers(1, _KINDS_AT_ONCE + 1)), p=self.probabilities):
            kind, files = KINDS[str(name)], self.by_kind[str(name)]
            tall = rng.uniform(*kind.height)
            feet = sorted(_foot(rng, kind) for _ in range(int(rng.integers(1, kind.most + 1))))
            alike = read_sprite(files[int(rng.integers(len(files)))])
            for foot in feet:  # from far to near
                sprite = alike if rng.random() < 0.3 else read_sprite(files[int(rng.integers(len(files)))])
                for _ in range(_TRIES):
                    if _stand(rng, picture, ground, sprite, kind, foot, tall):
                        break
        return np.clip(picture.image, 0, 255).round().astype(np.uint8), picture.inverse_depth, picture.inserted


@dataclass(frozen=True)
class _Ground:
    """A photo's label before anything was set into it."""

    label: Floats
    """(H, W)."""
    low: float
    """About infinitely far."""
    span: float

    @classmethod
    def of(cls, label: Floats) -> _Ground:
        low, high = np.percentile(label[::4, ::4], (2, 98))
        return cls(label, float(low), float(high - low))

    def nearness(self, row: int, column: int) -> float:
        """Inverse depth of what a foot stands on, mostly from 0 to 1; below the picture that of its lower edge."""
        height, width = self.label.shape
        row, column = min(row, height - 1), int(np.clip(column, 2, width - 3))
        around = self.label[max(row - 2, 0) : row + 3, column - 2 : column + 3]
        return (float(np.median(around)) - self.low) / max(self.span, 1e-6)


def _foot(rng: Random, kind: Kind) -> float:
    """Row of a thing's foot as a fraction of the picture's height; below the picture if more than 1."""
    return float(rng.uniform(0.8, 1.6) if kind.is_close else rng.uniform(0.4, 1.25))


def _stand(
    rng: Random, picture: _Picture, ground: _Ground, sprite: Sprite, kind: Kind, foot: float, tall: float
) -> bool:
    """Set a sprite into a picture at a random column if it stands out there from what the label shows."""
    height, width = ground.label.shape
    row, column = int(foot * height), int(rng.uniform(-0.1, 1.1) * width)
    if kind.is_close:
        nearness, scale = float(rng.uniform(0.9, 1.6)), 1.0
    else:
        # What is twice as near is twice as large.
        nearness = ground.nearness(row, column) * (1 + float(rng.uniform(0.5, 1.5)) * max(foot - 1, 0))
        scale = nearness
    size = scale * tall * height * float(np.exp(rng.normal(0, 0.15)))
    if not height * 0.06 < size < height * 3.2:
        return False
    pose = _posed(rng, sprite, size, row, column)
    inside, own = pose.window(height, width)
    cover = pose.cover[own]
    depth = ground.low + ground.span * nearness * pose.relief[own]
    # Sharp against what was inserted before, with some slack against the soft label.
    slack = np.where(picture.inserted[inside], 0, _SLACK * ground.span)
    seen = cover * (depth > picture.inverse_depth[inside] - slack)
    solid = cover > 0.5
    if solid.sum() < _LEAST_PIXELS or seen.sum() < _LEAST_SEEN * cover.sum():
        return False
    if (depth - ground.label[inside])[solid].mean() <= _LEAST_STEP * ground.span:
        return False
    _draw(rng, picture, inside, pose.colour[own], seen, depth)
    return True


def _posed(rng: Random, sprite: Sprite, size: float, row: int, column: int) -> _Pose:
    """A sprite, sometimes mirrored, that is `size` pixels tall and whose foot is at a row and a column."""
    tall, wide = sprite.cover.shape
    height, width = max(3, round(size)), max(1, round(size * wide / tall))
    step = 1 if rng.random() < 0.5 else -1
    interpolation = cv2.INTER_AREA if height < tall else cv2.INTER_LINEAR

    def fitted(values: Floats) -> Floats:
        return np.asarray(cv2.resize(values, (width, height), interpolation=interpolation), np.float32)[:, ::step]

    cover = fitted(sprite.cover)
    divisor = np.maximum(cover, 1e-3)
    colour = fitted(sprite.image.astype(np.float32) * sprite.cover[..., None]) / divisor[..., None]
    relief = np.asarray(fitted(sprite.relief * sprite.cover) / divisor, np.float32)
    return _Pose(row - height, column - width // 2, np.asarray(colour, np.float32), cover, relief)


def _draw(
    rng: Random, picture: _Picture, inside: tuple[slice, slice], colour: Floats, seen: Floats, depth: Floats
) -> None:
    """Draw what is seen of a sprite over the picture, about as bright as the photo is there, with a soft shadow."""
    behind = picture.image[inside]
    brightness = float((colour * seen[..., None]).sum() / max(3 * seen.sum(), 1e-3))
    target = float(behind.mean() ** 0.5 * picture.image.mean() ** 0.5)
    gain = (max(target, 8) / max(brightness, 8)) ** rng.uniform(0.2, 1) * np.exp(rng.normal(0, 0.3))
    cast = picture.image.mean(axis=(0, 1)) / max(float(picture.image.mean()), 1.0)
    colour = colour * np.float32(gain) * cast ** np.float32(rng.uniform(0, 1))
    _cast_shadow(rng, picture.image, inside)
    share = seen[..., None]
    picture.image[inside] = behind * (1 - share) + np.clip(colour, 0, 255) * share
    solid = seen > 0.5
    picture.inverse_depth[inside][solid] = depth[solid]
    picture.inserted[inside][solid] = True


def _cast_shadow(rng: Random, image: Floats, inside: tuple[slice, slice]) -> None:
    """Darken the ground around the foot of what stands in a window of the picture."""
    rows, columns = inside
    wide = max(columns.stop - columns.start, 4) * rng.uniform(0.4, 0.8)
    flat, dark = wide * rng.uniform(0.15, 0.4), rng.uniform(0, 0.6)
    top, bottom = max(int(rows.stop - 2 * flat), 0), min(int(rows.stop + 2 * flat) + 1, image.shape[0])
    middle = (columns.start + columns.stop) / 2
    left, right = max(int(middle - 2 * wide), 0), min(int(middle + 2 * wide) + 1, image.shape[1])
    y = (np.arange(top, bottom, dtype=np.float32) - rows.stop)[:, None] / flat
    x = (np.arange(left, right, dtype=np.float32) - middle) / wide
    image[top:bottom, left:right] *= (1 - dark * np.exp(-(x * x) - y * y))[..., None].astype(np.float32)
