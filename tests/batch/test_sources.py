from __future__ import annotations

import os
from pathlib import Path

import pytest

from depthsvc.batch.sources import Source, find_photos, photos_in_list
from depthsvc.errors import ConfigurationError


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photos and other things, named from the present folder."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "photos/b.JPG",
        "photos/a.png",
        "photos/notes.txt",
        "photos/._a.png",
        "photos/.thumbnails/a.jpg",
        "photos/2024/deep/c.webp",
        "photos/out/a.png.png",
        "photos/odd[1].jpeg",
    ):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Path("photos")


def names(*given: str, output: str = "photos/out") -> list[str]:
    return [str(source.name) for source in find_photos(given, Path(output))]


def test_a_folder_gives_its_photos_with_their_folders_but_nothing_hidden_and_no_results(photos: Path) -> None:
    assert names("photos") == ["a.png", "b.JPG", "odd[1].jpeg", "2024/deep/c.webp"]
    assert names("photos", output="photos/2024") == ["a.png", "b.JPG", "odd[1].jpeg", "out/a.png.png"]


def test_a_glob_gives_names_below_its_fixed_part_and_each_photo_once(photos: Path) -> None:
    assert names("photos/*") == ["2024/deep/c.webp", "a.png", "b.JPG", "odd[1].jpeg"]
    assert names("photos/**/*.webp") == ["2024/deep/c.webp"]
    assert sorted(names("photos/**")) == ["2024/deep/c.webp", "a.png", "b.JPG", "odd[1].jpeg"]
    assert names("*/2024/deep/*") == ["photos/2024/deep/c.webp"]


def test_a_file_is_taken_whatever_it_is_called_and_is_no_pattern(photos: Path) -> None:
    assert names("photos/notes.txt", "photos/odd[1].jpeg") == ["notes.txt", "odd[1].jpeg"]


@pytest.mark.parametrize("given", ["photos/nothing.jpg", "photos/*.gif"])
def test_what_matches_nothing_is_an_error(photos: Path, given: str) -> None:
    with pytest.raises(ConfigurationError, match="no such photo or folder, and no photo matches"):
        names(given)


def test_photos_and_results_cannot_share_a_folder(photos: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot share one folder"):
        names("photos", output="photos/2024/..")


def test_a_list_keeps_paths_from_here_and_from_the_root(photos: Path) -> None:
    here = Path.cwd()
    lines = [
        b"photos/a.png\n",
        b"\n",
        b"photos/../x.jpg\r\n",
        str(here / "y.jpg").encode(),
        b"/else/where.jpg",
        b"../z",
    ]
    assert list(photos_in_list(lines)) == [
        Source(Path("photos/a.png"), Path("photos/a.png")),
        Source(Path("photos/../x.jpg"), Path("x.jpg")),
        Source(here / "y.jpg", Path("y.jpg")),
        Source(Path("/else/where.jpg"), Path("else/where.jpg")),
        Source(Path("../z"), (here.parent / "z").relative_to("/")),
    ]


def test_a_list_may_hold_names_that_are_no_text() -> None:
    [source] = photos_in_list([b"caf\xe9.jpg\n"])
    assert os.fsencode(source.path) == b"caf\xe9.jpg"
