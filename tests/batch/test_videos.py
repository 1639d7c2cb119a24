"""Videos in a batch; the process that computes them is a thread here."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from depthsvc import DepthEstimator
from depthsvc.batch import videos
from depthsvc.batch.ignored import Ignored
from depthsvc.batch.run import run_batch
from depthsvc.batch.session import Plan
from depthsvc.batch.sources import find_photos
from depthsvc.cli import main
from depthsvc.options import DepthOptions, Options, SideBySideOptions
from depthsvc.pool.channel import Channel
from depthsvc.settings import Settings, read_settings
from depthsvc.video.library import av
from tests.video.clips import clip, times

Batch = Callable[..., int]


class _Process:
    """What a thread has of a process."""

    def kill(self) -> None:
        """The channel's end ends it."""

    def join(self) -> None:
        """As `kill`."""


@pytest.fixture(scope="module")
def settings(_own_settings: None) -> Settings:
    return read_settings({"model": "embedded", "workers": 1, "engine": "onnxruntime", "max_megapixels": 1})


@pytest.fixture
def batch(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """Runs a batch of the videos in a folder."""
    network = DepthEstimator("embedded", engine="onnxruntime", worker_threads=1).pipeline

    def start_child(serve: Callable[..., object], *arguments: Any, name: str) -> tuple[_Process, Channel]:
        ours, theirs = Channel.pair()

        def run() -> None:
            with theirs:
                serve(theirs, *arguments)

        threading.Thread(target=run, name=name, daemon=True).start()
        return _Process(), ours

    monkeypatch.setattr(videos, "start_child", start_child)
    monkeypatch.setattr(videos, "open_pipeline", lambda _: network)

    def run(folder: Path, out: Path, options: Options | None = None, *, overwrite: bool = False) -> int:
        ignored = Ignored()
        plan = Plan(out, "npy", options or DepthOptions(), settings, overwrite=overwrite, videos=True)
        return run_batch(plan, find_photos([str(folder)], out, ignored, videos=True), ignored)

    return run


def report(out: Path) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "report.jsonl").read_text().splitlines()]
    return {Path(line["path"]).name: line for line in lines}


def test_videos_become_heatmaps_once_and_say_why_not(tmp_path: Path, batch: Batch, capsys: Any) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "deeper").mkdir(parents=True)
    clip(folder / "a.mp4", ticks=(0, 40, 300), sound="aac")
    clip(folder / "deeper/b.MKV", ticks=(0, 40))
    clip(folder / "large.mkv", ticks=(0, 40), size=(1200, 900))
    (folder / "bad.avi").write_bytes(b"no video")
    (folder / "a.mp4.depth.mp4").write_bytes(b"an earlier result")
    assert batch(folder, out) == 1
    assert {str(path.relative_to(out)) for path in out.rglob("*.*")} == {
        "a.mp4.depth.mp4",
        "deeper/b.MKV.depth.mp4",
        "report.jsonl",
        ".depthsvc-batch.lock",
    }
    assert times(out / "a.mp4.depth.mp4") == times(folder / "a.mp4")
    lines = report(out)
    codes = {name: line["code"] for name, line in lines.items()}
    assert codes == {"a.mp4": None, "b.MKV": None, "bad.avi": "unreadable", "large.mkv": "too_many_pixels"}
    assert (lines["a.mp4"]["model"], lines["a.mp4"]["kind"]) == ("embedded", "inverse_depth")
    assert lines["bad.avi"]["reason"].startswith("It is text, not a video")
    assert "2 done" in capsys.readouterr().err

    before = (out / "a.mp4.depth.mp4").stat()
    (folder / "bad.avi").unlink()
    (folder / "large.mkv").unlink()
    assert batch(folder, out) == 0
    assert {line["status"] for line in report(out).values() if line["path"].endswith(("mp4", "MKV"))} == {"skipped"}
    assert (out / "a.mp4.depth.mp4").stat() == before
    assert batch(folder, out, SideBySideOptions(), overwrite=True) == 0
    with av.open(str(out / "a.mp4.depth.mp4")) as container:
        assert container.streams.video[0].codec_context.width == 128


def test_a_pipe_among_the_videos_is_not_opened(tmp_path: Path, batch: Batch) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    pipe = source / "pipe.mp4"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("text",))  # else opening it would never end
    writer.start()
    assert batch(source, out) == 1
    reason = report(out)["pipe.mp4"]["reason"]
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # lets the writer end
    writer.join()
    os.close(reader)
    assert reason == "It cannot be read: not a regular file."


def test_a_video_that_ends_its_process_fails_and_the_others_go_on(
    tmp_path: Path, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    clip(folder / "a.mkv", ticks=(0, 40))
    clip(folder / "b.mkv", ticks=(0, 40))
    serve = videos._serve

    def dying(channel: Channel, *arguments: Any) -> None:
        """Ends when it is told of the first video."""
        receive = channel.receive

        def received() -> tuple[Any, bytes]:
            message = receive()
            if message[0][0].name == "a.mkv":
                raise EOFError
            return message

        monkeypatch.setattr(channel, "receive", received)
        serve(channel, *arguments)

    monkeypatch.setattr(videos, "_serve", dying)
    assert batch(folder, out) == 1
    assert {name: line["code"] for name, line in report(out).items()} == {"a.mkv": "worker_crashed", "b.mkv": None}


def test_a_result_is_not_written_through_a_link(tmp_path: Path, batch: Batch) -> None:
    folder, out, elsewhere = tmp_path / "in", tmp_path / "out", tmp_path / "elsewhere"
    for path in (folder / "sub", out, elsewhere):
        path.mkdir(parents=True)
    clip(folder / "sub/a.mkv", ticks=(0, 40))
    (out / "sub").symlink_to(elsewhere)
    assert batch(folder, out) == 1
    assert report(out)["a.mkv"]["code"] == "unwritable"
    assert list(elsewhere.iterdir()) == []
    assert {path.name for path in out.iterdir()} == {"sub", "report.jsonl", ".depthsvc-batch.lock"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--url", "http://127.0.0.1:1"], "--videos cannot be combined with --url: a service takes photos only."),
        (["--watch"], "--videos cannot be combined with --watch"),
        (["--ray", "s3://bucket/depth", "--report", "report.jsonl"], "--videos cannot be combined with URIs"),
        ([], "GIF photo and no video found"),
    ],
)
def test_what_takes_no_videos_says_so(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(main, ["batch", str(tmp_path), str(tmp_path / "out"), "--videos", *arguments])
    assert done.exit_code == (2 if arguments else 1)
    assert message in done.stderr
    assert not (tmp_path / "out").exists()
