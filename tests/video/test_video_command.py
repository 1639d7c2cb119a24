"""`depthsvc video`: what comes out, and what is left when it cannot be."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from depthsvc.video.library import av
from depthsvc.video.reading import VideoReader
from tests.conftest import until
from tests.video.clips import clip, heard, times

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def video(tmp_path: Path, light: None) -> Run:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "depthsvc", "video", *map(str, arguments), "--model", "embedded"]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    return run


def read(path: Path) -> tuple[tuple[int, int], dict[str, str], list[np.ndarray]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pixels = [frame.to_ndarray() for frame in container.decode(stream)]
        tags = {name.lower(): value for name, value in container.metadata.items()}
        return (stream.codec_context.width, stream.codec_context.height), tags, pixels


def test_a_heat_video_has_every_frame_its_time_and_the_sound(video: Run, tmp_path: Path) -> None:
    ticks = (0, 40, 80, 200, 210, 400)
    source = clip(tmp_path / "in.mp4", ticks=ticks, sound="aac")
    done = video(source, "out.mp4", "--obstacles", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "out.mp4: 6 frames, 64 x 48"
    assert times(tmp_path / "out.mp4") == times(source)
    size, tags, _ = read(tmp_path / "out.mp4")
    assert size == (64, 48)
    assert (tags["depthsvc_model"], tags["depthsvc_kind"]) == ("embedded", "inverse_depth")
    assert heard(tmp_path / "out.mp4")[0] == "aac"
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["time"] for line in lines] == [tick / 1000 for tick in ticks]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.jsonl", "out.mp4"]


def test_a_heat_video_beside_its_source_is_twice_as_wide_and_may_be_scaled(video: Run, tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4")
    done = video(source, "out.mkv", "--side-by-side", "--height", 24, "--no-audio")
    assert done.stderr.splitlines()[-1] == "out.mkv: 10 frames, 64 x 24"
    size, _, frames = read(tmp_path / "out.mkv")
    assert size == (64, 24)
    with VideoReader(source, max_pixels=10**6) as reader:
        expected = next(iter(reader)).rgb(32, 24)
    luma = frames[0][:24, :32].astype(float)
    assert np.corrcoef(luma.ravel(), expected.mean(axis=2).ravel())[0, 1] > 0.95


def test_pairs_of_an_odd_width_are_a_pixel_wider(video: Run, tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv", size=(63, 47), codec="ffv1", pixel_format="yuv444p")
    done = video(source, "out.mkv", "--side-by-side")
    assert done.stderr.splitlines()[-1] == "out.mkv: 10 frames, 128 x 47"
    assert read(tmp_path / "out.mkv")[0] == (128, 47)


def test_exact_values_are_those_of_the_frames_times_one_factor(video: Run, tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4")
    assert video(source, "out.mkv", "--format", "gray16").returncode == 0
    assert video(source, "npy", "--format", "npy").returncode == 0
    _, tags, frames = read(tmp_path / "out.mkv")
    factor = float(tags["depthsvc_factor"])
    maps = [np.load(path).astype(float) for path in sorted((tmp_path / "npy").iterdir())]
    assert len(maps) == len(frames) == 10
    for frame, depth in zip(frames, maps, strict=True):
        np.testing.assert_allclose(frame, depth * factor, rtol=1e-3, atol=1)


def test_a_folder_of_frames_is_continued(video: Run, tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4")
    assert video(source, "out", "--format", "npy").returncode == 0
    whole = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for name in ("000008.npy", "000010.npy"):
        (tmp_path / "out" / name).unlink()
    (tmp_path / "out" / "000001.npy").write_bytes(b"kept")
    done = video(source, "out", "--format", "npy")
    assert done.stderr.splitlines()[-1] == "out: 10 frames, 64 x 48"
    continued = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert continued == {**whole, "000001.npy": b"kept"}
    assert video(source, "out", "--format", "exr", "--overwrite").returncode == 0
    assert len(list((tmp_path / "out").glob("*.exr"))) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mp4", "out.mp4"], "none.mp4 cannot be read: No such file or directory"),
        (["text.mp4", "out.mp4"], "text.mp4"),
        (
            ["/dev/null", "out.mp4"],
            "/dev/null is a device, not a file. The page and WS /live show the depth of a camera",
        ),
        (["in.mp4", "in.mp4"], "in.mp4"),
        (["in.mp4", "there.mp4"], "there.mp4 already exists"),
        (["in.mp4", "no/such/out.mp4"], "the folder no/such does not exist"),
        (["in.mp4", "there.mp4", "--format", "npy"], "there.mp4 is a file. The format npy needs a folder."),
        (["in.mp4", "out.mp4", "--start", "9"], "has no frames between its start and end"),
        (["in.mp4", "out.mp4", "--smooth", "2"], "2 is neither off nor between 0 and 1"),
        (["in.mp4", "out.mp4", "--smooth", "off", "--every", "2"], "--every needs --smooth"),
        (["in.mp4", "out.jpg"], ".mp4"),
    ],
)
def test_what_cannot_be_is_said_and_leaves_nothing(
    video: Run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    clip(tmp_path / "in.mp4")
    (tmp_path / "text.mp4").write_text("This is not a video, although its name says so.")
    (tmp_path / "there.mp4").write_bytes(b"mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = video(*arguments)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_and_leaves_no_half_file(tmp_path: Path, light: None, number: int) -> None:
    source = clip(tmp_path / "in.mp4", ticks=range(0, 40 * 600, 40))
    command = [sys.executable, "-m", "depthsvc", "video", str(source), "out.mp4", "--model", "embedded"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    until(lambda: len(list(tmp_path.iterdir())) > 1 or running.poll() is not None)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 128 + number
    assert said.splitlines()[-1] == "Interrupted. Nothing was written."
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
