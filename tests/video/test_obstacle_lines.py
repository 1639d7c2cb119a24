"""A line for each frame of a video: what is in it, and what is left when it cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depthsvc import DepthEstimator
from depthsvc.errors import ConfigurationError
from depthsvc.pipeline.stages import Pipeline
from depthsvc.video import obstacle_lines
from depthsvc.video.conversion import VideoOptions, convert
from depthsvc.video.reading import VideoReader
from tests.video.clips import clip


@pytest.fixture(scope="module")
def pipelines() -> list[Pipeline]:
    return [DepthEstimator("embedded", engine="onnxruntime", worker_threads=1).pipeline]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def made(source: Path, target: Path, pipelines: list[Pipeline], start: float | None = None, **options: Any) -> None:
    with VideoReader(source, max_pixels=10**6, start_s=start) as reader:
        convert(reader, target, lambda: pipelines, VideoOptions(audio=False, **options))


def test_each_frame_has_a_line_with_its_number_time_and_sectors(tmp_path: Path, pipelines: list[Pipeline]) -> None:
    source, written = clip(tmp_path / "in.mp4"), tmp_path / "near.jsonl"
    made(source, tmp_path / "out.mp4", pipelines, start=0.4, obstacles=written)
    found = lines(written)
    assert [line["frame"] for line in found] == [1, 2, 3, 4, 5, 6]
    assert [line["time"] for line in found] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert found[0].items() >= {"kind": "inverse_depth", "unit": "relative", "cut": True}.items()
    assert not any(line["cut"] for line in found[1:])
    for line in found:
        assert [sector["left"] for sector in line["sectors"]] == [0, 0.2, 0.4, 0.6, 0.8]
        assert all(0 <= sector["nearness"] <= 1 and sector["metres"] is None for sector in line["sectors"])
    assert {sector["approach"] for sector in found[0]["sectors"]} == {None}
    assert sum(isinstance(sector["approach"], float) for sector in found[-1]["sectors"]) >= 3  # others are new things


def test_without_smoothing_there_is_no_trend(tmp_path: Path, pipelines: list[Pipeline]) -> None:
    written = tmp_path / "near.jsonl"
    made(clip(tmp_path / "in.mp4"), tmp_path / "out.mp4", pipelines, obstacles=written, smooth=None)
    found = lines(written)
    assert len(found) == 10
    assert {(sector["approach"], sector["contact_s"]) for line in found for sector in line["sectors"]} == {(None, None)}


def test_a_continued_folder_gets_lines_of_all_frames(tmp_path: Path, pipelines: list[Pipeline]) -> None:
    source, folder = clip(tmp_path / "in.mp4"), tmp_path / "out"
    made(source, folder, pipelines, format="npy")
    (folder / "000001.npy").write_bytes(b"kept")
    (folder / "000010.npy").unlink()
    made(source, folder, pipelines, format="npy", obstacles=folder / "near.jsonl")
    assert [line["frame"] for line in lines(folder / "near.jsonl")] == [*range(1, 11)]
    assert (folder / "000001.npy").read_bytes() == b"kept"
    assert np.load(folder / "000010.npy").shape == (48, 64)


def test_what_fails_leaves_no_lines(tmp_path: Path, pipelines: list[Pipeline], monkeypatch: pytest.MonkeyPatch) -> None:
    source, before = clip(tmp_path / "in.mp4"), {"in.mp4"}
    predict, calls = Pipeline.predict, iter(range(5))

    def failing(self: Pipeline, view: Any) -> Any:
        if next(calls, None) is None:
            raise OSError("the disk is gone")
        return predict(self, view)

    monkeypatch.setattr(Pipeline, "predict", failing)
    with pytest.raises(OSError, match="the disk is gone"):
        made(source, tmp_path / "out.mp4", pipelines, obstacles=tmp_path / "near.jsonl")
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_disk_that_fills_up_leaves_no_video_without_its_lines(
    tmp_path: Path, pipelines: list[Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clip(tmp_path / "in.mp4")
    monkeypatch.setattr(obstacle_lines, "temporary_beside", lambda path: _Full(tmp_path / "part"))
    with pytest.raises(OSError, match="No space left on device"):
        made(source, tmp_path / "out.mp4", pipelines, obstacles=tmp_path / "near.jsonl")
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4"}


class _Full(type(Path())):  # type: ignore[misc]  # the class of paths of this system
    """A file on a disk that is full."""

    def open(self, mode: str = "r", buffering: int = -1, **_: Any) -> Any:
        return Path("/dev/full").open("w", buffering)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("there.jsonl", "there.jsonl already exists"),
        ("in.mp4", "in.mp4 is the video that is read"),
        ("out.mp4", "out.mp4 is the output"),
        ("../{}/out.mp4", "out.mp4 is the output"),
        ("no/near.jsonl", "/no does not exist"),
        (".", "is not a file"),
    ],
)
def test_a_place_that_cannot_be_is_refused_at_once(tmp_path: Path, name: str, message: str) -> None:
    source = clip(tmp_path / "in.mp4")
    (tmp_path / "there.jsonl").write_text("mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigurationError, match=message):
        made(source, tmp_path / "out.mp4", [], obstacles=tmp_path / name.format(tmp_path.name))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_lines_are_replaced_if_that_is_asked_for(tmp_path: Path, pipelines: list[Pipeline]) -> None:
    written = tmp_path / "near.jsonl"
    written.write_text("old")
    made(clip(tmp_path / "in.mp4"), tmp_path / "out.mp4", pipelines, obstacles=written, overwrite=True)
    assert len(lines(written)) == 10


def test_a_height_that_makes_a_picture_too_wide_is_refused_at_once(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", size=(256, 16))
    with pytest.raises(ConfigurationError, match="The result would be 16512 x 1032; a side has at most 16384 pixels"):
        made(source, tmp_path / "out", [], format="npy", height=1032)
    assert not (tmp_path / "out").exists()
