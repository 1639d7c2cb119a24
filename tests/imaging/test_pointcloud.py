from __future__ import annotations

import io
import math

import numpy as np
import pytest
import trimesh

from depthsvc.imaging.pointcloud import PointCloud, grid_size, point_cloud, relative_depth
from depthsvc.imaging.spec import DepthKind

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def test_depth_goes_from_one_to_six_whatever_the_scale_and_shift() -> None:
    ramp = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)
    depth = relative_depth(ramp)
    assert depth[0, 0] == pytest.approx(6)
    assert depth[-1, -1] == pytest.approx(1)
    assert np.all(np.diff(depth.ravel()) < 0)
    assert np.allclose(1 / depth, 1 / 6 + 5 / 6 * ramp)
    assert np.allclose(relative_depth(300 * ramp + 77), depth, rtol=1e-4)


def test_points_are_where_a_pinhole_camera_sees_them() -> None:
    inverse_depth = np.linspace(1, 2, 24, dtype=np.float32).reshape(4, 6)
    cloud = point_cloud(PIXELS, inverse_depth, fov=90)
    depth = relative_depth(inverse_depth)
    focal = 3  # half of six columns, at 45 degrees
    assert cloud.points[-1] == pytest.approx([2.5 / focal, -1.5 / focal, -1])
    assert tuple(cloud.colors[-1]) == tuple(PIXELS[3, 5])
    columns = -cloud.points[:, 0] / cloud.points[:, 2] * focal + 2.5
    rows = cloud.points[:, 1] / cloud.points[:, 2] * focal + 1.5
    for point, color, u, v in zip(cloud.points, cloud.colors, columns, rows, strict=True):
        assert (u, v) == pytest.approx((round(u), round(v)), abs=1e-4)
        assert -point[2] == pytest.approx(depth[round(v), round(u)])
        assert tuple(color) == tuple(PIXELS[round(v), round(u)])


def test_the_longer_side_spans_the_field_of_view() -> None:
    flat = np.ones((400, 200), np.float32)
    points = point_cloud(np.zeros((400, 200, 3), np.uint8), flat, fov=50).points
    top, bottom = points[:, 1].max(), points[:, 1].min()
    assert math.degrees(2 * math.atan((top - bottom) / 2 / 6)) == pytest.approx(50, rel=0.01)


def test_sky_is_left_out_and_a_constant_map_is_not() -> None:
    inverse_depth = np.full((4, 6), 0.5, np.float32)
    inverse_depth[0] = 0.001
    inverse_depth[3] = 1
    assert len(point_cloud(PIXELS, inverse_depth, fov=60).points) == 18
    constant = point_cloud(PIXELS, np.full((4, 6), 0.5, np.float32), fov=60)
    assert len(constant.points) == 24
    assert np.allclose(constant.points[:, 2], -6)


@pytest.mark.parametrize(
    ("size", "stride", "max_points", "expected"),
    [
        ((640, 480), 1, 1_000_000, (640, 480)),
        ((640, 480), 3, 1_000_000, (214, 160)),
        ((4000, 3000), 1, 1_000_000, (1000, 750)),
        ((4000, 3000), 10, 1_000_000, (400, 300)),
        ((7, 5), 1, 1, (1, 1)),
        ((65_535, 1), 1, 10, (10, 1)),
    ],
)
def test_the_grid_keeps_the_stride_and_the_limit(
    size: tuple[int, int], stride: int, max_points: int, expected: tuple[int, int]
) -> None:
    assert grid_size(*size, stride=stride, max_points=max_points) == expected


def test_no_grid_is_larger_than_allowed_and_few_are_much_smaller() -> None:
    rng = np.random.default_rng(0)
    for width, height, limit in rng.integers(1, 5000, (300, 3)):
        columns, rows = grid_size(int(width), int(height), stride=1, max_points=int(limit))
        assert 1 <= columns * rows <= limit
        stride = math.ceil(width / columns)
        assert stride == 1 or math.ceil(width / (stride - 1)) * math.ceil(height / (stride - 1)) > limit


def test_other_programs_read_the_ply() -> None:
    cloud = PointCloud(np.array([[1, 2, -3], [0.5, 0, -10]], np.float32), np.array([[1, 2, 3], [255, 0, 7]], np.uint8))
    read = trimesh.load(io.BytesIO(cloud.ply()), file_type="ply")
    assert isinstance(read, trimesh.PointCloud)
    assert np.array_equal(read.vertices, cloud.points)
    assert np.array_equal(read.colors[:, :3], cloud.colors)


def test_metres_are_where_the_camera_saw_them() -> None:
    depth = np.full((4, 6), 2.5, np.float32)
    depth[1, 2] = 0  # unknown
    cloud = point_cloud(PIXELS, depth, DepthKind.METRES, fov=90)
    assert len(cloud.points) == 23
    assert (cloud.points[:, 2] == -2.5).all()
    assert np.allclose(cloud.points[0], [-2.5 * 2.5 / 3, 1.5 * 2.5 / 3, -2.5])
    data = cloud.ply()
    assert b"comment depth in metres\n" in data
    assert PointCloud.of_ply(data).kind is DepthKind.METRES
