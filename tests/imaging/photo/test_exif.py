from __future__ import annotations

import math

import pytest

from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.exif import fov_of
from depthsvc.imaging.photo.pixels import Bounds
from tests.conftest import encoded, exif
from tests.parity import photo


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF", "TIFF"])
def test_the_angle_of_view_comes_from_the_focal_length(format: str) -> None:
    data = encoded(photo(40, 60), format, exif=exif(26))
    fov = decode(data, Bounds(10**6)).fov
    assert fov is not None
    assert math.isclose(fov, math.degrees(2 * math.atan(18 / 26)), rel_tol=1e-9)  # 3:2, as 36 x 24 mm


def test_it_is_that_of_the_longer_side_of_any_shape() -> None:
    square = fov_of({"exif": exif(26)}, 500, 500)
    assert square is not None
    assert math.isclose(math.tan(math.radians(square / 2)), math.hypot(36, 24) / math.sqrt(2) / 2 / 26)
    assert fov_of({"exif": exif(26)}, 300, 400) == fov_of({"exif": exif(26)}, 400, 300)


@pytest.mark.parametrize("block", [b"", b"II*\0", exif(0), exif(26)[:40], b"II" + exif(26)[8:]])
def test_without_a_focal_length_it_is_unknown(block: bytes) -> None:
    assert fov_of({"exif": block}, 400, 300) is None
