"""Procedural scenes with exact inverse depth: a room, or a plain under the sky, with boxes and spheres.

Lengths are metres; x points right, y down and z forward; the camera stands at the origin. A pixel's ray has
a component of 1 along the optical axis, so that its parameter at a hit *is* the depth there.
"""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SKY_DISTANCE = 500.0
"""Whatever is farther than this is drawn as sky."""
_AMBIENT = 0.35


@dataclass(frozen=True)
class Texture:
    """A solid texture: two colours mixed by a pattern in space, roughened by a sum of sine waves."""

    colours: Floats
    """(2, 3) RGB in [0, 1]."""
    waves: Floats
    """(4, 3) wave vectors, radians per metre."""
    frequency: float
    """Cells per metre of the checks and stripes."""
    pattern: str

    def albedo(self, points: Floats) -> Floats:
        """RGB in [0, 1], (N, 3), at points (N, 3)."""
        noise = np.sin(points @ self.waves.T).mean(axis=1)
        cells = np.floor(points * self.frequency + 1e-3)
        if self.pattern == "checks":
            mix = cells.sum(axis=1) % 2
        elif self.pattern == "stripes":
            mix = cells[:, 0] % 2
        else:
            mix = 0.5 + 0.5 * np.sign(noise) * np.abs(noise) ** 0.5
        mix = (0.85 * mix + 0.15 * (0.5 + noise))[:, None]
        colour: Floats = np.clip(self.colours[0] * (1 - mix) + self.colours[1] * mix, 0, 1)
        return colour


@dataclass(frozen=True)
class Solid(ABC):
    """A textured solid, turned by `yaw` radians about the vertical axis."""

    centre: Floats
    half: Floats
    """(3,) half of the extent along the solid's own axes."""
    yaw: float
    texture: Texture

    def _axes(self) -> Floats:
        """The solid's own axes, the rows of (3, 3)."""
        cosine, sine = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])

    def local(self, points: Floats) -> Floats:
        """Points (N, 3) relative to the centre, along the solid's own axes."""
        local: Floats = (points - self.centre) @ self._axes().T
        return local

    @abstractmethod
    def distance(self, origins: Floats, directions: Floats) -> Floats:
        """Ray parameter of the first hit, (N,), infinite where the ray misses."""

    @abstractmethod
    def normal(self, points: Floats) -> Floats:
        """Unit normals, (N, 3), towards the side that is seen, at points of the surface, (N, 3)."""


class Sphere(Solid):
    """A ball of radius `half[0]`, seen from outside."""

    def distance(self, origins: Floats, directions: Floats) -> Floats:
        offset = origins - self.centre
        a = (directions**2).sum(axis=1)
        b = (offset * directions).sum(axis=1)
        c = (offset**2).sum(axis=1) - self.half[0] ** 2
        discriminant = b * b - a * c
        t = (-b - np.sqrt(np.maximum(discriminant, 0))) / a
        return np.where((discriminant > 0) & (t > 0), t, np.inf)

    def normal(self, points: Floats) -> Floats:
        normals: Floats = (points - self.centre) / self.half[0]
        return normals


class Box(Solid):
    """A box seen from outside."""

    def _crossings(self, origins: Floats, directions: Floats) -> tuple[Floats, Floats]:
        """Ray parameters, each (N,), of entry and exit by the slab method (Kay and Kajiya 1986)."""
        origins, directions = self.local(origins), directions @ self._axes().T
        inverse = 1 / np.where(np.abs(directions) < 1e-9, 1e-9, directions)
        middle, extent = -origins * inverse, self.half * np.abs(inverse)
        return (middle - extent).max(axis=1), (middle + extent).min(axis=1)

    def distance(self, origins: Floats, directions: Floats) -> Floats:
        enter, leave = self._crossings(origins, directions)
        return np.where((enter < leave) & (enter > 0), enter, np.inf)

    def normal(self, points: Floats) -> Floats:
        scaled = self.local(points) / self.half
        face = np.abs(scaled).argmax(axis=1)
        local = np.eye(3)[face] * np.sign(np.take_along_axis(scaled, face[:, None], axis=1))
        normals: Floats = local @ self._axes()
        return normals


class Room(Box):
    """A box seen from within."""

    def distance(self, origins: Floats, directions: Floats) -> Floats:
        return self._crossings(origins, directions)[1]

    def normal(self, points: Floats) -> Floats:
        return -super().normal(points)


@dataclass(frozen=True)
class Scene:
    """A rendered picture and its truth."""

    image: npt.NDArray[np.uint8]
    """(H, W, 3) RGB."""
    inverse_depth: npt.NDArray[np.float32]
    """(H, W), 1 / metres, > 0; depth is measured along the optical axis."""


def _texture(rng: np.random.Generator) -> Texture:
    pattern = str(rng.choice(["checks", "stripes", "clouds", "clouds"]))
    waves = rng.normal(size=(4, 3)) * (2.0 ** np.arange(4))[:, None] * rng.uniform(1, 6)
    return Texture(rng.uniform(0.05, 1, (2, 3)), waves, np.exp(rng.uniform(np.log(0.7), np.log(6))), pattern)


def _surroundings(rng: np.random.Generator, floor: float, indoors: bool) -> tuple[Room, float]:
    """The enclosing room (outdoors: one far larger than the sky's distance) and the far end for objects."""
    if not indoors:
        half = np.full(3, 4 * SKY_DISTANCE)
        return Room(np.array([0, floor - half[1], 0]), half, 0.0, _texture(rng)), 25.0
    depth, width, height = rng.uniform(3, 9), rng.uniform(3, 8), rng.uniform(floor + 0.6, 3.4)
    half = np.array([width, height, depth + 2]) / 2
    centre = np.array([rng.uniform(-0.2, 0.2) * width, floor - half[1], half[2] - 2])
    return Room(centre, half, rng.uniform(-0.3, 0.3), _texture(rng)), depth


def _object(rng: np.random.Generator, floor: float, far: float) -> Solid:
    """A box or a ball, mostly on the floor, between 1.2 m and `far`; the farther, the larger on average."""
    z = np.exp(rng.uniform(np.log(1.2), np.log(far)))
    half = np.clip(z * rng.uniform(0.05, 0.3, 3), 0.1, 0.6 * (z - 0.5))
    is_ball = rng.random() < 1 / 3
    half = np.full(3, half[0]) if is_ball else half
    y = floor - half[1] - (rng.uniform(0, floor) if rng.random() < 0.2 else 0)
    centre = np.array([z * rng.uniform(-0.6, 0.6), y, z])
    yaw, texture = rng.uniform(0, np.pi), _texture(rng)
    return Sphere(centre, half, 0.0, texture) if is_ball else Box(centre, half, yaw, texture)


def _rays(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Rays, (H * W, 3), of a pinhole camera of random field of view, pitch and roll."""
    focal = max(height, width) / 2 / np.tan(np.radians(rng.uniform(45, 80)) / 2)
    y, x = np.mgrid[0:height, 0:width] + 0.5
    rays = np.stack([(x - width / 2) / focal, (y - height / 2) / focal, np.ones_like(x)], axis=-1)
    roll, pitch = np.radians(rng.normal(0, 3)), np.radians(rng.uniform(-8, 25))
    cosine, sine = np.cos([roll, pitch]), np.sin([roll, pitch])
    rolled = np.array([[cosine[0], -sine[0], 0], [sine[0], cosine[0], 0], [0, 0, 1]])
    pitched = np.array([[1, 0, 0], [0, cosine[1], sine[1]], [0, -sine[1], cosine[1]]])
    directions: Floats = rays.reshape(-1, 3) @ (pitched @ rolled).T
    return directions


def _shade(solids: list[Solid], hit: npt.NDArray[np.intp], points: Floats, light: Floats) -> Floats:
    """Lambertian RGB, (N, 3), with hard shadows, of points (N, 3) on solids[hit] under a point light."""
    albedo, normals = np.empty_like(points), np.empty_like(points)
    for index, solid in enumerate(solids):
        mask = hit == index
        albedo[mask] = solid.texture.albedo(solid.local(points[mask]))
        normals[mask] = solid.normal(points[mask])
    to_light = light - points
    cosine = (normals * to_light).sum(axis=1) / np.linalg.norm(to_light, axis=1)
    start = points + 1e-3 * normals
    for solid in solids[1:]:
        cosine = np.where(solid.distance(start, to_light) < 1, 0, cosine)
    colour: Floats = albedo * (_AMBIENT + (1 - _AMBIENT) * np.clip(cosine, 0, 1))[:, None]
    return colour


def render(seed: int, height: int = 288, width: int = 384) -> Scene:
    """The scene of this seed; the same seed and size give the same scene."""
    rng = np.random.default_rng(seed)
    floor, indoors = rng.uniform(0.9, 1.9), bool(rng.random() < 0.6)
    room, far = _surroundings(rng, floor, indoors)
    solids: list[Solid] = [room, *(_object(rng, floor, far) for _ in range(rng.integers(3, 11)))]
    rays = _rays(rng, height, width)
    distances = np.stack([solid.distance(np.zeros(3)[None], rays) for solid in solids])
    hit, depth = distances.argmin(axis=0), distances.min(axis=0)
    light = np.array([rng.uniform(-1.5, 1.5), -0.4, rng.uniform(0, 2)]) * (1 if indoors else 40)
    colour = _shade(solids, hit, rays * depth[:, None], light) * rng.uniform(0.8, 1.3)
    elevation = np.clip(-rays[:, 1:2], 0, 1) ** 0.5
    sky = np.array([0.85, 0.9, 0.95]) * (1 - elevation) + rng.uniform(0.3, 0.8, 3) * elevation
    colour = np.where(depth[:, None] > SKY_DISTANCE, sky, colour)
    image = (np.clip(colour, 0, 1) ** (1 / 1.6) * 255).round().astype(np.uint8)
    return Scene(image.reshape(height, width, 3), (1 / depth).reshape(height, width).astype(np.float32))


def main() -> None:
    """Render scenes into an RGB-D folder (see training/README.md)."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--first-seed", type=int, default=1000, help="seeds below 1000 are for evaluation")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.count):
        scene = render(seed, *((384, 288) if seed % 4 == 0 else (288, 384)))
        name = arguments.output / f"scene_{seed:06d}"
        cv2.imwrite(f"{name}.png", cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR))
        np.save(f"{name}.inverse_depth.npy", scene.inverse_depth.astype(np.float16))


if __name__ == "__main__":
    main()
