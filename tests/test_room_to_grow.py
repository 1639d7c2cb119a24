"""A new format is one row and the function that reads or writes it: made up here, in a copy of the sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

import depthsvc
from tests.conftest import RunningService, encoded, services
from tests.parity import photo

pytestmark = pytest.mark.usefixtures("light")

OUTPUT_ROW = (
    '    Format("csv", Result.DEPTH, "csv", "text/csv", "float32", "csv", "lines of comma-separated values"),\n'
)
ENCODER = '''

def csv(values: NDArray[np.float32]) -> bytes:
    """Inverse depth (h, w), a line a row."""
    return "".join(",".join(f"{value:.6g}" for value in row) + "\\n" for row in values).encode()
'''
PHOTO_ROW = r"""
    PhotoFormat(
        name="PPM",
        suffixes=(".ppm",),
        media_types=("image/x-portable-pixmap",),
        signature=_begins(rb"P6\s"),
        header=ppm_header,
        decode=decode_ppm,
    ),
"""
DECODER = '''

def ppm_header(data: Data) -> Header:
    """Nothing of it is coded, so it costs what an uncompressed PNG costs."""
    from depthsvc.imaging.photo.header import Coding

    _, width, height, *_ = bytes(data[:64]).split(maxsplit=4)
    return Header(Coding.PNG, int(width), int(height), len(data), len(data))


def decode_ppm(data: bytes, header: Header, bounds: Bounds) -> Photo:
    """Decode a binary portable pixmap."""
    import numpy as np

    pixels = np.frombuffer(data.split(maxsplit=4)[4], np.uint8)
    return Photo(pixels.reshape(header.height, header.width, 3), header.width, header.height)

'''
PPM = b"P6 80 60 255\n" + photo(60, 80).tobytes()


def insert(path: Path, before: str, text: str) -> None:
    """Put text into a source file, in front of the first occurrence of something in it."""
    source = path.read_text()
    assert before in source
    path.write_text(source.replace(before, text + before, 1))


@dataclass
class Copy:
    """The package with two more formats, and its service."""

    environment: dict[str, str]
    service: RunningService

    def run(self, *command: str, folder: Path) -> str:
        result = subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, _own_settings: None) -> Iterator[Copy]:
    root = tmp_path_factory.mktemp("copy")
    package = root / "depthsvc"
    shutil.copytree(Path(depthsvc.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    insert(package / "formats.py", '    Format("ply"', OUTPUT_ROW)
    encoders = package / "imaging/encode.py"
    encoders.write_text(encoders.read_text() + ENCODER)
    insert(package / "imaging/photo/formats.py", ")\n\n_REFUSED", PHOTO_ROW.lstrip("\n"))
    insert(package / "imaging/photo/formats.py", "PHOTO_FORMATS = (", DECODER)
    environment = {"PYTHONPATH": str(root), "DEPTHSVC_MODEL": "embedded"}
    with services(tmp_path_factory) as start:
        yield Copy(environment, start("--workers", "1", environment=environment))


def depth_of(text: str) -> np.ndarray:
    return np.array([[float(value) for value in line.split(",")] for line in text.splitlines()])


def test_http_takes_and_sends_them(copy: Copy) -> None:
    with copy.service.client() as client:
        answer = client.post("/depth?format=csv", files={"image": PPM})
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].startswith("text/csv")
        assert answer.headers["X-Depth-Dtype"] == "float32"
        bare = client.post("/depth?format=csv", content=PPM, headers={"Content-Type": "image/x-portable-pixmap"})
        assert bare.text == answer.text
        assert depth_of(answer.text).shape == (60, 80)
        problem = client.post("/depth", files={"image": b"no photo"}).json()
        assert "TIFF, BMP, GIF or PPM" in problem["detail"]
        assert (
            "f16, npy, png16, exr, tiff, csv" in client.post("/depth?format=xml", files={"image": PPM}).json()["detail"]
        )


def test_openapi_and_the_page_know_them(copy: Copy) -> None:
    with copy.service.client() as client:
        document = client.get("/openapi.json").json()
        formats = client.get("/static/photos.json").json()["formats"]
    assert document["components"]["schemas"]["DepthFormat"]["enum"] == ["f16", "npy", "png16", "exr", "tiff", "csv"]
    operation = document["paths"]["/depth"]["post"]
    assert "text/csv" in operation["responses"]["200"]["content"]
    form = operation["requestBody"]["content"]["multipart/form-data"]
    assert "image/x-portable-pixmap" in form["encoding"]["image"]["contentType"]
    assert "TIFF, BMP, GIF or PPM" in operation["requestBody"]["description"]
    assert formats[-1] == {"name": "PPM", "suffixes": [".ppm"], "media_types": ["image/x-portable-pixmap"]}


def test_the_command_line_reads_and_writes_them(copy: Copy, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.ppm").write_bytes(PPM)
    (tmp_path / "photos/b.png").write_bytes(encoded(photo(60, 80)))
    copy.run("-m", "depthsvc", "predict", "photos/a.ppm", "-o", "a.csv", folder=tmp_path)
    copy.run("-m", "depthsvc", "batch", "photos", "out", "--format", "csv", "--url", copy.service.url, folder=tmp_path)
    predicted = depth_of((tmp_path / "a.csv").read_text())
    for name in ("a.ppm.depth.csv", "b.png.depth.csv"):
        assert np.allclose(depth_of((tmp_path / "out" / name).read_text()), predicted, rtol=1e-3)
    assert "csv: lines of comma-separated values" in " ".join(
        copy.run("-m", "depthsvc", "predict", "--help", folder=tmp_path).split()
    )


def test_a_depth_map_of_a_client_is_saved_as_one(copy: Copy, tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(PPM)
    script = """
import sys
from depthsvc import DepthClient
with DepthClient(sys.argv[1]) as client:
    client.depth("a.ppm").save("a.csv")
"""
    copy.run("-c", script, copy.service.url, folder=tmp_path)
    answer = httpx.post(f"{copy.service.url}/depth?format=csv", files={"image": PPM})
    assert np.allclose(depth_of((tmp_path / "a.csv").read_text()), depth_of(answer.text), rtol=1e-3)


def test_the_formats_of_this_package_are_what_they_were(embedded_service: RunningService) -> None:
    answer = httpx.post(f"{embedded_service.url}/depth?format=csv", files={"image": encoded(photo(9, 9))})
    assert answer.status_code == 422
    assert httpx.post(f"{embedded_service.url}/depth", files={"image": PPM}).status_code == 415
