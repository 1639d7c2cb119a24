"""The files of a data set, wherever below its folder they are.

Hidden files and folders, whose names begin with a dot, are no part of it, and neither are folders that may not be read.
Links to folders are followed: data sets are large, and parts of them are often on another disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """A folder and all below it, in order, each with the names of its files; nothing if it is not a folder."""
    if folder.is_dir():
        yield from _below(folder, frozenset())


def files_below(folder: Path) -> Iterator[Path]:
    """The files in a folder and in all below it, in order."""
    return (place / name for place, names in walk(folder) for name in names)


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, in order."""
    return [folder / entry.name for entry in _entries(folder) if entry.is_dir()]


def visible(paths: Iterable[Path]) -> list[Path]:
    """Those that are not hidden, in order."""
    return sorted(path for path in paths if not path.name.startswith("."))


def within(folder: Path, name: str) -> Path | None:
    """The file of that name in a list; None if it is elsewhere, where nobody would expect it to be read."""
    path, absolute = (Path(os.path.abspath(path)) for path in (folder / name, folder))  # noqa: PTH100  # not resolved
    return path if path.is_relative_to(absolute) else None


def _below(folder: Path, above: frozenset[str]) -> Iterator[tuple[Path, list[str]]]:
    """`above`: the folders that this one is in. A link to one of them would never end."""
    real = os.path.realpath(folder)
    if real in above:
        return
    entries = _entries(folder)
    yield folder, [entry.name for entry in entries if not entry.is_dir()]
    for entry in entries:
        if entry.is_dir():
            yield from _below(folder / entry.name, above | {real})


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if not entry.name.startswith(".")]
    except PermissionError:
        return []
    return sorted(entries, key=lambda entry: entry.name)
