"""Videos that are no files: folders of photos, and pipes in both directions."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from depthsvc.cli import main
from depthsvc.errors import ConfigurationError, DepthServiceError, TooManyPixels, VideoError
from depthsvc.video.library import av
from depthsvc.video.reading import VideoInfo
from depthsvc.video.sources import Opening
from depthsvc.video.y4m import Y4MWriter
from tests.video.clips import clip, grey_of, picture

NOTHING = io.BytesIO()


@contextmanager
def pipe(data: bytes) -> Iterator[BinaryIO]:
    """The reading end of a pipe that has all the data, which has to be less than a pipe holds."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        yield stream


def y4m(kind: str, planes: list[tuple[int, int]], dtype: str = "u1", size: tuple[int, int] = (64, 48)) -> bytes:
    """Three frames whose luma is 100, 120 and 140 of 255."""
    data = f"YUV4MPEG2 W{size[0]} H{size[1]} F30000:1001 Ip A1:1 {kind}\n".encode()
    scale = 4 if dtype == "<u2" else 1
    for number in range(3):
        data += b"FRAME\n"
        for place, (width, height) in enumerate(planes):
            data += np.full((height, width), scale * (128 if place else 100 + 20 * number), dtype).tobytes()
    return data


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Ten photos in several formats, whose numbers are not in the order of their letters."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(10):
        suffix = ("png", "PNG", "tif", "bmp", "webp")[number % 5]
        Image.fromarray(picture(number)).save(folder / f"shot2_{number + 1}.{suffix}", quality=95, lossless=True)
    (folder / "notes.txt").write_text("of the day")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def test_a_folder_is_read_in_the_order_of_its_numbers(frames: Path) -> None:
    with Opening(10**6, rate=Fraction(30000, 1001)).open(str(frames), NOTHING) as source:
        found = list(source)
    assert [grey_of(frame.rgb(64, 48)) for frame in found] == list(range(10))
    assert [frame.time for frame in found] == [Fraction(1001 * number, 30000) for number in range(10)]
    assert (source.info.frames, source.info.width, source.info.height) == (10, 64, 48)
    np.testing.assert_array_equal(found[3].rgb(64, 48), picture(3))


def test_a_part_of_a_folder_may_be_read(frames: Path) -> None:
    opening = Opening(10**6, start_s=1, end_s=4, max_fps=1, rate=Fraction(2))
    with opening.open(str(frames), NOTHING) as source:
        assert [(frame.index, float(frame.time)) for frame in source] == [(0, 1.0), (1, 2.0), (2, 3.0)]
    assert source.info.frames == 3


def test_damaged_photos_are_left_out_and_keep_their_time(frames: Path) -> None:
    (frames / "shot2_1.png").write_bytes(b"")
    (frames / "shot2_4.bmp").write_bytes((frames / "shot2_4.bmp").read_bytes()[:100])
    with Opening(10**6, rate=Fraction(1)).open(str(frames), NOTHING) as source:
        assert [frame.time for frame in source] == [1, 2, 4, 5, 6, 7, 8, 9]
    assert source.damage == f"2 damaged picture(s) of {frames} left out"


def test_the_folder_that_is_read_gets_no_results(frames: Path) -> None:
    before = sorted(frames.iterdir())
    result = CliRunner().invoke(main, ["video", str(frames), f"{frames}/../{frames.name}", "--format", "png16"])
    assert "is the folder that is read" in result.output
    assert sorted(frames.iterdir()) == before


def test_what_is_no_folder_of_frames_is_said(frames: Path, tmp_path: Path) -> None:
    def refused(path: Path, message: str, max_pixels: int = 10**6) -> None:
        with pytest.raises(DepthServiceError, match=re.escape(message)):
            list(Opening(max_pixels).open(str(path), NOTHING))

    refused(frames, f"{frames / 'shot2_1.png'}: The image has 64 x 48 pixels; the limit is 0.001 megapixels", 1000)
    Image.fromarray(picture(0, 32, 48)).save(frames / "shot2_11.png")
    refused(frames, "shot2_11.png is 32 x 48 pixels, and the frames before it 64 x 48.")
    videos = tmp_path / "videos"
    videos.mkdir()
    refused(videos, "no JPEG")
    (videos / "a.MP4").touch()
    refused(videos, f"{videos} is a folder of videos.")
    (videos / "a.png").write_bytes(b"no photo")
    refused(videos, "has no picture that can be decoded")


@pytest.mark.parametrize(
    "data",
    [
        y4m("C420jpeg", [(64, 48), (32, 24), (32, 24)]),
        y4m("C422", [(64, 48), (32, 48), (32, 48)]),
        y4m("C444", [(64, 48)] * 3),
        y4m("Cmono", [(64, 48)]),
        y4m("C420p10", [(64, 48), (32, 24), (32, 24)], "<u2"),
        y4m("Cmono10", [(64, 48)], "<u2"),
    ],
    ids=["420", "422", "444", "mono", "420 of 10 bit", "mono of 10 bit"],
)
def test_a_pipe_of_y4m_is_read(data: bytes) -> None:
    with pipe(data) as stdin, Opening(64 * 48).open("-", stdin) as source:
        found = list(source)
        assert source.info.rate == Fraction(30000, 1001)
    assert [frame.time for frame in found] == [Fraction(1001 * number, 30000) for number in range(3)]
    means = [float(frame.rgb(64, 48).mean()) for frame in found]
    np.testing.assert_allclose(means, [(level - 16) * 255 / 219 for level in (100, 120, 140)], atol=25)
    assert means == sorted(means)


def test_a_pipe_of_a_container_is_read(tmp_path: Path) -> None:
    data = clip(tmp_path / "in.mkv").read_bytes()
    with pipe(data) as stdin, Opening(10**6).open("-", stdin) as source:
        assert [grey_of(frame.rgb(64, 48)) for frame in source] == list(range(10))


def test_an_mp4_with_its_index_at_the_end_is_not_called_damaged(tmp_path: Path) -> None:
    data = clip(tmp_path / "in.mp4").read_bytes()
    index = data.find(b"moov") - 4
    assert index > data.find(b"mdat")
    far = data[:index] + (50_000).to_bytes(4) + b"free" + bytes(50_000 - 8) + data[index:]
    with pipe(far) as stdin, pytest.raises(VideoError, match=r"index at the end.*-movflags faststart"):
        Opening(10**6).open("-", stdin)


@pytest.mark.parametrize("word", ["https://example.org/a.mp4", "rtsp://camera/stream"])
def test_a_url_is_not_taken_for_a_file(word: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{word} is a URL. Download the video"):
        Opening(10**6).open(word, NOTHING)


def test_raw_pictures_are_read_and_half_a_picture_is_said() -> None:
    data = b"".join(picture(number).tobytes() for number in range(5))
    with pipe(data[:-1]) as stdin, Opening(64 * 48, rate=Fraction(10), raw=(64, 48)).open("-", stdin) as source:
        found = list(source)
    assert [frame.time for frame in found] == [Fraction(number, 10) for number in range(4)]
    np.testing.assert_array_equal(found[2].rgb(64, 48), picture(2))
    assert source.damage == "1 damaged picture(s) of Standard input left out"


class Unread(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("the size is known before")


def test_a_pipe_is_measured_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(TooManyPixels, match=r"100000 x 99999 pixels; the limit is 1 megapixels"):
        next(iter(Opening(10**6, raw=(100000, 99999)).open("-", Unread())))
    huge = y4m("C420", [(4, 4)], size=(40000, 30000))
    with pipe(huge) as stdin, pytest.raises(TooManyPixels, match="40000 x 30000 pixels"):
        Opening(10**6).open("-", stdin)
    file = tmp_path / "huge.y4m"
    file.write_bytes(huge)
    with pytest.raises(TooManyPixels, match="40000 x 30000 pixels"):
        Opening(10**6).open(str(file), NOTHING)


@pytest.mark.parametrize("data", [b"", b"neither a video nor anything else" * 99])
def test_a_pipe_that_is_no_video_is_said(data: bytes) -> None:
    with pipe(data) as stdin, pytest.raises(VideoError, match=r"not a video"):
        Opening(10**6).open("-", stdin)


def test_options_that_do_not_belong_to_a_source_are_refused(tmp_path: Path) -> None:
    file = str(clip(tmp_path / "in.mp4"))
    with pytest.raises(ConfigurationError, match="--fps is for"):
        Opening(10**6, rate=Fraction(3)).open(file, NOTHING)
    with pytest.raises(ConfigurationError, match="--raw needs -"):
        Opening(10**6, raw=(3, 3)).open(file, NOTHING)


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_y4m_is_read_as_it_was_written(size: tuple[int, int], tmp_path: Path) -> None:
    width, height = size
    shapes = ((height, width), *[(-(-height // 2), -(-width // 2))] * 2)
    random = np.random.default_rng(0)
    written = [[random.integers(16, 236, shape, np.uint8) for shape in shapes] for _ in range(3)]
    path = tmp_path / "out.y4m"
    with path.open("wb") as stream:
        info = VideoInfo(width, height, rate=Fraction(24000, 1001), sample_aspect_ratio=Fraction(4, 3))
        writer = Y4MWriter(stream, info=info, width=width, height=height)
        for y, u, v in written:
            writer.write_yuv((y, u, v), Fraction(0))
    with av.open(str(path)) as container:
        stream_read = container.streams.video[0]
        assert stream_read.average_rate == Fraction(24000, 1001)
        assert stream_read.sample_aspect_ratio == Fraction(4, 3)
        pictures = list(container.decode(stream_read))
    assert pictures[0].format.name == "yuv420p"
    assert pictures[0].color_range == 1
    for expected, found in zip(written, pictures, strict=True):
        for plane, shape, values in zip(found.planes, shapes, expected, strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: shape[0], : shape[1]]
            np.testing.assert_array_equal(rows, values)
