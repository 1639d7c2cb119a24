"""What is a file of a data set, wherever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from depthsvc.evaluation.layouts.tree import files_below, folders_in, visible, walk, within


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_files_are_found_in_order_but_hidden_ones_are_not(tmp_path: Path) -> None:
    _touch(*(tmp_path / name for name in ("b/2", "b/1", "a", "._a", ".DS_Store", ".cache/c")))
    assert [str(path.relative_to(tmp_path)) for path in files_below(tmp_path)] == ["a", "b/1", "b/2"]
    assert folders_in(tmp_path) == [tmp_path / "b"]
    assert visible([tmp_path / "b", tmp_path / ".c", tmp_path / "a"]) == [tmp_path / "a", tmp_path / "b"]
    assert list(walk(tmp_path / "a")) == []


def test_links_to_folders_are_followed_but_not_for_ever(tmp_path: Path) -> None:
    _touch(tmp_path / "elsewhere/photo", tmp_path / "data/own")
    (tmp_path / "data/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "data")
    (tmp_path / "data/dangling").symlink_to(tmp_path / "nowhere")
    found = [str(path.relative_to(tmp_path / "data")) for path in files_below(tmp_path / "data")]
    assert found == ["dangling", "own", "link/photo"]


def test_a_folder_that_may_not_be_read_is_passed_over(folder_of_nobody: Path) -> None:
    _touch(folder_of_nobody / "lost+found/x", folder_of_nobody / "photo")
    (folder_of_nobody / "lost+found").chmod(0)
    assert list(files_below(folder_of_nobody)) == [folder_of_nobody / "photo"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "../folder-of-others/x"])
def test_a_list_cannot_name_a_file_elsewhere(tmp_path: Path, name: str) -> None:
    assert within(tmp_path / "folder", name) is None
    assert within(tmp_path / "folder", "./a/../b") == tmp_path / "folder/b"
