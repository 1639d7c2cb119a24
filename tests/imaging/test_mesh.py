"""A mesh is the surface that the photo shows, as other programs read it."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from depthsvc.errors import ConfigurationError
from depthsvc.imaging.encode import glb
from depthsvc.imaging.glb import Mesh
from depthsvc.imaging.mesh import TexturedSurface, surface

WIDTH, HEIGHT = 64, 48
SEEN = np.ones((HEIGHT, WIDTH), bool)
PIXELS = np.arange(30 * 40 * 3, dtype=np.uint32).astype(np.uint8).reshape(30, 40, 3)
ABOUT = {"kind": "metres", "unit": "metres", "model": "some model"}


def ground(horizon: float = 8) -> NDArray[np.float32]:
    """Inverse depth of a level ground 1.5 below a camera of 90 degrees that looks ahead; 0 above the horizon's row."""
    rows = np.arange(HEIGHT)[:, None] - horizon
    return np.repeat(np.maximum(rows, 0) / (1.5 * WIDTH / 2), WIDTH, axis=1).astype(np.float32)


def loaded(data: bytes) -> trimesh.Trimesh:
    [mesh] = trimesh.load_scene(io.BytesIO(data), file_type="glb").geometry.values()
    assert isinstance(mesh, trimesh.Trimesh)
    return mesh


def test_another_program_reads_the_surface_with_its_photo() -> None:
    depth = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    data = glb(TexturedSurface(surface(depth, SEEN, 640, 480, fov=90), PIXELS), about=ABOUT)
    mesh = loaded(data)
    assert mesh.vertices.shape == (WIDTH * HEIGHT, 3)
    assert mesh.faces.shape == (2 * (WIDTH - 1) * (HEIGHT - 1), 3)
    assert np.allclose(mesh.bounds, [[-2 * 63 / 64, -1.5 * 47 / 48, -2], [2 * 63 / 64, 1.5 * 47 / 48, -2]])
    assert np.allclose(mesh.face_normals, (0, 0, 1))  # counter-clockwise as the camera sees them
    top_left = mesh.vertices[:, 0].argmin() if mesh.vertices[0, 1] > 0 else -1
    assert isinstance(mesh.visual, TextureVisuals)
    assert isinstance(mesh.visual.material, PBRMaterial)
    assert mesh.visual.uv[top_left] == pytest.approx([0.5 / WIDTH, 1 - 0.5 / HEIGHT])  # trimesh counts from the bottom
    assert mesh.visual.material.baseColorTexture.size == (40, 30)
    length = int.from_bytes(data[12:16], "little")
    described = json.loads(data[20 : 20 + length])
    assert described["asset"]["extras"] == ABOUT
    assert described["extensionsUsed"] == ["KHR_materials_unlit"]
    assert described["buffers"][0]["byteLength"] == len(data) - 28 - length


def test_a_vertex_is_where_its_pixel_shows_it() -> None:
    depth = np.random.default_rng(0).uniform(0.5, 0.502, (HEIGHT, WIDTH)).astype(np.float32)
    found = surface(depth, SEEN, 640, 480, fov=70, stride=3)
    assert len(found.points) == 22 * 16
    focal = 320 / np.tan(np.radians(35))
    seen_at = found.points[:, :2] / -found.points[:, 2:] * (focal, -focal) / (640, 480) + 0.5
    assert np.allclose(seen_at, found.places, atol=1e-5)
    columns, rows = np.floor(found.places * (WIDTH, HEIGHT)).astype(int).T
    assert (columns % 3 == 0).all()
    assert np.allclose(-1 / found.points[:, 2], depth[rows, columns])


def test_ground_is_whole_up_to_the_horizon() -> None:
    """The last but one row is half as far as the last one, but on the same plane."""
    found = surface(ground(), SEEN, WIDTH, HEIGHT, fov=90)
    assert len(found.triangles) == 2 * (WIDTH - 1) * (HEIGHT - 1 - 9)
    corners = found.points[found.triangles].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    assert np.allclose(normals, normals[0], atol=1e-3)
    assert found.points[:, 2].min() == pytest.approx(-1.5 * WIDTH / 2)


@pytest.mark.parametrize("ramp", [1, 3])
def test_a_step_is_cut_also_if_it_is_spread_over_pixels(ramp: int) -> None:
    steps = np.clip((np.arange(WIDTH) - 30) / ramp, 0, 1)
    depth = np.tile(1 - 0.5 * steps, (HEIGHT, 1)).astype(np.float32)
    found = surface(depth, SEEN, WIDTH, HEIGHT, fov=90)
    x = found.places[found.triangles][..., 0] * WIDTH
    assert len(found.triangles) == 2 * (HEIGHT - 1) * (WIDTH - 1 - ramp)
    assert not ((x.min(axis=1) < 31) & (x.max(axis=1) > 31)).any()
    crease = np.tile(1 - 0.01 * np.maximum(np.arange(WIDTH) - 30, 0), (HEIGHT, 1)).astype(np.float32)
    assert len(surface(crease, SEEN, WIDTH, HEIGHT, fov=90).triangles) == 2 * (HEIGHT - 1) * (WIDTH - 1)


def test_what_is_not_seen_or_unknown_has_no_triangles() -> None:
    depth = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    depth[:, :10] = 0
    seen = SEEN.copy()
    seen[:20] = False
    found = surface(depth, seen, WIDTH, HEIGHT, fov=90)
    assert len(found.triangles) == 2 * (WIDTH - 11) * (HEIGHT - 21)
    assert len(found.points) == (WIDTH - 10) * (HEIGHT - 20)
    assert np.isfinite(found.points).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 3)])
def test_a_photo_of_nothing_is_an_empty_scene(shape: tuple[int, int]) -> None:
    nothing = surface(np.zeros(shape, np.float32), np.ones(shape, bool), 5, 5, fov=60)
    data = glb(TexturedSurface(nothing, PIXELS), about=ABOUT)
    assert not trimesh.load_scene(io.BytesIO(data), file_type="glb").geometry
    assert Mesh.of(data) == data


def test_a_mesh_is_saved_as_glb_and_nothing_else_is_one(tmp_path: object) -> None:
    data = glb(TexturedSurface(surface(ground(), SEEN, WIDTH, HEIGHT, fov=90), PIXELS), about=ABOUT)
    assert repr(Mesh.of(data)) == f"Mesh({len(data):,} bytes)"
    with pytest.raises(ConfigurationError, match=r"Save a mesh as \.glb"):
        Mesh(data).save(f"{tmp_path}/mesh.obj")
    Mesh(data).save(f"{tmp_path}/mesh.GLB")
    for wrong in (b"", data[:-1], b"ply" + data[3:]):
        with pytest.raises(ValueError, match="not a GLB file"):
            Mesh.of(wrong)
