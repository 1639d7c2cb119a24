"""Files whose end is missing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from depthsvc.video.reading import VideoReader
from tests.video.clips import FRAMES, clip

_AVI: dict[str, Any] = {"codec": "mpeg4", "time_base": Fraction(1, 10), "ticks": range(FRAMES)}


def read(path: Path, **part: Any) -> tuple[int, str]:
    with VideoReader(path, max_pixels=10**6, **part) as reader:
        return len(list(reader)), reader.damage


@pytest.mark.parametrize(
    ("suffix", "options", "cut"),
    [(".mkv", {}, 100), (".webm", {"codec": "libvpx-vp9"}, 300), (".avi", _AVI, 1), (".ts", {}, 100)],
)
def test_a_file_that_is_shorter_than_it_says_is_read_as_far_as_it_goes(
    tmp_path: Path, suffix: str, options: dict[str, Any], cut: int
) -> None:
    path = clip(tmp_path / f"in{suffix}", **options)
    assert read(path) == (FRAMES, "")
    path.write_bytes(path.read_bytes()[:-cut])
    frames, damage = read(path)
    assert 0 < frames <= FRAMES
    assert damage == f"the end of {path} is missing"
    assert read(path, end_s=0.2) == (2, "")


def test_a_stream_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    live = clip(tmp_path / "live.mkv", options={})
    data = bytearray(live.read_bytes())
    at = data.index(b"\x18S\x80g") + 4
    assert data[at] == 1  # a size of eight bytes
    data[at : at + 8] = b"\x01" + 7 * b"\xff"
    live.write_bytes(data[:-100])
    assert read(live)[1] == ""
    recording = clip(tmp_path / "recording.avi", **_AVI)
    data = bytearray(recording.read_bytes())
    data[4:8] = 4 * b"\xff"
    recording.write_bytes(data)
    assert read(recording) == (FRAMES, "")
