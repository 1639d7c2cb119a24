"""`depthsvc video` with several videos and with pipes, in this process."""

from __future__ import annotations

import errno
import importlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from depthsvc.cli import main
from depthsvc.pipeline.stages import Pipeline
from depthsvc.video.library import av
from tests.video.clips import clip, picture

Run = Callable[..., Result]


@pytest.fixture
def video(tmp_path: Path, pipelines: list[Pipeline], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in a folder; the network is that of the tests."""
    loaded: list[int] = []

    def load(_: object) -> list[Pipeline]:
        loaded.append(1)
        return pipelines[:1]

    def run(*arguments: object, stdin: bytes = b"") -> Result:
        loaded.clear()
        result = CliRunner().invoke(main, ["video", *map(str, arguments)], input=stdin)
        assert len(loaded) <= 1
        return result

    monkeypatch.setattr(importlib.import_module("depthsvc.cli.video"), "_pipelines", load)
    monkeypatch.chdir(tmp_path)
    return run


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_several_videos_become_files_in_a_folder_past_one_that_fails(video: Run, tmp_path: Path) -> None:
    clip(tmp_path / "a.mp4", sound="aac")
    clip(tmp_path / "a.mkv")
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    (tmp_path / "frames").mkdir()
    for number in range(3):
        Image.fromarray(picture(number)).save(tmp_path / f"frames/{number}.png")
    done = video("a.mp4", "bad.mp4", "a.mkv", "frames", "out")
    assert done.exit_code == 1
    assert names(tmp_path / "out") == {f"{name}.depth.mp4" for name in ("a.mp4", "a.mkv", "frames")}
    said = done.stderr.splitlines()
    assert said[0] == "out/a.mp4.depth.mp4: 10 frames, 64 x 48"
    assert said[1].startswith("bad.mp4 is ")
    assert said[3:] == ["out/frames.depth.mp4: 3 frames, 64 x 48", "1 of 4 videos failed."]
    again = video("a.mp4", "out/")
    assert (again.exit_code, again.stderr) == (0, "out/a.mp4.depth.mp4 is there already. Skipped.\n")
    again = video("a.mp4", "out", "--overwrite")
    assert (again.exit_code, again.stderr) == (0, "out/a.mp4.depth.mp4: 10 frames, 64 x 48\n")


def test_folders_of_maps_are_named_after_their_videos_too(video: Run, tmp_path: Path) -> None:
    clip(tmp_path / "a.mp4", ticks=(0, 100))
    clip(tmp_path / "b.mp4", ticks=(0, 100))
    assert video("a.mp4", "b.mp4", "out", "--format", "f16", "--height", 24).exit_code == 0
    assert names(tmp_path / "out") == {"a.mp4.depth", "b.mp4.depth"}
    assert [path.stat().st_size for path in (tmp_path / "out/a.mp4.depth").iterdir()] == [2 * 32 * 24] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.mp4", "x/a.mp4", "out"], "x/a.mp4 and a.mp4 would both become out/a.mp4.depth.mp4"),
        (["a.mp4", "a.mp4.depth.mp4", "."], "a.mp4.depth.mp4, the result of a.mp4, is one of the videos"),
        (["a.mp4", "x/a.mp4", "no/out"], "the folder no does not exist"),
        (["a.mp4", "b.mp4", "out", "--smooth", "off", "--every", "2"], "--every needs --smooth"),
        (["a.mp4", "-", "out"], "give one IN"),
        (["a.mp4", "b.mp4", "-"], "give one IN"),
        (["a.mp4"], "Give IN and OUT"),
        (["a.mp4", "-", "--format", "gray16"], "The format gray16 needs a file"),
        (["a.mp4", "-", "--crf", "3"], "Leave out --codec, --crf and --preset"),
        (["-", "out.mp4", "--raw", "3by4"], "3by4 is not a width and a height"),
        (["frames", "out.mp4", "--fps", "0"], "0 is not a number of frames a second"),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(
    video: Run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    clip(tmp_path / "a.mp4")
    before = names(tmp_path)
    done = video(*arguments)
    assert done.exit_code in (1, 2)
    assert message in done.stderr
    assert names(tmp_path) == before


def test_heatmaps_go_through_pipes_as_y4m_and_nothing_else_does(video: Run, tmp_path: Path) -> None:
    clip(tmp_path / "a.mp4")
    done = video("-", "-", "--side-by-side", stdin=(tmp_path / "a.mp4").read_bytes())
    assert done.exit_code == 0
    with av.open(io.BytesIO(done.stdout_bytes), "r") as container:
        pictures = [frame.to_ndarray() for frame in container.decode(video=0)]
    assert [found.shape for found in pictures] == [(72, 128)] * 10
    left = pictures[8][:48, :64].astype(float)
    assert np.corrcoef(left.ravel(), picture(8).mean(axis=2).ravel())[0, 1] > 0.95
    assert done.stderr == "Standard output: 10 frames, 128 x 48\n"


def test_exact_depth_goes_through_pipes_as_float16(video: Run, tmp_path: Path) -> None:
    raw = b"".join(picture(number).tobytes() for number in range(3))
    piped = video("-", "-", "--raw", "64x48", "--format", "f16", stdin=raw)
    assert piped.exit_code == 0
    (tmp_path / "frames").mkdir()
    for number in range(3):
        Image.fromarray(picture(number)).save(tmp_path / f"frames/{number}.png")
    assert video("frames", "maps", "--format", "npy").exit_code == 0
    expected = np.stack([np.load(path) for path in sorted((tmp_path / "maps").iterdir())])
    found = np.frombuffer(piped.stdout_bytes, "<f2").reshape(3, 48, 64)
    np.testing.assert_array_equal(found, expected)


def test_a_reader_that_has_gone_ends_it_quietly(
    video: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Gone:
        """Standard output after its reader has closed it."""

        def write(self, _: bytes) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

        def flush(self) -> None:
            """Nothing is in it."""

    clip(tmp_path / "a.mp4")
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=Gone(), flush=Gone().flush))
    with pytest.raises(SystemExit) as end:
        main(["video", "a.mp4", "-"])
    assert end.value.code == 1
    assert capsys.readouterr().err == ""
