"""Procedural scenes with exact inverse depth, ray-cast in PyTorch on any device.

A pixel's ray has a component of 1 along the optical axis, so its parameter at a hit *is* the depth there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from training.camera import defocus, develop
from training.data import Drawn, Image, is_held_out
from training.fine_layouts import FINE
from training.layouts import GENERAL, Camera, Light, Place, layout
from training.textures import LEVELS, PHOTO_SHARE, SIDE, atlas, noise
from training.things import BOX, CALM_TEXTURES, CYLINDER, ELLIPSOID, TEXTURES, Random, Thing

FIRST_FOR_TRAINING = 1000
"""Seeds below this are for evaluation and tests."""
SHORT_SIDE = 240
"""Short side of training scenes, in pixels."""
_FINE_PHOTO_SHARE = 0.9
"""Share of the patterned textures that are cut from photos in fine scenes, if there are photos."""
_NEAR = 0.02
"""Nearest visible depth, in metres."""
_HORIZON = 1e4
"""Farthest visible depth, in metres."""
_SHADOW_STEP = 3
"""Shadows are computed for one pixel in this many of each row and column."""


@dataclass(frozen=True)
class Scene:
    """A rendered picture and its true depth."""

    image: npt.NDArray[np.uint8]
    """(H, W, 3) RGB."""
    inverse_depth: npt.NDArray[np.float32]
    """(H, W), 1 / metres, 0 in the sky; depth is measured along the optical axis."""


@dataclass(frozen=True)
class _Geometry:
    """The N solids of a scene as tensors."""

    kinds: list[int]
    centres: Tensor
    """(N, 3)."""
    to_local: Tensor
    """(N, 3, 3): from the world's axes to the unit solid's."""
    halves: Tensor
    textures: Tensor
    tints: Tensor
    metres: Tensor
    gloss: Tensor


@dataclass(frozen=True)
class _View:
    """What the camera's rays hit."""

    geometry: _Geometry
    rays: Tensor
    """(3, H, W), with a component of 1 along the optical axis."""
    depth: Tensor
    """(H, W), infinite in the sky."""
    index: Tensor
    """(H, W), index of the visible solid."""
    points: Tensor
    """(3, H, W), world coordinates of the visible point, or of a far point in the sky."""
    focal: float
    """Pixels."""

    def inverse_depth(self) -> npt.NDArray[np.float32]:
        """(H, W), 1 / metres, 0 in the sky."""
        return np.asarray(torch.where(self.depth.isfinite(), self.depth.reciprocal(), 0.0).cpu(), np.float32)


def _geometry(solids: Thing, device: torch.device) -> _Geometry:
    def tensor(values: Sequence[object]) -> Tensor:
        return torch.from_numpy(np.array(values, np.float32)).to(device)

    return _Geometry(
        [solid.kind for solid in solids],
        tensor([solid.centre for solid in solids]),
        tensor([solid.rotation.T / solid.half[:, None] for solid in solids]),
        tensor([solid.half for solid in solids]),
        torch.tensor([solid.paint.texture for solid in solids], device=device),
        tensor([solid.paint.tint for solid in solids]),
        tensor([solid.paint.metres for solid in solids]),
        tensor([solid.paint.gloss for solid in solids]),
    )


def _slab(origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Ray parameters of entry into and exit from -1 <= x <= 1 (Kay and Kajiya, 1986)."""
    inverse = torch.where(direction.abs() < 1e-9, 1e-9, direction).reciprocal()
    middle, extent = -origin * inverse, inverse.abs()
    return middle - extent, middle + extent


def _round(origin: Tensor, direction: Tensor, axes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Ray parameters of entry and exit of the unit ball (three axes) or endless cylinder (two); miss: entry > exit."""
    a = sum((direction[i].square() for i in axes), torch.zeros_like(direction[0])).clamp(min=1e-12)
    b = sum((origin[i] * direction[i] for i in axes), torch.zeros_like(direction[0]))
    c = sum((origin[i].square() for i in axes), torch.zeros_like(direction[0])) - 1
    discriminant = b.square() - a * c
    root = discriminant.clamp(min=0).sqrt()
    missed = torch.where(discriminant > 0, 0.0, torch.inf)
    return (-b - root) / a + missed, (-b + root) / a - missed


def _crossings(kind: int, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Ray parameters, each (...), of entry into a unit solid and exit from it, rays (3, ...); miss: entry > exit."""
    if kind == BOX:
        enter, leave = _slab(origin, direction)
        return enter.amax(dim=0), leave.amin(dim=0)
    if kind == ELLIPSOID:
        return _round(origin, direction, (0, 1, 2))
    assert kind == CYLINDER
    side, caps = _round(origin, direction, (0, 2)), _slab(origin[1], direction[1])
    return torch.maximum(side[0], caps[0]), torch.minimum(side[1], caps[1])


def _windows(solids: Thing, camera: Camera, height: int, width: int, focal: float) -> npt.NDArray[np.intp]:
    """First and last + 1 row and column, (N, 4), of the pixels that may see each solid; empty if none may."""
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1)
    corners = np.stack([s.centre[:, None] + s.rotation @ (s.half[:, None] * signs) for s in solids])
    seen = np.einsum("ij,nik->njk", camera.rotation, corners - camera.position[:, None])
    depth = np.maximum(seen[:, 2], _NEAR)
    column, row = seen[:, 0] / depth * focal + width / 2, seen[:, 1] / depth * focal + height / 2
    windows = np.stack([row.min(1), row.max(1) + 2, column.min(1), column.max(1) + 2], axis=1)
    windows[(seen[:, 2] < _NEAR).any(axis=1)] = 0, height, 0, width
    windows[(seen[:, 2] < _NEAR).all(axis=1)] = 0
    limit = np.array([height, height, width, width])
    return np.asarray(np.clip(np.floor(windows) - [1, 0, 1, 0], 0, limit), np.intp)


def _cast(geometry: _Geometry, windows: npt.NDArray[np.intp], origin: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
    """Depth (H, W), infinite in the sky, and index of the solid that each ray (3, H, W) hits first."""
    depth = torch.full_like(rays[0], torch.inf)
    index = torch.zeros_like(depth, dtype=torch.long)
    origins = torch.einsum("nij,nj->ni", geometry.to_local, origin - geometry.centres)
    for i, (kind, (top, bottom, left, right)) in enumerate(zip(geometry.kinds, windows, strict=True)):
        if top >= bottom or left >= right:
            continue
        window = rays[:, top:bottom, left:right]
        local = (geometry.to_local[i] @ window.reshape(3, -1)).view_as(window)
        enter, leave = _crossings(kind, origins[i][:, None, None], local)
        best = depth[top:bottom, left:right]
        nearer = (enter < leave) & (enter > _NEAR) & (enter < best)
        best[nearer] = enter[nearer]
        index[top:bottom, left:right][nearer] = i
    return depth, index


def _lit(geometry: _Geometry, points: Tensor, index: Tensor, source: Tensor) -> Tensor:
    """Whether points (3, M) on the solids `index` (M,) see the light; 1.0 or 0.0, (M,)."""
    towards = source[:, None] - points
    free = torch.ones_like(points[0])
    for i, kind in enumerate(geometry.kinds):
        start = geometry.to_local[i] @ (points - geometry.centres[i][:, None])
        enter, leave = _crossings(kind, start, geometry.to_local[i] @ towards)
        free[(enter < leave) & (leave > 0) & (enter < 1) & (index != i)] = 0
    return free


def _unit(vectors: Tensor) -> Tensor:
    """Vectors (3, ...) normalised to length 1."""
    x, y, z = vectors
    scale: Tensor = (x * x + y * y + z * z).clamp(min=1e-20).rsqrt()
    return vectors * scale


def _rotate(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Matrices (3, 3, P), or one (3, 3), times vectors (3, P)."""
    columns = matrices.unsqueeze(-1) if matrices.dim() == 2 else matrices
    return columns[:, 0] * vectors[0] + columns[:, 1] * vectors[1] + columns[:, 2] * vectors[2]


def _own_normals(kinds: Tensor, local: Tensor) -> Tensor:
    """Normals (3, P), of any length, of unit solids of these kinds (P,) at points (3, P) of their surfaces."""
    size = local.abs()
    faces = torch.where(size == size.amax(dim=0), local.sign(), 0.0)
    is_cap = size[1] >= local[0].hypot(local[2])
    zero = torch.zeros_like(local[0])
    caps = torch.stack([zero, local[1].sign(), zero])
    barrels = torch.stack([local[0], zero, local[2]])
    round_ones = torch.where(kinds == ELLIPSOID, local, torch.where(is_cap, caps, barrels))
    return torch.where(kinds == BOX, faces, round_ones)


def _albedo(geometry: _Geometry, pictures: Tensor, index: Tensor, local: Tensor, own: Tensor, pixel: Tensor) -> Tensor:
    """RGB (3, P) at local points (3, P) with own normals (3, P); `pixel` (P,) is what a pixel spans there in metres."""
    repeat = geometry.metres[index]
    place = local * geometry.halves.T[:, index] / repeat
    x, y, z = own.abs()
    u = torch.where((x > y) & (x >= z), place[2], place[0])
    v = torch.where((y >= x) & (y >= z), place[2], place[1])
    level = (pixel / repeat * SIDE).clamp(min=1).log2().round().long().clamp(max=LEVELS - 1)
    # Mirrored at each repeat, so that a photo has no seams.
    u, v = (((w + 0.5).remainder(2) - 1).abs() * (SIDE - 1) for w in (u, v))
    left, top = u.floor().clamp(max=SIDE - 2), v.floor().clamp(max=SIDE - 2)
    du, dv = (u - left)[:, None], (v - top)[:, None]
    corner = ((geometry.textures[index] * LEVELS + level) * SIDE + top.long()) * SIDE + left.long()
    texels = pictures.view(-1, 3)
    upper = texels[corner] * (1 - du) + texels[corner + 1] * du
    lower = texels[corner + SIDE] * (1 - du) + texels[corner + SIDE + 1] * du
    linear = ((upper * (1 - dv) + lower * dv) / 255).square()
    return (linear * geometry.tints[index]).T


def _shadows(view: _View, source: Tensor) -> Tensor:
    """Fraction of the light that each pixel sees, (H, W) in [0, 1], blurred over a few pixels."""
    coarse, index = view.points[:, ::_SHADOW_STEP, ::_SHADOW_STEP], view.index[::_SHADOW_STEP, ::_SHADOW_STEP]
    lit = _lit(view.geometry, coarse.flatten(1), index.flatten(), source).view(1, 1, *index.shape)
    return F.interpolate(lit, size=view.index.shape, mode="bilinear")[0, 0]


def _normals(view: _View) -> tuple[Tensor, Tensor, Tensor]:
    """Unit normals (3, P); and points (3, P) and normals (3, P), of any length, in the axes of their unit solids."""
    geometry, solid = view.geometry, view.index.flatten()
    to_local = geometry.to_local.permute(1, 2, 0)[:, :, solid]
    local = _rotate(to_local, view.points.flatten(1) - geometry.centres.T[:, solid])
    own = _own_normals(torch.tensor(geometry.kinds, device=local.device)[solid], local)
    return _unit(_rotate(to_local.transpose(0, 1), own)), local, own


def _shade(view: _View, pictures: Tensor, light: Light) -> Tensor:
    """RGB (3, H, W), linear and unbounded, of what is seen; meaningless in the sky."""
    geometry, at, solid = view.geometry, view.points.flatten(1), view.index.flatten()
    source = torch.from_numpy(light.source).float().to(at.device)
    lit = _shadows(view, source).flatten()
    normals, local, own = _normals(view)
    pixel = view.depth.flatten().clamp(max=_HORIZON) / view.focal
    colour = _albedo(geometry, pictures, solid, local, own, pixel)
    towards = _unit(source[:, None] - at)
    key = (normals * towards).sum(dim=0).clamp(min=0) * lit
    half_way = _unit(towards - _unit(view.rays.flatten(1)))
    shine = (normals * half_way).sum(dim=0).clamp(min=0) ** 30 * geometry.gloss[solid] * lit
    ambient = light.ambient * (1 - 0.35 * normals[1])
    return (colour * (ambient + light.key * key) + light.key * shine).view_as(view.points)


def _sky(rng: Random, elevation: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """RGB (H, W, 3) of a sky, by the sine of the elevation, (H, W)."""
    height, width = elevation.shape
    up = np.clip(elevation, 0, 1)[..., None] ** rng.uniform(0.3, 0.9)
    zenith = np.array([0.25, 0.45, 0.85]) * rng.uniform(0.5, 1.2) + rng.normal(0, 0.05, 3)
    horizon = np.full(3, rng.uniform(0.6, 1.1)) + rng.normal(0, 0.06, 3)
    sky = horizon * (1 - up) + zenith * up
    clouds = np.clip(noise(rng, height, width) * 2 - rng.uniform(0.2, 1.6), 0, 1)[..., None]
    return np.asarray(sky * (1 - clouds) + rng.uniform(0.7, 1.1) * clouds, dtype=np.float32)


def _rays(camera: Camera, height: int, width: int, focal: float) -> npt.NDArray[np.float32]:
    """Directions (3, H, W) in the world with a component of 1 along the optical axis."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    own = np.stack([(x - width / 2) / focal, (y - height / 2) / focal, np.ones_like(x)])
    return np.asarray(np.einsum("ij,jhw->ihw", camera.rotation, own), np.float32)


def _view(solids: Thing, camera: Camera, height: int, width: int, device: torch.device) -> _View:
    focal = max(height, width) / 2 / np.tan(camera.field_of_view / 2)
    rays = torch.from_numpy(_rays(camera, height, width, focal)).to(device)
    origin = torch.from_numpy(camera.position).float().to(device)
    geometry = _geometry(solids, device)
    depth, index = _cast(geometry, _windows(solids, camera, height, width, focal), origin, rays)
    points = origin[:, None, None] + rays * depth.clamp(max=_HORIZON)
    return _View(geometry, rays, depth, index, points, focal)


@torch.inference_mode()
def inverse_depth(solids: Thing, camera: Camera, height: int, width: int) -> npt.NDArray[np.float32]:
    """Inverse depth, (H, W) in 1 / metres, of solids seen by a camera; 0 in the sky."""
    return _view(solids, camera, height, width, torch.device("cpu")).inverse_depth()


@torch.inference_mode()
def surface(
    solids: Thing, camera: Camera, height: int, width: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Inverse depth (H, W) as of `inverse_depth`, and unit normals (H, W, 3): right, up, and towards the camera.

    The normals in the sky mean nothing.
    """
    view = _view(solids, camera, height, width, torch.device("cpu"))
    normals, _, _ = _normals(view)
    down_and_on = torch.from_numpy(camera.rotation.T.copy()).float() @ normals
    towards_camera = down_and_on * torch.tensor([1.0, -1.0, -1.0])[:, None]
    return view.inverse_depth(), np.asarray(towards_camera.T.reshape(height, width, 3), np.float32)


@torch.inference_mode()
def light_of(
    place: Place, pictures: Image, sky_from: Random, height: int, width: int, device: torch.device
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Linear light (H, W, 3), unbounded, and inverse depth (H, W) of a place whose solids wear an atlas of textures."""
    atlas_ = torch.from_numpy(pictures).to(device)
    view = _view(place.solids, place.camera, height, width, device)
    sky = torch.from_numpy(_sky(sky_from, (-_unit(view.rays)[1]).cpu().numpy())).to(device).permute(2, 0, 1)
    is_solid = view.depth.isfinite()
    clear = (-place.light.fog * view.depth).exp() * is_solid
    colour = torch.where(is_solid, _shade(view, atlas_, place.light) * clear + sky * (1 - clear), sky)
    return colour.permute(1, 2, 0).cpu().numpy(), view.inverse_depth()


def render(
    seed: int,
    height: int = 288,
    width: int = 384,
    photos: Sequence[Path] = (),
    device: torch.device | str = "cpu",
    *,
    fine: bool = False,
) -> Scene:
    """The scene of this seed, with textures cut from `photos`; `fine` takes it from `FINE` instead of `GENERAL`.

    Reproducible, except for rounding.
    """
    rng = np.random.default_rng(seed)
    place = layout(rng, FINE if fine else GENERAL)
    pictures = atlas(rng, TEXTURES, CALM_TEXTURES, photos, _FINE_PHOTO_SHARE if fine else PHOTO_SHARE)
    light, inverse = light_of(place, pictures, rng, height, width, torch.device(device))
    return Scene(_shot(rng, light, inverse) if fine else develop(rng, light), inverse)


def _shot(rng: Random, light: npt.NDArray[np.float32], inverse: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """A picture with any exposure and, often, focused on one of its points through a wide lens."""
    if rng.random() < 0.4:
        focus, reach = float(rng.choice(inverse[::8, ::8].ravel())), float(np.ptp(np.percentile(inverse, (2, 98))))
        light = defocus(light, inverse, focus, rng.uniform(0.5, 6) * len(light) / 192 / max(reach, 1e-6))
    return develop(rng, light, float(np.exp(rng.normal(-0.15, 0.45))))


def render_4_by_3(
    seed: int, short_side: int, photos: Sequence[Path], device: torch.device | str, *, fine: bool = False
) -> Scene:
    """The scene of this seed in 4:3; one in four is upright."""
    sides = (short_side, short_side * 4 // 3)
    return render(seed, *(sides[::-1] if seed % 4 == 0 else sides), photos=photos, device=device, fine=fine)


def draw_scene(photos: Sequence[Path], device: torch.device, rng: Random) -> Drawn:
    """A new scene of either mix with its inverse depth, never one of those for evaluation."""
    fine, seed = rng.random() < 0.5, int(rng.integers(FIRST_FOR_TRAINING, 2**32))
    scene = render_4_by_3(seed, SHORT_SIDE, photos, device, fine=fine)
    return scene.image, scene.inverse_depth


def main() -> None:
    """Render scenes into an RGB-D folder (see training/README.md)."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--first-seed", type=int, default=FIRST_FOR_TRAINING, help="those below are for evaluation")
    parser.add_argument("--photos", type=Path, help="folder of NAME.jpg to cut textures from")
    parser.add_argument("--short-side", type=int, default=SHORT_SIDE, help="pixels; the long side is 4/3 of it")
    parser.add_argument("--fine", action="store_true", help="scenes of thin things, figures, far walls and prints")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    photos = (
        [path for path in sorted(arguments.photos.glob("*.jpg")) if not is_held_out(path)] if arguments.photos else []
    )
    if arguments.photos and not photos:
        parser.error(f"no *.jpg in {arguments.photos}")
    cv2.setNumThreads(1)
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.count):
        name = arguments.output / f"scene_{seed:06d}"
        if Path(f"{name}.png").exists():
            continue
        scene = render_4_by_3(seed, arguments.short_side, photos, arguments.device, fine=arguments.fine)
        np.save(f"{name}.inverse_depth.npy", scene.inverse_depth.astype(np.float16))
        cv2.imwrite(f"{name}.png", cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
