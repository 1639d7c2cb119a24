"""The photos in folders, globs, files and lists, and the name of each in the output folder."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from depthsvc.batch.ignored import RESULT, Ignored
from depthsvc.batch.names import REPORT, is_beside_its_photo, is_result
from depthsvc.errors import ConfigurationError
from depthsvc.imaging.photo.files import url_problem
from depthsvc.imaging.photo.formats import SUFFIXES
from depthsvc.video.suffixes import VIDEO_SUFFIXES

Location = Path | str
"""The path of a file on this machine, or the URI of one elsewhere."""

_SKIPPED = frozenset(
    {"@eadir", "__macosx", "#recycle", "@recycle", "$recycle.bin", "#snapshot", "system volume information"}
)
"""Folders, in lower case, in which storage and systems keep thumbnails, attributes, deleted files and copies."""


class NothingFound(ConfigurationError):
    """There is no photo to process."""


@dataclass(frozen=True)
class Source:
    """A file that may be a photo."""

    path: Location
    name: Path
    """Relative path in the output folder, from which its result's name is made."""
    problem: str = ""
    """Why it cannot be read at all, or empty."""
    is_video: bool = False
    """Whether it is to become a video."""


def find_photos(given: Iterable[str], output: Path, ignored: Ignored, *, videos: bool = False) -> Iterator[Source]:
    """The photos, and with `videos` the videos, in folders, globs and single files.

    Other files in folders and globs are added to `ignored`.

    A folder's photos keep their path below it, a glob's below its part without wildcards, a single one its name.
    Folders and globs leave out the output folder, unless it is IN itself, and results; hidden files and folders, whose
    names begin with a dot; folders of thumbnails and deleted files; and links to folders.
    Raises NothingFound if nothing matches a glob, and ConfigurationError if there is no such file.
    """
    for word in given:
        if os.path.isdir(word):  # noqa: PTH112  # Path.is_dir() raises for a long name
            yield from in_folder(Path(word), Path(word), output, ignored, videos=videos)
        elif os.path.lexists(word):
            yield _source(Path(word), Path(Path(word).name), videos=videos)
        else:
            yield from _in_glob(word, output, ignored, videos=videos)


def photos_in_list(paths: Iterable[str], *, videos: bool = False) -> Iterator[Source]:
    """The photos, and with `videos` the videos, in a list of paths, with any extension.

    Their results keep the path from the current folder, or from the root for a photo outside it.
    """
    for word in paths:
        if problem := url_problem(word):
            yield Source(word, Path(word), problem)
            continue
        path = Path(os.path.abspath(word))  # noqa: PTH100  # resolve() would follow links
        base = Path.cwd() if path.is_relative_to(Path.cwd()) else path.anchor
        yield _source(Path(word), path.relative_to(base), videos=videos)


def _source(path: Path, name: Path, *, videos: bool) -> Source:
    return Source(path, name, is_video=videos and is_video_name(name.name))


def in_folder(folder: Path, base: Path, output: Path, ignored: Ignored, *, videos: bool = False) -> Iterator[Source]:
    """The photos, and with `videos` the videos, in a folder, recursively, in order of their paths.

    A name is the path below `base`.
    """
    unlistable: list[OSError] = []
    own = _output_within(base, output)
    for parent, folders, files in os.walk(folder, onerror=unlistable.append):
        folders[:] = sorted(filter(is_searched, folders))
        if own and os.path.realpath(parent) == own:
            folders.clear()
            continue
        for name in sorted(files):
            path = Path(parent, name)
            if _is_taken(path, ignored, videos=videos):
                yield _source(path, path.relative_to(base), videos=videos)
    for error in unlistable:
        path = Path(error.filename)
        yield Source(path, path.relative_to(base), f"The folder cannot be read: {error.strerror}.")


def is_searched(folder: str) -> bool:
    """Whether a folder in a folder may hold photos, by its name."""
    return not folder.startswith(".") and folder.lower() not in _SKIPPED


def is_photo_name(name: str) -> bool:
    """Whether a file in a folder looks like a photo, by its name."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122


def is_video_name(name: str) -> bool:
    """Whether a file looks like a video, by its name."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES  # noqa: PTH122


def _is_taken(path: Path, ignored: Ignored, *, videos: bool) -> bool:
    """Whether a file that was found is a photo, or a wanted video.

    Counts it if not, unless it is what this batch writes.
    """
    if is_result(path):
        if not is_beside_its_photo(path):
            ignored.add(path, RESULT)
    elif is_photo_name(path.name) or (videos and is_video_name(path.name)):
        return True
    elif path.name != REPORT:
        ignored.add(path)
    return False


def _output_within(base: Path, output: Path) -> str | None:
    """The output folder if it is below `base`; None if it is elsewhere, or `base` itself."""
    own = os.path.realpath(output)
    return own if os.path.realpath(base) != own and _inside(output, base) else None


def _in_glob(pattern: str, output: Path, ignored: Ignored, *, videos: bool) -> Iterator[Source]:
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # Path.glob rejects absolute patterns
    if not matches:
        failure = NothingFound if glob.has_magic(pattern) else ConfigurationError
        raise failure(f"{pattern}: no such photo or folder, and no photo matches. Check the path or pattern.")
    base = _fixed_part(pattern)
    own = _output_within(base, output)
    done: set[Location] = set()
    for match in map(Path, matches):
        if (own and _inside(match, own)) or any(part.lower() in _SKIPPED for part in match.relative_to(base).parts):
            continue
        for source in _at(match, base, output, ignored, videos=videos):  # `**` matches a folder and also its contents
            if source.path not in done:
                done.add(source.path)
                yield source


def _at(match: Path, base: Path, output: Path, ignored: Ignored, *, videos: bool) -> Iterator[Source]:
    """The photos and videos in a folder, or the file itself, if it is one."""
    if match.is_dir():
        yield from in_folder(match, base, output, ignored, videos=videos)
    elif _is_taken(match, ignored, videos=videos):
        yield _source(match, match.relative_to(base), videos=videos)


def _fixed_part(pattern: str) -> Path:
    """The folder of a pattern before its first wildcard."""
    parts = Path(pattern).parts
    first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])


def _inside(path: Path, folder: Path | str) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
