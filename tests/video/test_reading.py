"""What a video shows, and when; and files that are not what they say."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from depthsvc.errors import ConfigurationError, DepthServiceError, TooManyPixels, VideoError, installation
from depthsvc.video.colour import Colour, sdr
from depthsvc.video.reading import Frame, VideoInfo, VideoReader
from tests.parity import photo
from tests.video.clips import FRAMES, HEIGHT, WIDTH, clip, grey_of, stretched

LIMIT = 1_000_000
VFR = (0, 40, 80, 400, 1000, 1033, 1066)


def read(source: Path, start_s: float | None = None, end_s: float | None = None) -> list[Frame]:
    with VideoReader(source, max_pixels=LIMIT, start_s=start_s, end_s=end_s) as reader:
        return list(reader)


def refusal(source: Path) -> str:
    with pytest.raises(DepthServiceError) as error:
        read(source)
    assert "\n" not in str(error.value)
    return str(error.value)


def times(frames: list[Frame]) -> list[float]:
    return [float(frame.time) for frame in frames]


def numbers(frames: list[Frame]) -> list[int]:
    return [grey_of(frame.rgb(WIDTH, HEIGHT)) for frame in frames]


def test_a_video_is_described_and_every_frame_is_read(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", sound="aac")
    with VideoReader(path, max_pixels=LIMIT) as reader:
        info = reader.info
        frames = list(reader)
    assert info == VideoInfo(
        WIDTH,
        HEIGHT,
        rate=Fraction(10),
        time_base=info.time_base,
        frames=FRAMES,
        duration_s=1.0,
        colour=Colour(6, full_range=False),
        audio=("aac",),
        path=path,
    )
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [frame.time for frame in frames] == [Fraction(index, 10) for index in range(FRAMES)]
    assert [frame.duration for frame in frames] == [Fraction(1, 10)] * FRAMES
    assert numbers(frames) == list(range(FRAMES))
    assert reader.damaged == 0


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mov", "libx264"), (".mkv", "libx264"), (".avi", "mpeg4"), (".ts", "libx264")]
)
def test_times_begin_where_players_begin(tmp_path: Path, suffix: str, codec: str) -> None:
    """MPEG-TS begins at 1.4 seconds, and AVI has no time stamps."""
    base = Fraction(1, 10) if suffix == ".avi" else Fraction(1, 1000)
    ticks = range(10) if suffix == ".avi" else range(0, 1000, 100)
    frames = read(clip(tmp_path / f"a{suffix}", codec=codec, time_base=base, ticks=tuple(ticks)))
    assert np.allclose(times(frames), np.arange(10) / 10, atol=1e-9)


def test_uneven_times_stay_uneven(tmp_path: Path) -> None:
    assert [frame.time for frame in read(clip(tmp_path / "a.mp4", ticks=VFR))] == [Fraction(t, 1000) for t in VFR]


def test_a_stream_without_time_stamps_is_shown_at_its_rate(tmp_path: Path) -> None:
    frames = read(clip(tmp_path / "a.h264", rate=Fraction(25)))
    assert np.allclose(times(frames), np.arange(FRAMES) / 25)
    assert numbers(frames) == list(range(FRAMES))


def test_times_that_go_back_or_repeat_still_increase(tmp_path: Path) -> None:
    """Two recordings in one MPEG-TS file: the second begins at the time at which the first did."""
    once = clip(tmp_path / "a.ts").read_bytes()
    (tmp_path / "b.ts").write_bytes(once + once)
    found = times(read(tmp_path / "b.ts"))
    assert len(found) == 2 * FRAMES
    assert (np.diff(found) > 0).all()
    assert found[-1] < 2.5


def test_a_part_is_read_from_start_to_end(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", ticks=range(0, 10_000, 1000), options={"g": "3"})
    assert times(read(path, start_s=5, end_s=8)) == [5, 6, 7]
    assert numbers(read(path, start_s=5, end_s=8)) == [5, 6, 7]
    assert times(read(path, start_s=8.5)) == [9]
    assert read(path, start_s=20) == []


def test_a_part_of_a_stream_that_cannot_be_sought_is_read(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.h264", ticks=range(0, 6000, 100), rate=Fraction(25))
    part = read(path, start_s=2, end_s=2.3)
    assert np.allclose(times(part), np.arange(50, 58) / 25)
    assert numbers(part) == [0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("max_fps", [5, 4, 60])
def test_the_rate_can_be_limited(tmp_path: Path, max_fps: int) -> None:
    with VideoReader(clip(tmp_path / "a.mp4"), max_pixels=LIMIT, max_fps=max_fps) as reader:
        found = times(list(reader))
    assert found == {5: [0, 0.2, 0.4, 0.6, 0.8], 4: [0, 0.3, 0.5, 0.8], 60: [i / 10 for i in range(10)]}[max_fps]
    assert reader.info.frames == {5: 5, 4: 4, 60: 10}[max_fps]


@pytest.mark.parametrize("what", [{"start_s": -1}, {"start_s": 2, "end_s": 1}, {"max_fps": 0}, {"end_s": float("nan")}])
def test_a_part_that_cannot_be_is_refused(tmp_path: Path, what: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        VideoReader(clip(tmp_path / "a.mp4"), max_pixels=LIMIT, **what)  # type: ignore[arg-type]


@pytest.mark.parametrize(("turn", "corner"), [(90, (1, 0)), (180, (1, 1)), (270, (0, 1))])
def test_a_turned_video_is_upright(tmp_path: Path, turn: int, corner: tuple[int, int]) -> None:
    """`turn`: degrees counter-clockwise; the red quarter was in the upper left corner."""
    path = clip(tmp_path / "a.mp4", turn=turn, aspect=Fraction(4, 3))
    with VideoReader(path, max_pixels=LIMIT) as reader:
        info = reader.info
        frame = next(iter(reader))
    sides = (WIDTH, HEIGHT) if turn == 180 else (HEIGHT, WIDTH)
    assert (info.width, info.height, info.rotation) == (*sides, 360 - turn)
    assert info.sample_aspect_ratio == (Fraction(4, 3) if turn == 180 else Fraction(3, 4))
    pixels = frame.rgb(20, 30)
    assert pixels.shape == (30, 20, 3)
    assert pixels.flags.c_contiguous
    redness = pixels[..., 0].astype(int) - pixels[..., 1]
    assert redness[5 + 15 * corner[0] : 10 + 15 * corner[0], 3 + 10 * corner[1] : 7 + 10 * corner[1]].min() > 150
    assert (redness > 100).mean() == pytest.approx(0.25, abs=0.03)
    luma, u, v = frame.planes(21, 31, Colour())
    assert (luma.shape, u.shape, v.shape) == ((31, 21), (16, 11), (16, 11))
    assert v[4 + 8 * corner[0], 3 + 5 * corner[1]] > 200


def test_a_mirrored_video_is_upright(tmp_path: Path) -> None:
    data = bytearray(clip(tmp_path / "a.mp4").read_bytes())
    struct.pack_into(">i", data, data.find(b"tkhd") + 4 + 40, -65536)
    (tmp_path / "b.mp4").write_bytes(data)
    pixels = read(tmp_path / "b.mp4")[0].rgb(WIDTH, HEIGHT)
    assert pixels[10, 50, 1] < 60 < 200 < pixels[10, 50, 0]
    assert abs(int(pixels[10, 10, 0]) - 20) < 8


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full_range", [False, True])
def test_colours_are_true(tmp_path: Path, matrix: int, full_range: bool) -> None:
    frames = read(clip(tmp_path / "a.mp4", matrix=matrix, full_range=full_range))
    pixels = frames[0].rgb(WIDTH, HEIGHT).astype(int)
    assert np.abs(pixels[4:20, 4:28] - (220, 20, 20)).max() <= 4
    assert np.abs(pixels[30:, 40:] - 20).max() <= 2
    y, u, v = frames[0].planes(WIDTH, HEIGHT, Colour(1, full_range=False))
    expected = Colour(1, full_range=False).yuv(np.array([220, 20, 20], np.uint8)).astype(int)
    assert np.abs(np.array([y[10, 10], u[5, 5], v[5, 5]], int) - expected).max() <= 3


def test_shrunk_frames_are_averages(tmp_path: Path) -> None:
    """As cv2's INTER_AREA: a fine pattern becomes grey instead of stripes."""
    pattern = photo(HEIGHT * 4, WIDTH * 4)
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        stream = output.add_stream("ffv1", 10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH * 4, HEIGHT * 4, "bgr0"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(pattern, "rgb24")))
        output.mux(stream.encode(None))
    means = pattern.reshape(HEIGHT, 4, WIDTH, 4, 3).mean((1, 3))
    assert np.abs(read(tmp_path / "a.mkv")[0].rgb(WIDTH, HEIGHT) - means).max() <= 2


@pytest.mark.parametrize(("transfer", "white"), [(16, 0.58069), (18, 0.75)])
def test_hdr_is_shown_as_sdr(transfer: int, white: float) -> None:
    """White of SDR (ITU-R BT.2408) is bright, 1000 nits are white, black is black, and grey stays grey."""
    signal = np.round(np.array([0, white / 2, white, 0.7518 if transfer == 16 else 1.0]) * 65535)
    shown = sdr(np.repeat(signal, 3).reshape(1, 4, 3).astype(np.uint16), transfer)
    assert (np.ptp(shown.astype(int), axis=-1) <= 1).all()
    levels = shown[0, :, 0].astype(int)
    assert levels[0] == 0
    assert (np.diff(levels) > 10).all()
    assert 190 < levels[2] < 240
    assert levels[3] >= 254


def test_an_hdr_video_is_mapped(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mkv", pixel_format="yuv420p10le", matrix=9, options={"x264-params": "transfer=smpte2084"})
    with VideoReader(path, max_pixels=LIMIT) as reader:
        assert reader.info.is_hdr
        assert reader.info.colour.for_display() == Colour(1, False, 1, 1)
        pixels = next(iter(reader)).rgb(16, 12)
    assert pixels.dtype == np.uint8
    assert pixels[1, 1, 0] > 200 > 60 > pixels[1, 1, 1]


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (37, 21)])
def test_an_interlaced_video_is_read(tmp_path: Path, size: tuple[int, int]) -> None:
    frame = read(clip(tmp_path / "a.mkv", options={"x264-params": "interlaced=1"}))[3]
    assert frame.picture.interlaced_frame
    pixels = frame.rgb(*size).astype(int)
    assert np.abs(pixels[size[1] * 2 // 3 :, size[0] * 2 // 3 :] - 80).max() <= 3
    assert frame.planes(*size, Colour())[0].shape == size[::-1]


@pytest.mark.parametrize(
    "pixel_format", ["yuv422p", "yuv444p10le", "gray", "gray10le", "bgr0", "gbrp10le", "yuv420p16le"]
)
def test_every_pixel_format_is_read(tmp_path: Path, pixel_format: str) -> None:
    matrix = 0 if "b" in pixel_format else 6
    path = clip(
        tmp_path / "a.mkv", codec="ffv1", pixel_format=pixel_format, matrix=matrix, full_range="y" in pixel_format
    )
    frame = read(path)[3]
    assert np.abs(frame.rgb(WIDTH, HEIGHT)[30:, 40:].astype(int) - 80).max() <= 2
    assert abs(int(frame.planes(WIDTH, HEIGHT, Colour(1, full_range=True))[0][40, 50]) - 80) <= 2


def test_the_pictures_may_change_their_size(tmp_path: Path) -> None:
    one = clip(tmp_path / "a.ts").read_bytes()
    two = clip(tmp_path / "b.ts", size=(32, 24)).read_bytes()
    (tmp_path / "c.ts").write_bytes(one + two)
    frames = read(tmp_path / "c.ts")
    assert len(frames) >= FRAMES + 5
    assert {frame.rgb(WIDTH, HEIGHT).shape for frame in frames} == {(HEIGHT, WIDTH, 3)}
    assert (frames[-1].picture.width, frames[-1].picture.height) == (32, 24)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts"])
def test_of_a_truncated_file_what_is_there_is_read(tmp_path: Path, suffix: str) -> None:
    codec, options = ("mpeg4", {}) if suffix == ".avi" else ("libx264", {"bf": "0", "tune": "zerolatency"})
    path = clip(tmp_path / f"a{suffix}", codec=codec, ticks=range(0, 8000, 100), options=options)
    if suffix == ".mp4":
        with (
            av.open(str(path)) as source,
            av.open(str(tmp_path / "b.mp4"), "w", options={"movflags": "faststart"}) as o,
        ):
            stream = o.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    o.mux(packet)
        path = tmp_path / "b.mp4"
    data = path.read_bytes()
    middle = (data.find(b"movi") + data.find(b"idx1")) // 2 if suffix == ".avi" else len(data) // 2
    path.write_bytes(data[:middle])
    with VideoReader(path, max_pixels=LIMIT) as reader:
        found = len(list(reader))
    assert 20 <= found < 80
    if suffix == ".mp4":
        assert reader.damaged >= 80 - found


def test_damage_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    data = bytearray(clip(tmp_path / "a.mov", codec="png", pixel_format="rgb24", matrix=0).read_bytes())
    at = [i for i in range(len(data)) if data.startswith(b"IHDR", i)][4]
    data[at : at + 40] = bytes(40)
    (tmp_path / "b.mov").write_bytes(data)
    with VideoReader(tmp_path / "b.mov", max_pixels=LIMIT) as reader:
        assert numbers(list(reader)) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert reader.damaged == 1


def test_a_video_comes_through_a_pipe(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mkv")
    with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with VideoReader(process.stdout, max_pixels=LIMIT) as reader:  # type: ignore[arg-type]
            assert numbers(list(reader)) == list(range(FRAMES))
            assert reader.info.path is None


def test_files_that_are_no_videos_are_named(tmp_path: Path) -> None:
    files = {
        "empty": (b"", "is empty"),
        "text": (b"Dear reader,\nthis is no video.\n", "is text"),
        "photo": (b"\xff\xd8\xff\xe0" + bytes(100), "is a photo"),
        "garbage": (np.random.default_rng(0).bytes(50_000), "is not a video"),
        "zeros": (bytes(50_000), "is not a video"),
        "cut.mp4": (clip(tmp_path / "a.mp4").read_bytes()[:1000], "is damaged or incomplete"),
    }
    for name, (data, reason) in files.items():
        (tmp_path / name).write_bytes(data)
        assert reason in refusal(tmp_path / name), name
    assert "Is a directory" in refusal(tmp_path)
    assert "No such file" in refusal(tmp_path / "missing")


def test_sound_alone_and_a_cover_are_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        tone = output.add_stream("aac", 48_000, layout="mono")
        assert isinstance(tone, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.int16), "s16", "mono")
        frame.sample_rate = 48_000
        output.mux(tone.encode(frame))
        output.mux(tone.encode(None))
    assert "only audio" in refusal(path)
    with av.open(str(path)) as source, av.open(str(tmp_path / "b.mp4"), "w") as output:
        tone = output.add_stream_from_template(source.streams.audio[0])
        cover = output.add_stream("mjpeg", 1)
        assert isinstance(cover, av.VideoStream)
        cover.width, cover.height, cover.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        output.mux(cover.encode(av.VideoFrame(WIDTH, HEIGHT, "yuvj420p")))
        output.mux(cover.encode(None))
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = tone
                output.mux(packet)
    assert "only a cover picture" in refusal(tmp_path / "b.mp4")


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = stretched(tmp_path / "a.mov", 12_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TooManyPixels, match="12000 x 12000 pixels; the limit is 1 megapixels"):
        VideoReader(path, max_pixels=LIMIT)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_huge_picture_in_a_file_that_claims_to_be_small_is_not_decoded(tmp_path: Path) -> None:
    data = bytearray(stretched(tmp_path / "a.mov", 12_000).read_bytes())
    struct.pack_into(">HH", data, data.find(b"stsd") + 4 + 8 + 8 + 24, 64, 48)
    (tmp_path / "b.mov").write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refusal(tmp_path / "b.mov")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@contextmanager
def watched(path: Path) -> Iterator[list[bool]]:
    """Whether anybody opens a file: the list is filled at the end."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(descriptor, os.fsencode(path), 0x20) > 0  # IN_OPEN
    opened: list[bool] = []
    try:
        yield opened
        try:
            opened.append(bool(os.read(descriptor, 4096)))
        except BlockingIOError:
            opened.append(False)
    finally:
        os.close(descriptor)


def reference_movie(path: Path, other: Path) -> Path:
    """A MOV whose pictures are in another file, which it names."""
    data = clip(path).read_bytes()
    at = data.find(b"dref") - 4
    (size,) = struct.unpack_from(">I", data, at)
    name = str(other).encode()
    name = b"/" * (len(name) % 2) + name
    alias = bytes(6) + bytes(144) + struct.pack(">hH", 2, len(name)) + name + struct.pack(">hH", -1, 0)
    box = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    new = struct.pack(">I4sII", 16 + len(box), b"dref", 0, 1) + box
    grown = bytearray(data[:at] + new + data[at + size :])
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        start = grown.find(parent) - 4
        struct.pack_into(">I", grown, start, struct.unpack_from(">I", grown, start)[0] + len(new) - size)
    path.write_bytes(grown)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="inotify")
@pytest.mark.parametrize("name", ["list.mp4", "list.ffconcat", "index.m3u8", "index.mp4", "a.mpd", "a.sdp"])
def test_a_list_opens_no_other_file(tmp_path: Path, name: str) -> None:
    other = clip(tmp_path / "secret.ts")
    lists = {
        "list": f"ffconcat version 1.0\nfile {other.name}\n",
        "index": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other.name}\n#EXT-X-ENDLIST\n",
        "a": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>secret.ts</BaseURL></MPD>',
    }
    path = tmp_path / name
    path.write_text("v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5 RTP/AVP 96\n" if name == "a.sdp" else lists[path.stem])
    with watched(other) as opened:
        assert "playlist" in refusal(path)
    assert opened == [False]


@pytest.mark.skipif(sys.platform != "linux", reason="inotify")
def test_a_movie_that_refers_to_another_file_does_not_open_it(tmp_path: Path) -> None:
    other = clip(tmp_path / "secret.mov")
    path = reference_movie(tmp_path / "a.mov", other)
    with watched(other) as opened, suppress(VideoError):
        read(path)
    assert opened == [False]


@pytest.mark.skipif(sys.platform != "linux", reason="inotify")
def test_a_file_that_is_opened_is_noticed(tmp_path: Path) -> None:
    other = clip(tmp_path / "a.mp4")
    with watched(other) as opened:
        read(other)
    assert opened == [True]


@pytest.mark.parametrize(
    "name", ["http://127.0.0.1:9/a.mp4", "concat:a.mp4|a.mp4", "subfile,,start,0,end,9,,:a.mp4", "-"]
)
def test_a_name_is_a_file_and_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    clip(tmp_path / "a.mp4")
    monkeypatch.chdir(tmp_path)
    assert "No such file" in refusal(Path(name))


def test_without_pyav_the_error_says_what_to_install() -> None:
    code = "import sys; sys.modules['av'] = None\nimport depthsvc.video.reading"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"Videos need PyAV. Install it: {installation('video')}" in result.stderr
