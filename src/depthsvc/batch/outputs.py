"""The output folder: the results in it, and atomic writes that never leave it.

Whoever else may write to the folder could make a link in it that leads elsewhere. So folders are opened one in another,
each without following a link. The output folder itself may be a link.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from depthsvc.batch.names import EARLIER_LOCK, LOCK, VIDEO_EXTENSION, earlier_result_name, result_name
from depthsvc.batch.sources import Location, Source
from depthsvc.errors import ConfigurationError

_TEMPORARY = ".depthsvc-{}.part"
_LEFTOVERS = _TEMPORARY.format("*") + "*"


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
            self._lock = FileLock(self.folder / LOCK, timeout=0)
            self._lock.acquire()
            self._ignores_case = (self.folder / LOCK.upper()).exists()
            self._is_earlier = (self.folder / EARLIER_LOCK).exists()
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
        return self.folder / result_name(source.name, VIDEO_EXTENSION if source.is_video else self._extension)

    def entry(self, path: Location) -> str:
        """The same for all spellings of one file's path."""
        return str(path).casefold() if self._ignores_case else str(path)

    def existing(self, source: Source) -> Path | None:
        """A photo's result, if there is one, perhaps of an earlier version. Raises OSError."""
        if _has_content(path := self.path(source)):
            return path
        earlier = self.folder / earlier_result_name(source.name, self._extension)
        return earlier if self._is_earlier and _has_content(earlier) else None

    def write(self, path: Location, data: bytes) -> None:
        """Write a result atomically. Raises OSError."""
        self.prepare(Path(path).parent)
        write_inside(self.folder, Path(path), data)

    def temporary(self, suffix: str) -> Path:
        """A new name in the folder for a file that `adopt` will move. Raises OSError."""
        self.prepare(self.folder)
        return temporary_in(self.folder, suffix)

    def adopt(self, temporary: Path, path: Path) -> None:
        """Have a complete file become a result. Raises OSError, and the file is gone then."""
        try:
            self.prepare(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        move_inside(self.folder, temporary, path)

    def prepare(self, folder: Path) -> None:
        """Create a folder, and remove half-written files of a killed batch from it. Raises OSError."""
        with self._preparing:
            if folder not in self._prepared:
                with _opened(self.folder, folder) as descriptor:
                    _remove_leftovers(descriptor)
                self._prepared.add(folder)

    def tidy(self) -> None:
        """Remove half-written files of killed processes."""
        for folder in self._prepared:
            with suppress(OSError), _opened(self.folder, folder) as descriptor:
                _remove_leftovers(descriptor)


def _has_content(path: Path) -> bool:
    """Whether it is a file that is not empty: a power failure may leave an empty one. Raises OSError."""
    return path.is_file() and path.stat().st_size > 0


def write_inside(output: Path, path: Path, data: bytes) -> None:
    """Write a file below the output folder, atomically, and the folders between. Raises OSError."""
    temporary = _TEMPORARY.format(secrets.token_hex(8))
    with _opened(output, path.parent) as folder:
        try:
            with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o666, dir_fd=folder)) as file:
                file.write(data)
            os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise


def temporary_in(output: Path, suffix: str) -> Path:
    """A new name in the output folder for a file that `move_inside` will move."""
    return output / f"{_TEMPORARY.format(secrets.token_hex(8))}{suffix}"


def move_inside(output: Path, temporary: Path, path: Path) -> None:
    """Have a complete file of the output folder become a result. Raises OSError, and the file is gone then."""
    try:
        with _opened(output, output) as source, _opened(output, path.parent) as target:
            os.replace(temporary.name, path.name, src_dir_fd=source, dst_dir_fd=target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def _opened(output: Path, folder: Path) -> Iterator[int]:
    """A descriptor of a folder below the output folder, created if necessary. Raises OSError."""
    parts = folder.relative_to(output).parts
    if ".." in parts:
        raise OSError(errno.EINVAL, "It would be outside the output folder. Name the photo without `..`.")
    descriptor = os.open(output, os.O_DIRECTORY)
    try:
        for part in parts:
            outer, descriptor = descriptor, _open_in(descriptor, part)
            os.close(outer)
        yield descriptor
    finally:
        os.close(descriptor)


def _open_in(folder: int, name: str) -> int:
    """A descriptor of a folder in another one, created if necessary. Raises OSError, for a link too."""
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
    try:
        return os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    except OSError:
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            reason = f"{name} is a link, which may lead out of the output folder. Replace it with a folder."
            raise OSError(errno.ELOOP, reason) from None
        raise


def _remove_leftovers(folder: int) -> None:
    for name in os.listdir(folder):
        if fnmatch(name, _LEFTOVERS):
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)
