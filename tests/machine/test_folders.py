from __future__ import annotations

import os
import tempfile
from pathlib import Path

import platformdirs
import pytest

from depthsvc.machine.folders import can_write, user_cache_folder


def _no_home(name: str) -> Path:
    raise RuntimeError(f"could not determine the home directory for {name}")


@pytest.mark.parametrize("without_home", [_no_home, lambda name: Path("~/.cache") / name], ids=["new", "old"])
def test_a_user_without_a_home_has_a_temporary_cache_of_their_own(
    without_home: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer platformdirs raise, older ones return a path relative to the current folder."""
    monkeypatch.setattr(platformdirs, "user_cache_path", without_home)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = user_cache_folder()
    assert folder == tmp_path / f"depthsvc-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_cache_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache_folder() == tmp_path / "depthsvc"


def test_folders_that_can_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert can_write(tmp_path)
    assert can_write(tmp_path / "not" / "yet" / "there")
    assert not can_write(tmp_path / "file")
    assert not can_write(tmp_path / "file" / "below")
