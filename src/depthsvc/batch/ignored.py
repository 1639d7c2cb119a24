"""Files that a batch does not take, by kind."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePath

_SYSTEM_FILES = {".ds_store": "DS_Store", "thumbs.db": "Thumbs.db", "desktop.ini": "desktop.ini"}
_EXTENSION = re.compile(r"\.(\w{1,10})$")
_MOST_KINDS = 8
_OTHER = "other"

RESULT = "made by depthsvc"
"""The kind of results."""


class Ignored:
    """Counts files by kind, each path once. Hidden files do not count."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        """Path -> kind."""

    def add(self, path: PurePath, kind: str | None = None) -> None:
        """Count a file, by its extension unless its `kind` is given."""
        if kind := kind or _kind(path.name):
            self._kinds[str(path)] = kind

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def __str__(self) -> str:
        """Such as "3 ignored: 2 HEIC, 1 CR3"."""
        counts = Counter(self._kinds.values())
        del counts[_OTHER]
        kinds = counts.most_common(_MOST_KINDS)
        if others := len(self._kinds) - sum(count for _, count in kinds):
            kinds.append((_OTHER, others))
        return f"{len(self._kinds)} ignored: {', '.join(f'{count} {kind}' for kind, count in kinds)}"


def _kind(name: str) -> str:
    """The kind of a file with this name; empty for a hidden one."""
    if known := _SYSTEM_FILES.get(name.lower()):
        return known
    if name.startswith("."):
        return ""
    extension = _EXTENSION.search(name)
    return extension[1].upper() if extension else _OTHER
