from __future__ import annotations

import io
import math
import mmap
import struct
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from PIL import Image, ImageCms

from depthsvc.errors import BrokenImage, InvalidParameter, TooExpensive
from depthsvc.imaging.photo import bmp, pillow
from depthsvc.imaging.photo.pixels import Photo
from depthsvc.imaging.picture import Picture
from depthsvc.imaging.png import SIGNATURE as PNG_SIGNATURE
from depthsvc.imaging.png import chunk as png_chunk
from depthsvc.imaging.pointcloud import PointCloud, below_sky, relative_depth
from depthsvc.imaging.spec import InputSpec, ResizeRule, StereoLayout
from depthsvc.imaging.transparency import GROUND
from depthsvc.model.choice import EngineChoice
from depthsvc.model.engines.base import Engine
from depthsvc.model.loaded import Model
from depthsvc.model.spec import ModelSpec, OutputKind, PreparedModel, VerifiedFile
from depthsvc.options import (
    BokehOptions,
    DepthFormat,
    DepthOptions,
    HeatmapOptions,
    MeshOptions,
    NormalsOptions,
    Options,
    OutputSize,
    PointCloudOptions,
    SideBySideOptions,
    StereoOptions,
    UploadQuery,
)
from depthsvc.pipeline import stages
from depthsvc.pipeline.memory import memory_bounded
from depthsvc.pipeline.rendering import renderer_for
from depthsvc.pipeline.stages import Pipeline
from tests.conftest import encoded, opened
from tests.parity import photo


class FixedEngine(Engine):
    """Gives the same answer whatever it sees."""

    def __init__(self, output: NDArray[np.float32]) -> None:
        self.output = output
        self.seen: NDArray[np.float32] | None = None

    def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        self.seen = planes
        return self.output


def pipeline_of(
    engine: FixedEngine,
    rule: ResizeRule = ResizeRule.UPPER_BOUND,
    *,
    follows_edges: bool = False,
    max_cost: float = math.inf,
) -> Pipeline:
    spec = InputSpec(64, rule, 32, (0, 0, 0), (1, 1, 1))
    model = ModelSpec("fixed", spec, OutputKind.INVERSE_DEPTH, follows_edges)
    return Pipeline(
        Model(PreparedModel(model, VerifiedFile(Path("m"), ""), EngineChoice()), engine),
        max_pixels=10_000_000,
        max_input_size=128,
        max_cost=max_cost,
    )


PHOTO = encoded(photo(30, 40))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_pixel_that_is_no_number_spoils_no_other(value: float) -> None:
    values = np.tile(np.linspace(1, 9, 64, dtype=np.float32), (64, 1))
    values[3, 3] = value
    pipeline = pipeline_of(FixedEngine(values[None]), follows_edges=True)
    depth = pipeline.infer(pipeline.decode(PHOTO)).values
    assert np.isfinite(depth).all()
    assert np.abs(depth[32:] - values[32:]).max() < 1


@pytest.mark.parametrize("value", [0.0, 5.0, np.nan, np.inf, -np.inf, -4.0, 1e30])
def test_a_constant_or_non_finite_map_is_a_valid_answer(value: float) -> None:
    pipeline = pipeline_of(FixedEngine(np.full((1, 64, 64), value, np.float32)))
    every_format = [DepthOptions(format=format) for format in DepthFormat]
    kinds: list[Options] = [HeatmapOptions(), *every_format, PointCloudOptions(), BokehOptions(), NormalsOptions()]
    kinds.append(StereoOptions(layout=StereoLayout.ANAGLYPH))
    for options in kinds:
        answer = pipeline.answer(PHOTO, options)
        assert answer.shape == (30, 40)
        assert answer.min == pytest.approx(answer.max, rel=1e-6)
        assert 0 <= answer.min <= 65504
    mesh = pipeline.answer(PHOTO, MeshOptions())
    assert mesh.shape == (64, 64)
    [surface] = trimesh.load_scene(io.BytesIO(mesh.body), file_type="glb").geometry.values()
    assert np.isfinite(surface.bounds).all()
    raw = np.frombuffer(pipeline.answer(PHOTO, DepthOptions(normalize=True)).body, "<f2")
    assert not raw.any()


def test_one_bad_value_does_not_spoil_the_map() -> None:
    output = np.ones((1, 64, 64), np.float32)
    output[0, 0, 0] = np.nan
    answer = pipeline_of(FixedEngine(output)).answer(PHOTO, DepthOptions(size=OutputSize.MODEL))
    assert np.frombuffer(answer.body, "<f2").sum() == 64 * 64 - 1


def test_the_network_sees_the_photo_at_the_input_size() -> None:
    engine = FixedEngine(np.ones((1, 64, 64), np.float32))
    pipeline = pipeline_of(engine)
    for input_size, expected in ((None, (1, 3, 64, 64)), (128, (1, 3, 96, 128)), (32, (1, 3, 32, 32))):
        pipeline.answer(PHOTO, DepthOptions(input_size=input_size))
        assert engine.seen is not None
        assert engine.seen.shape == expected


@pytest.mark.parametrize("input_size", [33, 160])
def test_an_input_size_that_the_network_cannot_take_is_refused(input_size: int) -> None:
    pipeline = pipeline_of(FixedEngine(np.ones((1, 64, 64), np.float32)))
    with pytest.raises(InvalidParameter, match="Use a multiple of 32, at least 32 and at most 128"):
        pipeline.answer(PHOTO, HeatmapOptions(input_size=input_size))


def test_a_model_of_fixed_size_takes_no_other() -> None:
    pipeline = pipeline_of(FixedEngine(np.ones((1, 64, 64), np.float32)), ResizeRule.STRETCH)
    assert pipeline.answer(PHOTO, HeatmapOptions(input_size=64)).shape == (30, 40)
    with pytest.raises(InvalidParameter, match="only accepts 64"):
        pipeline.answer(PHOTO, HeatmapOptions(input_size=96))


def test_media_types_and_dtypes() -> None:
    pipeline = pipeline_of(FixedEngine(np.ones((1, 64, 64), np.float32)))
    kinds: list[Options] = [HeatmapOptions(), *(DepthOptions(format=format) for format in DepthFormat)]
    described = {
        options: (answer.media_type, answer.dtype) for options in kinds for answer in [pipeline.answer(PHOTO, options)]
    }
    assert list(described.values()) == [
        ("image/png", "uint8"),
        ("application/octet-stream", "float16"),
        ("application/x-npy", "float16"),
        ("image/png", "uint16"),
        ("image/x-exr", "float32"),
        ("image/tiff", "float32"),
    ]


@pytest.mark.parametrize(("width", "height"), [(400, 100), (100, 400), (1000, 50), (130, 97)])
def test_the_network_never_sees_more_than_a_square_of_the_largest_input_size(width: int, height: int) -> None:
    engine = FixedEngine(np.ones((1, 64, 64), np.float32))
    pipeline = pipeline_of(engine, ResizeRule.LOWER_BOUND)
    pipeline.answer(encoded(photo(height, width)), DepthOptions(input_size=128, size=OutputSize.MODEL))
    assert engine.seen is not None
    assert 64 * 64 <= engine.seen[0, 0].size <= 128 * 128


def test_a_point_cloud_has_the_photos_colours_on_the_grid_that_was_asked_for() -> None:
    pipeline = pipeline_of(FixedEngine(np.ones((1, 64, 64), np.float32)))
    answer = pipeline.answer(PHOTO, PointCloudOptions(stride=2))
    header, vertices = answer.body.split(b"end_header\n")
    assert (answer.media_type, answer.dtype, answer.shape) == ("model/ply", "float32", (15, 20))
    assert b"element vertex 300\n" in header
    colors = np.frombuffer(vertices, np.uint8).reshape(15, 20, 15)[..., 12:]
    assert np.abs(colors - photo(30, 40).reshape(15, 2, 20, 2, 3).mean(axis=(1, 3))).max() <= 1


def test_a_large_jpeg_keeps_the_pixels_that_its_result_needs() -> None:
    pipeline = pipeline_of(FixedEngine(np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(1, 64, 64)))
    data = encoded(photo(1200, 1600), "JPEG")
    refocused = pipeline.answer(data, BokehOptions(strength=0))
    assert (refocused.media_type, refocused.shape) == ("image/jpeg", (1200, 1600))
    assert np.abs(np.asarray(opened(refocused.body)).astype(int) - np.asarray(opened(data))).mean() < 3
    cloud = pipeline.answer(data, PointCloudOptions(max_points=200_000))
    assert cloud.shape == (300, 400)
    enough = renderer_for(PointCloudOptions(max_points=200_000), pipeline.model.spec).enough
    assert pipeline.decode(data, enough=enough).pixels.shape[0] == 300


SLOPE = np.linspace(0, 9, 64 * 64, dtype=np.float32).reshape(1, 64, 64)


@pytest.mark.parametrize("follows_edges", [True, False])
@pytest.mark.parametrize("kind", [DepthOptions, HeatmapOptions, SideBySideOptions, PointCloudOptions])
def test_a_map_is_refined_if_its_model_is_made_for_it_or_if_it_is_asked_for(
    kind: type[DepthOptions | HeatmapOptions | SideBySideOptions | PointCloudOptions], follows_edges: bool
) -> None:
    pipeline = pipeline_of(FixedEngine(SLOPE), follows_edges=follows_edges)
    bodies = {refine: pipeline.answer(PHOTO, kind(refine=refine)).body for refine in (True, False)}
    assert bodies[True] != bodies[False]
    assert (
        pipeline.answer(PHOTO, kind()).body == pipeline.answer(PHOTO, kind(refine="auto")).body == bodies[follows_edges]
    )


@pytest.mark.parametrize("refine", [True, False])
def test_points_are_as_far_away_as_the_map_of_the_photos_size_says(refine: bool) -> None:
    pipeline = pipeline_of(FixedEngine(SLOPE))
    values = np.load(io.BytesIO(pipeline.answer(PHOTO, DepthOptions(format=DepthFormat("npy"), refine=refine)).body))
    cloud = PointCloud.of_ply(pipeline.answer(PHOTO, PointCloudOptions(refine=refine)).body)
    expected = relative_depth(values.astype(np.float32))[below_sky(values.astype(np.float32))]
    np.testing.assert_allclose(-cloud.points[:, 2], expected, rtol=0.01)


def test_side_by_side_is_the_photo_and_its_heatmap() -> None:
    pipeline = pipeline_of(FixedEngine(SLOPE))
    heatmap = np.asarray(opened(pipeline.answer(PHOTO, HeatmapOptions(colormap="hot", invert=True)).body))
    options = UploadQuery(colormap="hot", invert=True, side_by_side=True, palette=True).options
    answer = pipeline.answer(PHOTO, options)
    pair = np.asarray(opened(answer.body))
    assert answer.shape == (30, 80)
    assert np.array_equal(pair[:, :40], photo(30, 40))
    assert np.array_equal(pair[:, 40:], heatmap)


def test_side_by_side_is_upright_and_follows_the_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[:, 20:] = 255  # right as stored, below as a person sees it
    turned = encoded(pixels, exif=exif)
    pipeline = pipeline_of(FixedEngine(SLOPE))
    pair = np.asarray(opened(pipeline.answer(turned, SideBySideOptions()).body))
    assert pair.shape == (40, 60, 3)
    assert (pair[:20, :30].max(), pair[20:, :30].min()) == (0, 255)
    small = opened(pipeline.answer(turned, SideBySideOptions(size=OutputSize.MODEL)).body)
    assert small.size == (128, 64)


def test_side_by_side_of_a_large_photo_is_bounded_and_keeps_its_detail() -> None:
    columns = np.zeros((100, 5000, 3), np.uint8)
    columns[:, ::500] = 255
    pipeline = pipeline_of(FixedEngine(SLOPE))
    for format in ("PNG", "JPEG"):
        pair = np.asarray(opened(pipeline.answer(encoded(columns, format), SideBySideOptions()).body))
        assert pair.shape == (82, 8192, 3)
        assert pair[:, :10].max() > 150  # one bright column in 500 would be lost at a reduced size


def with_display_p3(image: Image.Image) -> bytes:
    """A PNG whose profile has the primaries of Display P3, as phones write it: red is more than sRGB's red."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for name, primary in {b"rXYZ": (0.5151, 0.2412, -0.0011), b"gXYZ": (0.2919, 0.6922, 0.0419)}.items():
        place = int.from_bytes(profile[profile.index(name) + 4 :][:4], "big")
        profile[place + 8 : place + 20] = struct.pack(">3i", *(round(65_536 * value) for value in primary))
    place = int.from_bytes(profile[profile.index(b"bXYZ") + 4 :][:4], "big")
    profile[place + 8 : place + 20] = struct.pack(">3i", *(round(65_536 * value) for value in (0.1571, 0.0666, 0.7841)))
    return encoded(image, icc_profile=bytes(profile.replace("sRGB".encode("utf-16-be"), "P3".encode("utf-16-be") * 2)))


def described_as_p3(image: Image.Image, format: str) -> bytes:
    """A file that says by numbers that its colours are Display P3's."""
    if format == "HEIF":
        return encoded(image, "HEIF", quality=100, color_primaries=12, save_nclx_profile=True, chroma=444)
    data = encoded(image, format, **({"quality": 100, "subsampling": "4:4:4"} if format == "AVIF" else {}))
    if format == "AVIF":
        at = data.index(b"nclx") + 4
        return data[:at] + struct.pack(">H", 12) + data[at + 2 :]
    chunk = b"cICP" + bytes((12, 13, 0, 1))
    return data[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]


@pytest.mark.parametrize("format", ["PNG", "AVIF", "HEIF"])
def test_colours_that_are_described_by_numbers_are_shown_as_srgb(format: str) -> None:
    image = Image.new("RGB", (64, 64), (100, 180, 90))
    data = described_as_p3(image, format)
    pair = np.asarray(opened(pipeline_of(FixedEngine(SLOPE)).answer(data, SideBySideOptions()).body))
    assert np.abs(pair[5, 5, :3].astype(int) - (67, 182, 81)).max() <= 8


def test_colours_are_shown_as_srgb() -> None:
    """And the network sees them as they are stored, as in MiDaS."""
    engine = FixedEngine(SLOPE)
    pipeline = pipeline_of(engine)
    image = Image.new("RGB", (64, 64), (100, 180, 90))
    outcomes = []
    for data in (encoded(image), with_display_p3(image)):
        pair = np.asarray(opened(pipeline.answer(data, SideBySideOptions()).body))[:, :64]
        cloud = PointCloud.of_ply(pipeline.answer(data, PointCloudOptions()).body)
        sharp = Picture(pipeline.answer(data, BokehOptions(strength=0)).body).pixels
        assert engine.seen is not None
        outcomes.append([pair[5, 5], cloud.colors[5], sharp[5, 5], 255 * engine.seen[0, :, 5, 5]])
    plain, converted = np.array(outcomes, int)
    assert np.abs(plain - (100, 180, 90)).max() <= 2
    assert np.abs(converted[:3] - (67, 182, 81)).max() <= 6
    assert np.abs(converted[3] - (100, 180, 90)).max() <= 1


def test_a_grey_photos_colours_are_shown_as_srgb() -> None:
    """By a profile of linear light."""
    tags = {b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061), b"kTRC": b"curv" + bytes(8)}
    body, table, place = b"", struct.pack(">I", len(tags)), 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content
    size = place + len(body)
    head = struct.pack(">I4sI4s4s4s12x4s", size, b"", 0x02100000, b"mntr", b"GRAY", b"XYZ ", b"acsp").ljust(128, b"\0")
    head = head[:68] + struct.pack(">3i", 63190, 65536, 54061) + head[80:]
    pipeline = pipeline_of(FixedEngine(SLOPE))
    data = encoded(Image.new("L", (64, 64), 55), icc_profile=head + table + body)
    pair = np.asarray(opened(pipeline.answer(data, SideBySideOptions()).body))
    assert abs(int(pair[5, 5, 0]) - 128) <= 3  # 0.216 of the light


def test_half_transparent_points_have_their_own_colour() -> None:
    pixels = np.full((64, 64, 4), (200, 30, 30, 160), np.uint8)
    cloud = PointCloud.of_ply(pipeline_of(FixedEngine(SLOPE)).answer(encoded(pixels), PointCloudOptions()).body)
    assert np.abs(cloud.colors.astype(int) - (200, 30, 30)).max() <= 2


def test_a_damaged_profile_counts_as_none() -> None:
    pipeline = pipeline_of(FixedEngine(SLOPE))
    image = Image.fromarray(photo(30, 40))
    for profile in (b"no profile", bytes(16) + b"RGB " + bytes(500), bytes(16) + b"CMYK" + bytes(500)):
        shown = pipeline.answer(encoded(image, icc_profile=profile), SideBySideOptions()).body
        assert shown == pipeline.answer(encoded(image), SideBySideOptions()).body


def test_what_is_transparent_has_no_points_and_no_colours() -> None:
    pipeline = pipeline_of(FixedEngine(SLOPE))
    pixels = np.full((60, 80, 4), (250, 0, 0, 0), np.uint8)  # what an editor has erased
    pixels[20:40, 20:60] = 0, 200, 0, 255
    data = encoded(pixels)
    cloud = PointCloud.of_ply(pipeline.answer(data, PointCloudOptions()).body)
    assert 0 < len(cloud.points) <= 20 * 40
    assert (cloud.colors == (0, 200, 0)).all()
    refocused = np.asarray(opened(pipeline.answer(data, BokehOptions()).body)).astype(int)
    assert (refocused[..., 0] - refocused[..., 2]).max() < 20, "red is seen nowhere"
    pair = np.asarray(opened(pipeline.answer(data, SideBySideOptions()).body))
    assert pair.shape == (60, 160, 4)
    assert (pair[:, 80:, 3] == 255).all()
    assert (pair[:, :80, 3] == pixels[..., 3]).all()
    assert (pair[:20, :80, :3] == GROUND).all()
    assert (pair[20:40, 20:60, :3] == (0, 200, 0)).all()


def test_a_file_that_takes_more_memory_than_its_price_is_damaged() -> None:
    """A decoder is made to build tables that are far larger than the picture."""
    limits: list[float] = []
    original = memory_bounded

    def mapped(*_: object) -> Photo:
        mmap.mmap(-1, 10_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
        raise AssertionError("the memory was available")

    def nearly_nothing(extra_bytes: float) -> AbstractContextManager[None]:
        limits.append(extra_bytes)
        return original(1_000_000)

    pipeline = pipeline_of(FixedEngine(SLOPE))
    data = encoded(photo(50, 50), "BMP")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bmp, "photo_of", mapped)
        patch.setattr(stages, "memory_bounded", nearly_nothing)
        with pytest.raises(BrokenImage):
            pipeline.answer(data, BokehOptions(full_size=True))
    assert pipeline.answer(data, DepthOptions(size=OutputSize.MODEL))
    assert 50 * 50 * 3 < limits[0] < 1e9


EMPTY_BLOCKS = bytes.fromhex("0208208000")
"""Four Deflate blocks with nothing in them."""


def with_empty_blocks(deflated: bytes, size: int) -> bytes:
    """A zlib stream that inflates to the same after so many bytes of empty blocks."""
    return deflated[:2] + EMPTY_BLOCKS * (size // len(EMPTY_BLOCKS)) + deflated[2:]


def slow_png(size: int, interlacing: int = 0) -> bytes:
    side = 256
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, interlacing)
    rows = bytes(2 * side * (side + 1))  # more than seven passes have
    chunks = ((b"IHDR", header), (b"IDAT", with_empty_blocks(zlib.compress(rows), size)), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(piece for kind, content in chunks for piece in png_chunk(kind, [content]))


def slow_tiff(size: int) -> bytes:
    side, at = 256, 8
    strip = with_empty_blocks(zlib.compress(bytes(side * side)), size)
    entries = [(256, side), (257, side), (258, 8), (259, 8), (262, 1), (273, at), (277, 1), (278, side)]
    entries.append((279, len(strip)))
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    head = b"II*\0" + struct.pack("<I", at + len(strip))
    return head + strip + struct.pack("<H", len(entries)) + directory + bytes(4)


@pytest.mark.parametrize("make", [slow_png, lambda size: slow_png(size, 1), slow_tiff], ids=["PNG", "Adam7", "TIFF"])
def test_a_file_that_takes_longer_than_the_largest_price_is_given_up(
    make: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its header says nothing of the millions of empty blocks in its coded data."""
    monkeypatch.setattr(pillow, "DETAIL_PIXELS", 0)
    options = DepthOptions(size=OutputSize.MODEL)
    free, limited = pipeline_of(FixedEngine(SLOPE)), pipeline_of(FixedEngine(SLOPE), max_cost=1)
    assert free.answer(make(10_000_000), options)
    assert limited.answer(make(0), options)
    with pytest.raises(TooExpensive, match="takes far longer than its header tells"):
        limited.answer(make(10_000_000), options)
