from __future__ import annotations

from pathlib import Path

import pytest

from depthsvc.batch.ignored import Ignored
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
        "photos/out/a.png.depth.png",
        "photos/odd[1].jpeg",
    ):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Path("photos")


def names(*given: str, output: str = "photos/out", ignored: Ignored | None = None) -> list[str]:
    ignored = Ignored() if ignored is None else ignored
    return [str(source.name) for source in find_photos(given, Path(output), ignored)]


def test_a_folder_gives_its_photos_with_their_folders_but_nothing_hidden_and_no_results(photos: Path) -> None:
    assert names("photos") == ["a.png", "b.JPG", "odd[1].jpeg", "2024/deep/c.webp"]
    assert names("photos", output="photos/2024") == ["a.png", "b.JPG", "odd[1].jpeg"]


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


def test_a_folder_may_get_its_own_results_and_they_are_no_photos(photos: Path) -> None:
    for name in ("a.png.depth.png", "2024/deep/c.webp.depth.bokeh.jpg", "report.jsonl", ".depthsvc-batch.lock"):
        (photos / name).touch()
    ignored = Ignored()
    assert names("photos", output="photos/2024/..", ignored=ignored) == [
        *("a.png", "b.JPG", "odd[1].jpeg", "2024/deep/c.webp")
    ]
    assert str(ignored) == "2 ignored: 1 TXT, 1 made by depthsvc"  # photos/out/a.png.depth.png is of another folder
    assert names("photos/*.png", output="photos") == ["a.png"]
    assert names("photos/*.png", output=".") == ["a.png"]
    assert names("**/*.png", output=".") == ["photos/a.png"]


def test_results_of_an_earlier_version_are_known_by_its_lock(photos: Path) -> None:
    for name in ("out/deep/a.jpg.png", "out/a.jpg.16.png", "out/a.jpg.pair.png", "c.jpg.png"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).touch()
    (photos / "out/.depthsvc.lock").touch()
    ignored = Ignored()
    assert names("photos", output="elsewhere", ignored=ignored) == [
        *("a.png", "b.JPG", "c.jpg.png", "odd[1].jpeg", "2024/deep/c.webp")
    ]
    assert str(ignored) == "5 ignored: 4 made by depthsvc, 1 TXT"
    assert names("photos/out/deep/*", output="elsewhere") == []


@pytest.mark.parametrize("folder", ["@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN"])
def test_folders_of_thumbnails_and_deleted_files_are_skipped(photos: Path, folder: str) -> None:
    (photos / "2024" / folder).mkdir()
    (photos / "2024" / folder / "a.jpg").touch()
    ignored = Ignored()
    assert names("photos/2024", "photos/2024/*", "photos/2024/**/a.jpg", ignored=ignored) == ["deep/c.webp"] * 2
    assert not ignored
    assert names(f"photos/2024/{folder}") == ["a.jpg"]


def test_other_files_are_counted_by_kind_each_once(tmp_path: Path) -> None:
    for name in (
        *("IMG_1.CR3", "IMG_1.AAE", "IMG_2.aae", "IMG_1.MOV", "sub/clip.mp4", "a.xmp", "Thumbs.db", ".DS_Store"),
        *("._IMG_1.MOV", ".hidden", "README", "odd.e\x1b[2J", f"long.{'x' * 99}", "IMG_1.jpg.json"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    ignored = Ignored()
    assert names(str(tmp_path), f"{tmp_path}/**", ignored=ignored) == []
    assert str(ignored) == ("12 ignored: 2 AAE, 1 DS_Store, 1 CR3, 1 MOV, 1 JSON, 1 Thumbs.db, 1 XMP, 1 MP4, 3 other")


def test_the_summary_is_short_whatever_there_is() -> None:
    ignored = Ignored()
    for number in range(100):
        ignored.add(Path(f"a.{number}"))
    assert str(ignored) == f"100 ignored: {', '.join(f'1 {number}' for number in range(8))}, 92 other"


def test_a_list_keeps_paths_from_here_and_from_the_root(photos: Path) -> None:
    here = Path.cwd()
    paths = ["photos/a.png", "photos/../x.jpg", str(here / "y.jpg"), "/else/where.jpg", "../z"]
    assert list(photos_in_list(paths)) == [
        Source(Path("photos/a.png"), Path("photos/a.png")),
        Source(Path("photos/../x.jpg"), Path("x.jpg")),
        Source(here / "y.jpg", Path("y.jpg")),
        Source(Path("/else/where.jpg"), Path("else/where.jpg")),
        Source(Path("../z"), (here.parent / "z").relative_to("/")),
    ]


def test_a_url_in_a_list_fails_by_name(photos: Path) -> None:
    (photos / "http:").mkdir()
    (photos / "http:/real.jpg").touch()
    url, real = photos_in_list(["https://example.org/a.jpg", "photos/http://real.jpg"])
    assert url.path == "https://example.org/a.jpg"
    assert url.problem == "https://example.org/a.jpg is a URL. Download the photo and give the path of the file."
    assert not real.problem
