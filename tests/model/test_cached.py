from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from depthsvc.cli import main

ARTEFACT = "engines/compact-306c70285766d80b-torchscript-fp32-torch2.13.0+cpu-v4"
OURS = [
    f"{ARTEFACT}/compact.ts",
    f"{ARTEFACT}/sha256.json",
    f"{ARTEFACT}.lock",
    f"{ARTEFACT}xyz.part/compact.ts",
    "weights/midas_v21_small-70d6b9c8.pt",
    "weights/midas_v21_small-70d6b9c8.pt.lock",
    "weights/midas_v21_small-70d6b9c8.pt.part",
]
FOREIGN = [
    "notes.txt",
    "engines/notes.txt",
    "weights/my_model.pt",
    "weights/midas_v21_small-70d6b9c8.pty",
    "engines/compact-306c70285766d80b-torchscript-fp32-torch2-v3/folder/file",
    "photos/cat.jpg",
]


def run(cache: Path, *options: str) -> str:
    result = CliRunner().invoke(main, ["cache", "--cache-dir", str(cache), *options])
    assert result.exit_code == 0, result.output
    return result.output


def fill(cache: Path, names: list[str]) -> None:
    for name in names:
        path = cache / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1_000_000))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_entries_are_listed_with_their_sizes(tmp_path: Path) -> None:
    fill(tmp_path, OURS)
    output = run(tmp_path)
    assert f"     2.0 MB  {ARTEFACT}\n" in output
    assert "     1.0 MB  weights/midas_v21_small-70d6b9c8.pt\n" in output
    assert f"     7.0 MB  in {tmp_path}\n" in output
    assert files(tmp_path) == set(OURS)


def test_clearing_leaves_nothing_of_ours_and_everything_else(tmp_path: Path) -> None:
    fill(tmp_path, [*OURS, *FOREIGN])
    output = run(tmp_path, "--clear")
    assert f"     7.0 MB  removed from {tmp_path}\n" in output
    assert "Left alone, because depthsvc did not put it there: engines/compact" in output
    assert "and 1 more" in output
    assert files(tmp_path) == set(FOREIGN)


def test_an_empty_cache_leaves_no_folders(tmp_path: Path) -> None:
    fill(tmp_path, OURS)
    run(tmp_path, "--clear")
    assert list(tmp_path.iterdir()) == []
    assert "0.0 MB  in" in run(tmp_path / "none")


@pytest.mark.parametrize(
    "link", [ARTEFACT, "engines", "weights", f"{ARTEFACT}/compact.ts", "weights/midas_v21_small_256.pt"]
)
def test_links_are_not_followed_and_not_removed(tmp_path: Path, link: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    fill(elsewhere, [name.removeprefix(f"{link}/") for name in OURS if name.startswith(link)] or ["compact.ts"])
    before = files(elsewhere)
    path = tmp_path / "cache" / link
    path.parent.mkdir(parents=True)
    path.symlink_to(elsewhere)
    output = run(tmp_path / "cache", "--clear")
    assert "0.0 MB  removed" in output
    assert "Left alone" in output
    assert path.is_symlink()
    assert files(elsewhere) == before
