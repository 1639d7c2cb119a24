"""The output folder: names of results, and atomic writes."""

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
    """The results in one folder. As a context manager it locks the folder against other batches."""

    def __init__(self, folder: Path, extension: str) -> None:
        self.folder = folder
        self._extension = extension
        self._prepared: set[Path] = set()
        """Folders that exist and contain no leftovers."""
        self._preparing = threading.Lock()

    def __enter__(self) -> Outputs:
        """Create and lock the folder. Raises ConfigurationError if that fails, or if another batch is using it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / _LOCK, timeout=0)
            self._lock.acquire()
        except Timeout as error:
            raise ConfigurationError(
                f"{self.folder}: another batch is writing to this folder. Wait for it, or choose another OUT."
            ) from error
        except OSError as error:
            raise ConfigurationError(
                f"{self.folder} cannot be used as the output folder: {error.strerror}. Choose another OUT."
            ) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._lock.release()

    def path(self, source: Source) -> Path:
        """Where a photo's result goes."""
        return self.folder / result_name(source, self._extension)

    def exists(self, path: Location) -> bool:
        """Whether a result exists. An empty file does not count: a power failure may leave one."""
        return (path := Path(path)).is_file() and path.stat().st_size > 0

    def write(self, path: Location, data: bytes) -> None:
        """Write a result atomically. Raises OSError."""
        self.prepare(Path(path).parent)
        write_whole(Path(path), data)

    def prepare(self, folder: Path) -> None:
        """Create a folder, and remove half-written files of a killed batch from it. Raises OSError."""
        with self._preparing:
            if folder not in self._prepared:
                folder.mkdir(parents=True, exist_ok=True)
                _remove_leftovers(folder)
                self._prepared.add(folder)

    def tidy(self) -> None:
        """Remove half-written files of killed processes."""
        for folder in self._prepared:
            _remove_leftovers(folder)


def result_name(source: Source, extension: str) -> Path:
    """The name of a result. It keeps the photo's own extension, so that a.jpg and a.png do not collide."""
    return source.name.with_name(f"{source.name.name}.{extension}")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically. Raises OSError."""
    temporary = path.with_name(_TEMPORARY.format(secrets.token_hex(8)))
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)  # noqa: PTH105  # Path.replace adds nothing
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _remove_leftovers(folder: Path) -> None:
    for leftover in folder.glob(_TEMPORARY.format("*")):
        with suppress(OSError):
            leftover.unlink()
