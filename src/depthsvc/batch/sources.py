"""The photos in folders, globs, files and lists, and the name of each in the output folder."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from depthsvc.errors import ConfigurationError
from depthsvc.imaging.photo.formats import SUFFIXES

Location = Path | str
"""The path of a file on this machine, or the URI of one elsewhere."""


@dataclass(frozen=True)
class Source:
    """A file that may be a photo."""

    path: Location
    name: Path
    """Relative path of its result in the output folder, without the extension that is appended."""
    problem: str = ""
    """Why it cannot be read at all, or empty."""


def find_photos(given: Iterable[str], output: Path) -> Iterator[Source]:
    """The photos in folders, globs and single files. Folders and globs leave out the output folder.

    A folder's photos keep their path below it, a glob's below its part without wildcards, a single one its name.
    Hidden files and folders, whose names begin with a dot, are skipped, and links to folders are not followed.
    Raises ConfigurationError if nothing matches.
    """
    for word in given:
        if Path(word).is_dir():
            if os.path.realpath(word) == os.path.realpath(output):
                raise ConfigurationError(f"{word}: photos and results cannot share one folder. Choose another OUT.")
            yield from in_folder(Path(word), Path(word), output)
        elif os.path.lexists(word):
            yield Source(Path(word), Path(Path(word).name))
        else:
            yield from _in_glob(word, output)


def photos_in_list(lines: Iterable[bytes]) -> Iterator[Source]:
    """The photos in a list, one path per line, with any extension.

    Their results keep the path from the current folder, or from the root for a photo outside it.
    """
    for line in lines:
        if word := os.fsdecode(line.rstrip(b"\r\n")):
            path = Path(os.path.abspath(word))  # noqa: PTH100  # resolve() would follow links
            base = Path.cwd() if path.is_relative_to(Path.cwd()) else path.anchor
            yield Source(Path(word), path.relative_to(base))


def in_folder(folder: Path, base: Path, output: Path) -> Iterator[Source]:
    """The photos in a folder, recursively, in order of their paths; a name is the path below `base`."""
    unlistable: list[OSError] = []
    own = os.path.realpath(output)
    for parent, folders, files in os.walk(folder, onerror=unlistable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if os.path.realpath(parent) == own:
            folders.clear()
            continue
        for name in sorted(filter(is_photo_name, files)):
            path = Path(parent, name)
            yield Source(path, path.relative_to(base))
    for error in unlistable:
        path = Path(error.filename)
        yield Source(path, path.relative_to(base), f"The folder cannot be read: {error.strerror}.")


def is_photo_name(name: str) -> bool:
    """Whether a file in a folder looks like a photo, by its name."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122


def _in_glob(pattern: str, output: Path) -> Iterator[Source]:
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # Path.glob rejects absolute patterns
    if not matches:
        raise ConfigurationError(
            f"{pattern}: no such photo or folder, and no photo matches. Check the path or pattern."
        )
    base = _fixed_part(pattern)
    done: set[Location] = set()
    for match in map(Path, matches):
        if match.is_dir():
            found = in_folder(match, base, output)
        elif is_photo_name(match.name) and not _inside(match, output):
            found = iter([Source(match, match.relative_to(base))])
        else:
            continue
        for source in found:  # `**` matches a folder and also its contents
            if source.path not in done:
                done.add(source.path)
                yield source


def _fixed_part(pattern: str) -> Path:
    """The folder of a pattern before its first wildcard."""
    parts = Path(pattern).parts
    first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])


def _inside(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
