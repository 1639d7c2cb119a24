"""What the service keeps in its cache folder. It touches nothing else there, and no links."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from depthsvc.model.choice import EngineName, Precision
from depthsvc.model.registry import MODELS

_ENGINES, _WEIGHTS = "engines", "weights"
_ARTEFACT = re.compile(
    "(?:{})-[0-9a-f]{{16}}-(?:{})-(?:{})-.+".format(
        "|".join(re.escape(model.architecture.name) for model in MODELS.values()),
        "|".join(EngineName),
        "|".join(Precision),
    )
)
"""Prepared files, their locks, and those that were left unfinished."""
_DOWNLOAD = re.compile(
    "(?:{})(?:\\..+)?".format(
        "|".join(re.escape(name) for model in MODELS.values() if model.weights for name in model.weights.filenames)
    )
)
"""Downloaded weights, their locks, and those that were left unfinished."""


def entries(cache_dir: Path) -> list[Path]:
    """Weights, prepared files, and what belongs to them, such as locks. Raises OSError."""
    return sorted(path for path in _all(cache_dir) if _is_ours(path))


def foreign(cache_dir: Path) -> list[Path]:
    """What else is in the folders of the cache, links included. Raises OSError."""
    return sorted(path for path in _all(cache_dir) if not _is_ours(path))


def size_of(entry: Path) -> int:
    """Bytes of an entry's files."""
    files = entry.iterdir() if entry.is_dir() else [entry]
    return sum(file.lstat().st_size for file in files)


def remove(entry: Path) -> None:
    """Remove an entry, following no links. Raises OSError."""
    if entry.is_dir():
        shutil.rmtree(entry)
    else:
        entry.unlink()
    with suppress(OSError):  # it contains more
        entry.parent.rmdir()


def _all(cache_dir: Path) -> Iterator[Path]:
    if not cache_dir.is_dir():
        return
    for path in cache_dir.iterdir():
        if path.name in (_ENGINES, _WEIGHTS) and path.is_dir() and not path.is_symlink():
            yield from path.iterdir()
        else:
            yield path


def _is_ours(path: Path) -> bool:
    if path.is_symlink():
        return False
    if path.parent.name == _WEIGHTS:
        return path.is_file() and bool(_DOWNLOAD.fullmatch(path.name))
    if path.parent.name != _ENGINES or not _ARTEFACT.fullmatch(path.name):
        return False
    return path.is_file() or all(file.is_file() and not file.is_symlink() for file in path.iterdir())
