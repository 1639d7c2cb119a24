"""What every data set offers."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from depthsvc.errors import DepthServiceError
from depthsvc.evaluation.protocol import USUAL_RANGE, Ordinal, Range, Truth


class BrokenPair(DepthServiceError):
    """A photo or its depth is missing or cannot be read. The message says why."""


@dataclass(frozen=True)
class Pair:
    """A photo and its truth, which are read when they are asked for. Thread-safe."""

    name: str
    """Unique in its folder."""
    photo: Callable[[], bytes]
    """The photo's file. Raises BrokenPair or OSError."""
    truth: Callable[[], Truth | Ordinal]
    """Raises BrokenPair or OSError."""
    files: tuple[Path, ...] = ()
    """What is read, as far as it exists."""

    @classmethod
    def broken(cls, name: str, reason: str) -> Pair:
        """A pair of which a part is missing."""

        def fail() -> NoReturn:
            raise BrokenPair(reason)

        return cls(name, fail, fail)

    @classmethod
    def of_files(cls, name: str, photo: Path, truth: Callable[[], Truth | Ordinal], *others: Path) -> Pair:
        """A pair whose photo is a file of its own, with the other files that are read."""
        return cls(name, lambda: read_file(photo), truth, (photo, *others))

    def read(self) -> tuple[bytes, Truth | Ordinal]:
        """The photo's file and its truth. Raises BrokenPair, OSError or MissingExtra."""
        try:
            return self.photo(), self.truth()
        except (DepthServiceError, OSError):
            raise
        except Exception as error:  # libraries raise whatever a damaged file leads to
            raise BrokenPair(f"The photo or its depth cannot be read: {error}") from error

    def version(self) -> str:
        """Of its files: another one when they are replaced or written again."""
        digest = hashlib.blake2b(digest_size=8)
        for path in self.files:
            try:
                status = path.stat()
                digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode(errors="surrogateescape"))
            except OSError:
                digest.update(b"missing\n")
        return digest.hexdigest()


@dataclass(frozen=True)
class Layout:
    """How the files of a data set are arranged."""

    name: str
    title: str
    source: str
    """Where it is published."""
    recognises: Callable[[Path], bool]
    """Whether a folder, or a file, is arranged so."""
    pairs: Callable[[Path], Iterator[Pair]]
    """The pairs in a folder, always in the same order. Raises BrokenPair if it cannot be read at all."""
    range: Range = USUAL_RANGE
    """Depths that are usually scored."""


_MOST_BYTES = 1 << 30


def checked(path: Path) -> Path:
    """The same path. Raises BrokenPair if there is no file or it is too large, and OSError."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise BrokenPair(f"{path} is missing.") from error
    if not stat.S_ISREG(status.st_mode):
        raise BrokenPair(f"{path} is not a file.")
    if status.st_size > _MOST_BYTES:
        raise BrokenPair(f"{path.name} has more than a gigabyte.")
    return path


def read_file(path: Path) -> bytes:
    """A file's bytes. Raises BrokenPair as `checked` does, and OSError."""
    return checked(path).read_bytes()
