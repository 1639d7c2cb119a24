"""The output folder: names, and files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from depthsvc.batch.sources import Location, Source
from depthsvc.errors import ConfigurationError

_TEMPORARY = ".depthsvc-{}.part"
_LOCK = ".depthsvc.lock"


class Outputs:
    """The results below one folder. As a context manager it keeps other batches out of the folder."""

    def __init__(self, folder: Path, extension: str) -> None:
        self.folder = folder
        self._extension = extension
        self._prepared: set[Path] = set()
        """Folders that exist and hold no leftovers."""
        self._preparing = threading.Lock()

    def __enter__(self) -> Outputs:
        """Make the folder. Raises ConfigurationError if that fails, or if another batch is at work in it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / _LOCK, timeout=0)
            self._lock.acquire()
        except Timeout as error:
            raise ConfigurationError(f"{self.folder}: another batch is writing into this folder.") from error
        except OSError as error:
            raise ConfigurationError(f"{self.folder} cannot be used as output folder: {error.strerror}.") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._lock.release()

    def path(self, source: Source) -> Path:
        """Where a photo's result goes."""
        return self.folder / result_name(source, self._extension)

    def exists(self, path: Location) -> bool:
        """Whether a result is there. An empty file is none: a system that lost its power may leave one."""
        return (path := Path(path)).is_file() and path.stat().st_size > 0

    def write(self, path: Location, data: bytes) -> None:
        """Put a result in its place at once and whole. Raises OSError."""
        self.prepare(Path(path).parent)
        write_whole(Path(path), data)

    def prepare(self, folder: Path) -> None:
        """Make a folder, and remove what a batch that was killed has left there half written. Raises OSError."""
        with self._preparing:
            if folder not in self._prepared:
                folder.mkdir(parents=True, exist_ok=True)
                _remove_leftovers(folder)
                self._prepared.add(folder)

    def tidy(self) -> None:
        """Remove what processes that wrote here and were killed have left half written."""
        for folder in self._prepared:
            _remove_leftovers(folder)


def result_name(source: Source, extension: str) -> Path:
    """What a result is called. The photo's own extension stays, so that a.jpg and a.png are two results."""
    return source.name.with_name(f"{source.name.name}.{extension}")


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in its place at once and whole. Raises OSError."""
    temporary = path.with_name(_TEMPORARY.format(secrets.token_hex(8)))
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)  # noqa: PTH105  # Path.replace says nothing more
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _remove_leftovers(folder: Path) -> None:
    for leftover in folder.glob(_TEMPORARY.format("*")):
        with suppress(OSError):
            leftover.unlink()
