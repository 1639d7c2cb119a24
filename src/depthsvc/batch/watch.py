"""A folder where new photos keep arriving."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from depthsvc.batch.ignored import Ignored
from depthsvc.batch.sources import Source, in_folder


class Fingerprint(NamedTuple):
    """What changes while a file is being written."""

    size: int
    modified_ns: int


def fingerprint(path: Path) -> Fingerprint | None:
    """Size and modification time; None if the file does not exist."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return Fingerprint(stat.st_size, stat.st_mtime_ns)


@dataclass
class _Seen:
    fingerprint: Fingerprint
    since: float
    taken: bool = False


class WatchedFolder:
    """Yields every photo of a folder once it has stopped changing, and again if it changes later."""

    def __init__(
        self,
        folder: Path,
        output: Path,
        ignored: Ignored,
        settle_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ignored`: counts files that are not photos. `settle_s`: seconds for which size and modification time must be
        unchanged; an empty file is never ready."""
        self._folder = folder
        self._output = output
        self._ignored = ignored
        self._settle_s = settle_s
        self._clock = clock
        self._seen: dict[Path, _Seen] = {}

    def ready(self) -> list[Source]:
        """The photos that are complete and have not been returned yet. Call it repeatedly."""
        present = dict(self._present())
        self._seen = {path: seen for path, seen in self._seen.items() if path in present}
        return [source for source in present.values() if self._take(Path(source.path))]

    def _present(self) -> Iterator[tuple[Path, Source]]:
        for source in in_folder(self._folder, self._folder, self._output, self._ignored):
            if not source.problem:
                yield Path(source.path), source

    def _take(self, path: Path) -> bool:
        now, current = self._clock(), fingerprint(path)
        if current is None or current.size == 0:
            self._seen.pop(path, None)
            return False
        seen = self._seen.get(path)
        if seen is None or seen.fingerprint != current:
            self._seen[path] = seen = _Seen(current, now)
        if seen.taken or now - seen.since < self._settle_s:
            return False
        seen.taken = True
        return True

    def unchanged(self, path: Path) -> bool:
        """Whether a photo has not changed since it was returned."""
        seen = self._seen.get(path)
        return seen is not None and seen.fingerprint == fingerprint(path)
