"""Textures of rendered surfaces: painted from a seed or cut from photos, as atlases with blurred levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from training.data import Image, read_image

Floats = npt.NDArray[np.float32]

SIDE = 128
"""Side of a texture, in pixels."""
PHOTO_SHARE = 0.6
"""Share of the patterned textures that are cut from photos, if there are photos."""
LEVELS = 5
"""Level l of a texture is blurred over 2 ** l of its pixels."""


def _colour(rng: np.random.Generator) -> Floats:
    """RGB in [0, 1], (3,): mostly greyish, like most things."""
    grey = rng.uniform(0.1, 0.95)
    spread = 0.22 if rng.random() < 0.25 else 0.05
    return np.asarray(np.clip(grey + rng.normal(0, spread, 3), 0.02, 1), np.float32)


def noise(rng: np.random.Generator, height: int, width: int, coarsest: int = 2) -> Floats:
    """Fractal noise in [0, 1], (height, width); `coarsest` is its number of cells at the first octave."""
    total = np.zeros((height, width), np.float32)
    for octave in range(5):
        cells = coarsest * 2**octave
        values = rng.uniform(-1, 1, (cells + 1, cells + 1)).astype(np.float32)
        smooth = cv2.resize(values, (width, height), interpolation=cv2.INTER_CUBIC)
        total += np.asarray(smooth, np.float32) / np.float32(1.7**octave)
    low, high = total.min(), total.max()
    return np.asarray((total - low) / (high - low), np.float32)


def _checks(rng: np.random.Generator) -> Floats:
    y, x = np.mgrid[0:SIDE, 0:SIDE] // int(rng.choice([8, 16, 32]))
    return np.asarray((x + y) % 2, np.float32)


def _stripes(rng: np.random.Generator) -> Floats:
    width = int(rng.choice([4, 8, 16, 32]))
    row = (np.arange(SIDE) % width < width * rng.uniform(0.2, 0.8)).astype(np.float32)
    stripes = np.broadcast_to(row, (SIDE, SIDE))
    return stripes.T if rng.random() < 0.5 else stripes


def _bricks(rng: np.random.Generator) -> Floats:
    height = int(rng.choice([8, 16, 32]))
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    shifted = x + (y // height % 2) * height
    shades = rng.uniform(0.5, 1, (SIDE, SIDE)).astype(np.float32)[y // height, shifted // (2 * height) % SIDE]
    joint = (y % height < 1 + height // 12) | (shifted % (2 * height) < 1 + height // 12)
    return np.where(joint, 0, shades).astype(np.float32)


def _wood(rng: np.random.Generator) -> Floats:
    warp = noise(rng, SIDE, SIDE) * rng.uniform(5, 25)
    grain = np.sin(np.arange(SIDE)[:, None] * rng.uniform(0.1, 0.6) + warp)
    return (0.5 + 0.5 * grain * rng.uniform(0.3, 1)).astype(np.float32)


def _windows(rng: np.random.Generator) -> Floats:
    wall = np.full((SIDE, SIDE), rng.uniform(0.7, 1), np.float32)
    pitch = int(rng.choice([16, 32, 64]))
    width, height = (max(3, int(pitch * share)) for share in rng.uniform(0.3, 0.8, 2))
    for top in range(0, SIDE, pitch):
        for left in range(0, SIDE, pitch):
            wall[top : top + height, left : left + width] = rng.uniform(0, 0.4)
    return wall


def _print(rng: np.random.Generator) -> Floats:
    """Rows of short dark marks, like text, over patches, like labels and covers."""
    page = np.full((SIDE, SIDE), rng.uniform(0.6, 1), np.float32)
    for _ in range(rng.integers(0, 5)):
        y, x, height, width = rng.integers(4, SIDE, 4)
        page[y : y + height, x : x + width] = rng.uniform(0, 1)
    for top in range(int(rng.integers(2, 40)), SIDE - 4, int(rng.integers(5, 12))):
        marks = np.repeat(rng.random(SIDE // 4) < 0.7, 4)
        page[top : top + 2, marks] = rng.uniform(0, 0.3)
    return page


def _spots(rng: np.random.Generator) -> Floats:
    spots = np.zeros((SIDE, SIDE), np.float32)
    for x, y, radius in rng.integers((0, 0, 1), (SIDE, SIDE, 9), (int(rng.integers(20, 200)), 3)):
        cv2.circle(spots, (int(x), int(y)), int(radius), float(rng.uniform(0.3, 1)), -1)
    return spots


def _clouds(rng: np.random.Generator) -> Floats:
    return noise(rng, SIDE, SIDE, int(rng.choice([1, 2, 4, 8, 16])))


def _plain(rng: np.random.Generator) -> Floats:
    return 0.12 * noise(rng, SIDE, SIDE)


_PATTERNS: tuple[Callable[[np.random.Generator], Floats], ...] = (
    *(_checks, _stripes, _bricks, _wood, _windows, _print, _spots),
    *(_clouds, _clouds, _clouds),
)


def paint(rng: np.random.Generator, *, calm: bool) -> Image:
    """A procedural texture, (SIDE, SIDE, 3) RGB: two colours mixed by a pattern, with a little grain."""
    mix = (_plain if calm else _PATTERNS[rng.integers(len(_PATTERNS))])(rng)[..., None]
    first, second = _colour(rng), _colour(rng)
    picture = first + (second - first) * mix
    rough = 0.3 if calm else 1.0
    picture = picture * (1 + rough * rng.uniform(0, 0.35) * (noise(rng, SIDE, SIDE, 4)[..., None] - 0.5))
    picture = picture + rng.normal(0, rough * rng.uniform(0, 0.05), (SIDE, SIDE, 1))
    return np.asarray(np.clip(picture, 0, 1) * 255, np.uint8)


@lru_cache(maxsize=512)
def _photo(path: Path) -> Image:
    return read_image(path)


def cut(rng: np.random.Generator, photo: Image) -> Image:
    """A texture, (SIDE, SIDE, 3) RGB, from a random square of a photo."""
    side = int(min(photo.shape[:2]) * rng.uniform(0.15, 0.7))
    top, left = (int(rng.integers(0, length - side + 1)) for length in photo.shape[:2])
    square = photo[top : top + side, left : left + side]
    interpolation = cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=interpolation), dtype=np.uint8)


def with_levels(texture: Image) -> Image:
    """(SIDE, SIDE, 3) -> (LEVELS, SIDE, SIDE, 3), increasingly blurred."""
    blurred = [np.asarray(cv2.blur(texture, (2**level, 2**level)), np.uint8) for level in range(1, LEVELS)]
    return np.stack([texture, *blurred])


def atlas(
    rng: np.random.Generator, count: int, calm: int, photos: Sequence[Path] = (), photo_share: float = PHOTO_SHARE
) -> Image:
    """`count` textures, (count, LEVELS, SIDE, SIDE, 3) RGB: `calm` plain ones, then others.

    If there are photos, this share of the others is cut from them.
    """
    textures = [paint(rng, calm=True) for _ in range(calm)]
    for _ in range(count - calm):
        if photos and rng.random() < photo_share:
            textures.append(cut(rng, _photo(photos[int(rng.integers(len(photos)))])))
        else:
            textures.append(paint(rng, calm=False))
    return np.stack([with_levels(texture) for texture in textures])
