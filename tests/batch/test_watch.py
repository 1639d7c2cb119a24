from __future__ import annotations

from pathlib import Path

import pytest

from depthsvc.batch.ignored import Ignored
from depthsvc.batch.watch import WatchedFolder


class Watch:
    """A watched folder and its clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.folder = WatchedFolder(folder, folder / "out", Ignored(), settle_s=2.0, clock=lambda: self.now)

    def after(self, seconds: float) -> list[str]:
        self.now += seconds
        return [str(source.name) for source in self.folder.ready()]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


def test_a_photo_is_given_once_when_it_has_settled(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    assert watch.after(0) == []
    assert watch.after(1.9) == []
    assert watch.after(0.2) == ["a.jpg"]
    assert watch.after(60) == []


def test_a_photo_that_is_still_being_copied_waits(watch: Watch, tmp_path: Path) -> None:
    with (tmp_path / "a.jpg").open("ab", buffering=0) as copy:
        assert watch.after(60) == []
        for _ in range(3):
            copy.write(b"some more")
            assert watch.after(1.5) == []
    assert watch.after(1.5) == []
    assert watch.after(1.5) == ["a.jpg"]


def test_a_photo_that_changes_after_all_is_given_again(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"half")
    assert watch.after(0) == []
    assert watch.after(2) == ["a.jpg"]
    assert watch.folder.unchanged(path)
    path.write_bytes(b"half and half")
    assert not watch.folder.unchanged(path)
    assert watch.after(0) == []
    assert watch.after(2) == ["a.jpg"]


def test_a_photo_that_goes_and_comes_back_is_new(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"photo")
    assert (watch.after(0), watch.after(2)) == ([], ["a.jpg"])
    path.unlink()
    assert watch.after(1) == []
    path.write_bytes(b"photo")
    assert (watch.after(0), watch.after(2)) == ([], ["a.jpg"])
