"""Files that are written: times, sound, colours and sizes as in the source, and nothing left of what failed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from depthsvc.errors import ConfigurationError, VideoError
from depthsvc.video.colour import Colour
from depthsvc.video.reading import VideoInfo, VideoReader
from depthsvc.video.writing import VideoWriter
from tests.video.clips import FRAMES, HEIGHT, WIDTH, clip, grey_of, heard, picture, times

LIMIT = 1_000_000
VFR = (0, 40, 80, 400, 1000, 1033, 1066)
INFO = VideoInfo(WIDTH, HEIGHT, rate=Fraction(10), time_base=Fraction(1, 1000))


def copied(source: Path, target: Path, *, sound: bool = True, overwrite: bool = False, **what: Any) -> Path:
    """The pictures of a source, read and written again."""
    with (
        VideoReader(source, max_pixels=LIMIT, **what) as reader,
        VideoWriter(
            target,
            info=reader.info,
            width=reader.info.width,
            height=reader.info.height,
            audio_from=reader if sound else None,
            start=reader.start,
            overwrite=overwrite,
        ) as writer,
    ):
        for frame in reader:
            planes = frame.planes(*writer.size, writer.colour)
            writer.write_yuv(planes, frame.time, frame.duration)
    return target


def shown(path: Path) -> list[int]:
    with VideoReader(path, max_pixels=LIMIT) as reader:
        return [grey_of(frame.rgb(WIDTH, HEIGHT)) for frame in reader]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi"])
def test_every_frame_keeps_its_time(tmp_path: Path, suffix: str) -> None:
    source = clip(tmp_path / "a.mp4", sound="aac")
    target = copied(source, tmp_path / f"b{suffix}")
    assert times(target) == [Fraction(index, 10) for index in range(FRAMES)]
    assert shown(target) == list(range(FRAMES))
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 10
        assert stream.codec_context.pix_fmt == "yuv420p"
    assert [path.name for path in tmp_path.iterdir()].count(target.name) == 1
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_uneven_times_are_kept(tmp_path: Path, suffix: str) -> None:
    target = copied(clip(tmp_path / "a.mp4", ticks=VFR), tmp_path / f"b{suffix}")
    assert times(target) == [Fraction(tick, 1000) for tick in VFR]


def test_times_of_ntsc_are_exact(tmp_path: Path) -> None:
    source = clip(
        tmp_path / "a.mp4", ticks=range(0, 10 * 1001, 1001), time_base=Fraction(1, 30_000), rate=Fraction(30_000, 1001)
    )
    target = copied(source, tmp_path / "b.mp4")
    assert times(target) == [Fraction(1001 * index, 30_000) for index in range(10)]
    with av.open(str(target)) as container:
        assert container.streams.video[0].average_rate == Fraction(30_000, 1001)
        assert container.duration == pytest.approx(1e6 * 10 * 1001 / 30_000, abs=1)


def test_uneven_times_in_an_avi_are_multiples_of_its_frames(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "b.avi", info=INFO, width=WIDTH, height=HEIGHT) as writer:
        for index, tick in enumerate((0, 110, 390, 410, 1000)):
            writer.write(picture(index), Fraction(tick, 1000))
    assert times(tmp_path / "b.avi") == [Fraction(index, 10) for index in (0, 1, 4, 5, 10)]


def test_the_last_frame_is_shown_for_its_duration(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", info=INFO, width=WIDTH, height=HEIGHT) as writer:
        writer.write(picture(0), Fraction(0))
        writer.write(picture(1), Fraction(1, 2), Fraction(3))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.duration == 3_500_000


def test_a_late_beginning_stays_late(tmp_path: Path) -> None:
    """Pictures that begin after the sound."""
    source = clip(tmp_path / "a.mp4", sound="aac", ticks=range(500, 1500, 100))
    assert times(copied(source, tmp_path / "b.mp4"))[0] == Fraction(1, 2)
    assert times(copied(source, tmp_path / "b.mkv"))[0] == Fraction(1, 2)


def packets_of_sound(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize(
    ("sound", "source", "target"),
    [
        ("aac", ".mp4", ".mp4"),
        ("aac", ".mp4", ".mkv"),
        ("aac", ".mp4", ".mov"),
        ("pcm_s16le", ".mov", ".mov"),
        ("pcm_s16le", ".mov", ".mkv"),
        ("libopus", ".mkv", ".webm"),
        ("libopus", ".mkv", ".mp4"),
        ("libmp3lame", ".avi", ".mp4"),
        ("libmp3lame", ".mp4", ".avi"),
    ],
)
def test_sound_is_copied(tmp_path: Path, sound: str, source: str, target: str) -> None:
    base = Fraction(1, 10) if source == ".avi" else Fraction(1, 1000)
    before = clip(
        tmp_path / f"a{source}",
        sound=sound,
        time_base=base,
        ticks=range(10) if source == ".avi" else range(0, 1000, 100),
        codec="mpeg4" if source == ".avi" else "libx264",
    )
    after = copied(before, tmp_path / f"b{target}")
    assert packets_of_sound(after) == packets_of_sound(before)
    assert heard(after)[0] == heard(before)[0]
    assert heard(after)[1] == pytest.approx(heard(before)[1], abs=0.03)


@pytest.mark.parametrize(
    ("sound", "source", "target", "codec"),
    [
        ("pcm_s16le", ".mov", ".mp4", "aac"),
        ("aac", ".mp4", ".webm", "opus"),
        ("aac", ".mp4", ".avi", "mp3"),
        ("pcm_alaw", ".mov", ".mkv", "aac"),
    ],
)
def test_sound_that_a_format_cannot_hold_is_encoded_again(
    tmp_path: Path, sound: str, source: str, target: str, codec: str
) -> None:
    after = copied(clip(tmp_path / f"a{source}", sound=sound), tmp_path / f"b{target}")
    name, seconds = heard(after)
    assert codec in name
    assert seconds == pytest.approx(1, abs=0.06)


def test_sound_of_a_transport_stream_is_copied(tmp_path: Path) -> None:
    """AAC with headers (ADTS), and time that begins at 1.4 seconds."""
    source = clip(tmp_path / "a.ts", sound="aac")
    for suffix in (".mp4", ".mkv"):
        codec, seconds = heard(copied(source, tmp_path / f"b{suffix}"))
        assert codec == "aac"
        assert seconds == pytest.approx(heard(source)[1], abs=0.03)
        assert times(tmp_path / f"b{suffix}")[0] < Fraction(1, 20)


def test_a_part_has_the_sound_of_that_part(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4", sound="aac", ticks=range(0, 1000, 50))
    target = copied(source, tmp_path / "b.mp4", start_s=0.4, end_s=0.8)
    assert times(target) == [Fraction(index, 20) for index in range(8)]
    assert heard(target)[1] == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_sound_may_change_in_the_middle_and_be_damaged(tmp_path: Path, suffix: str) -> None:
    """Two recordings in one file, the second with damage: every picture is there, and most of the sound."""
    once = clip(tmp_path / "a.ts", sound="mp2").read_bytes()
    twice = bytearray(clip(tmp_path / "b.ts", sound="mp2", channels="stereo").read_bytes())
    for at in range(len(twice) * 3 // 4, len(twice), 97):
        twice[at] ^= 0x55
    (tmp_path / "c.ts").write_bytes(once + twice)
    target = copied(tmp_path / "c.ts", tmp_path / f"d{suffix}")
    assert len(times(target)) >= FRAMES + 2
    assert heard(target)[1] > 1


def test_sound_can_be_left_out(tmp_path: Path) -> None:
    target = copied(clip(tmp_path / "a.mp4", sound="aac"), tmp_path / "b.mp4", sound=False)
    with av.open(str(target)) as container:
        assert not container.streams.audio


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".mov", ".avi"])
@pytest.mark.parametrize("size", [(63, 47), (1, 1), (64, 47)])
def test_odd_sizes_are_kept(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    target = tmp_path / f"a{suffix}"
    with VideoWriter(target, info=INFO, width=size[0], height=size[1]) as writer:
        for index in range(3):
            writer.write(picture(index, *size), Fraction(index, 10))
        y, u, v = (np.full((-(-size[1] // n), -(-size[0] // n)), 100, np.uint8) for n in (1, 2, 2))
        writer.write_yuv((y, u, v), Fraction(3, 10))
    with av.open(str(target)) as container:
        frames = list(container.decode(video=0))
        assert [(frame.width, frame.height) for frame in frames] == [size] * 4
        assert frames[0].format.name == ("yuv420p" if suffix in {".webm", ".avi"} else "yuv444p")


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_colours_stay_true_and_are_described(tmp_path: Path, full_range: bool, matrix: int, suffix: str) -> None:
    info = VideoInfo(WIDTH, HEIGHT, rate=Fraction(10), colour=Colour(matrix, full_range, 1, 1))
    with VideoWriter(tmp_path / f"a{suffix}", info=info, width=WIDTH, height=HEIGHT, crf=4) as writer:
        writer.write(picture(0), Fraction(0))
        y, u, v = np.moveaxis(writer.colour.yuv(picture(0)), -1, 0)
        writer.write_yuv((y, u[::2, ::2], v[::2, ::2]), Fraction(1, 10))
    with VideoReader(tmp_path / f"a{suffix}", max_pixels=LIMIT) as reader:
        assert (reader.info.colour.matrix, reader.info.colour.full_range) == (matrix, full_range)
        for frame in reader:
            pixels = frame.rgb(WIDTH, HEIGHT).astype(int)
            assert np.abs(pixels[4:20, 4:28] - (220, 20, 20)).max() <= 5
            assert np.abs(pixels[30:, 40:] - 20).max() <= 3


def test_the_shape_of_pixels_and_tags_are_written(tmp_path: Path) -> None:
    info = VideoInfo(WIDTH, HEIGHT, rate=Fraction(10), sample_aspect_ratio=Fraction(4, 3))
    for suffix in (".mp4", ".mkv"):
        tags = {"DEPTHSVC_MODEL": "any", "DEPTHSVC_FACTOR": "12.5"}
        with VideoWriter(tmp_path / f"a{suffix}", info=info, width=WIDTH, height=HEIGHT, metadata=tags) as writer:
            writer.write(picture(0), Fraction(0))
        with av.open(str(tmp_path / f"a{suffix}")) as container:
            assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
            assert {name: container.metadata[name] for name in tags} == tags


@pytest.mark.parametrize("size", [(64, 48), (37, 21)])
def test_16_bit_values_are_exact(tmp_path: Path, size: tuple[int, int]) -> None:
    values = np.random.default_rng(0).integers(0, 65_536, (4, size[1], size[0]), dtype=np.uint16)
    values[0, 0, :2] = (0, 65_535)
    path = tmp_path / "a.mkv"
    with VideoWriter(path, info=INFO, width=size[0], height=size[1], kind="gray16") as writer:
        for index, plane in enumerate(values):
            writer.write(plane, Fraction(index**2, 10))
    with av.open(str(path)) as container:
        assert np.array_equal([f.to_ndarray(format="gray16le") for f in container.decode(video=0)], values)
    assert times(path) == [Fraction(index**2, 10) for index in range(4)]


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def fail_after(writer: VideoWriter, error: type[BaseException]) -> None:
    with writer:
        for index in range(100):
            writer.write(picture(index), Fraction(index, 10))
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, VideoError])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi"])
def test_nothing_is_left_of_what_was_not_finished(tmp_path: Path, suffix: str, error: type[BaseException]) -> None:
    source = clip(tmp_path / "a.mp4", sound="aac")
    with VideoReader(source, max_pixels=LIMIT) as reader:
        writer = VideoWriter(tmp_path / f"b{suffix}", info=INFO, width=64, height=48, audio_from=reader)
        with pytest.raises(error):
            fail_after(writer, error)
    assert files(tmp_path) == {"a.mp4"}


def test_nothing_is_left_if_no_frame_was_written(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no frames"):
        copied(clip(tmp_path / "a.mp4", sound="aac"), tmp_path / "b.mp4", start_s=50)
    assert files(tmp_path) == {"a.mp4"}


def test_a_file_is_replaced_only_on_demand(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4")
    target = tmp_path / "b.mp4"
    target.write_text("mine")
    with pytest.raises(ConfigurationError, match="already exists"):
        copied(source, target)
    assert target.read_text() == "mine"
    copied(source, target, overwrite=True)
    assert shown(target) == list(range(FRAMES))
    assert files(tmp_path) == {"a.mp4", "b.mp4"}


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "a.mp4", info=INFO, width=WIDTH, height=HEIGHT)
    writer.write(picture(0), Fraction(0))
    (tmp_path / "a.mp4").write_text("mine")
    with pytest.raises(ConfigurationError, match="already exists"):
        writer.close()
    assert (tmp_path / "a.mp4").read_text() == "mine"
    assert files(tmp_path) == {"a.mp4"}


def test_the_source_is_never_replaced(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4")
    before = source.read_bytes()
    (tmp_path / "same.mp4").hardlink_to(source)
    (tmp_path / "link.mp4").symlink_to(source)
    for name in ("a.mp4", "same.mp4", "link.mp4"):
        with pytest.raises(ConfigurationError, match="is the video that is read"):
            copied(source, tmp_path / name, overwrite=True)
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "what", "reason"),
    [
        ("a.txt", {}, "unknown extension"),
        ("a.mp4", {"kind": "gray16"}, "as .mkv"),
        ("a.webm", {"codec": "h264"}, "Choose from vp9"),
        ("a.mkv", {"kind": "gray16", "crf": 3}, "no crf"),
        ("a.webm", {"preset": "fast"}, "no presets"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, name: str, what: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        VideoWriter(tmp_path / name, info=INFO, width=WIDTH, height=HEIGHT, **what)
    assert files(tmp_path) == set()


def test_a_folder_that_is_missing_and_an_unknown_preset_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="No such file or directory"):
        VideoWriter(tmp_path / "none/a.mp4", info=INFO, width=WIDTH, height=HEIGHT)
    with pytest.raises(ConfigurationError, match=r"libx264 with .*warp"):
        VideoWriter(tmp_path / "a.mp4", info=INFO, width=WIDTH, height=HEIGHT, preset="warp")
    assert files(tmp_path) == set()


def test_what_a_format_cannot_hold_is_one_line_of_advice(tmp_path: Path) -> None:
    """A pause of twelve days; a side of 20,000 pixels."""
    writer = VideoWriter(tmp_path / "a.mp4", info=INFO, width=WIDTH, height=HEIGHT)
    for index, time in enumerate((0, 1, 10_000_000, 10_000_001)):
        writer.write(picture(index), Fraction(time))
    with pytest.raises(VideoError, match=r"may not fit into \.mp4; try \.mkv\.$"):
        writer.close()
    with pytest.raises(ConfigurationError, match="1 to 16384 pixels"):
        VideoWriter(tmp_path / "a.mp4", info=INFO, width=20_000, height=2)
    assert files(tmp_path) == set()


def test_frames_of_another_shape_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="a frame is uint8"),
        VideoWriter(tmp_path / "a.mp4", info=INFO, width=WIDTH, height=HEIGHT) as writer,
    ):
        writer.write(picture(0, 10, 10), Fraction(0))
    assert files(tmp_path) == set()
