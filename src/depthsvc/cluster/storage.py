"""Folders in an object store or on another machine, by URI. Supports pyarrow's schemes: s3, gs, abfs, hdfs and file."""

from __future__ import annotations

import posixpath
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from depthsvc.batch.ignored import RESULT, Ignored
from depthsvc.batch.names import REPORT, earlier_result_name, is_result_name, result_name
from depthsvc.batch.sources import Location, Source, is_photo_name, is_searched
from depthsvc.errors import ConfigurationError, MissingExtra
from depthsvc.imaging.photo.files import check_size
from depthsvc.imaging.photo.formats import format_of

try:
    from pyarrow import ArrowException
    from pyarrow.fs import FileSelector, FileSystem, FileType
except ImportError as missing:
    raise MissingExtra("URIs need PyArrow", "ray") from missing

_WHOLE_AT_ONCE = frozenset({"s3", "gcs", "abfs"})
"""Stores in which a file appears only once it is complete."""


class Storage:
    """A folder, whose files are named by their paths below it. Picklable."""

    def __init__(self, uri: str) -> None:
        """Raises ConfigurationError if `uri` is not the URI of a reachable store."""
        if urlsplit(uri).password is not None:
            raise ConfigurationError(
                "A URI must not contain a key, because it is printed and reported. Set the key's variables instead."
            )
        try:
            self._files, root = FileSystem.from_uri(uri)
        except (ArrowException, OSError) as error:
            raise ConfigurationError(f"{uri} cannot be used: {error}") from error
        self._root: str = root.rstrip("/")
        address, mark, parameters = uri.partition("?")
        self._before, self._after = f"{address.rstrip('/')}/", mark + parameters

    def uri(self, name: str) -> str:
        """The URI of a file."""
        return f"{self._before}{quote(name)}{self._after}"

    def name(self, uri: str) -> str:
        """The inverse of `uri`."""
        return unquote(uri.removeprefix(self._before).removesuffix(self._after))

    def sizes(self) -> dict[str, int]:
        """Size in bytes of every file, sorted by name; empty if there is no folder. Raises ConfigurationError."""
        selector = FileSelector(self._root, recursive=True, allow_not_found=True)
        try:
            found = self._files.get_file_info(selector)
        except (ArrowException, OSError) as error:
            raise ConfigurationError(f"{self._before} cannot be listed: {error}") from error
        files = {info.path: info.size for info in found if info.type == FileType.File}
        return {posixpath.relpath(path, self._root): files[path] for path in sorted(files)}

    def read(self, name: str, max_pixels: int) -> bytes:
        """The bytes of a file, as `depthsvc.imaging.photo.files.read` for a local one. Raises as it does."""
        with _failing_as_files_do(), self._files.open_input_file(self._path(name)) as file:
            check_size(file.size(), max_pixels)
            data: bytes = file.read()
        format_of(data)
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file atomically. Raises OSError."""
        path = self._path(name)
        with _failing_as_files_do():
            if self._files.type_name in _WHOLE_AT_ONCE:
                self._put(path, data)
                return
            folder = posixpath.dirname(path)
            temporary = f"{folder}/.depthsvc-{secrets.token_hex(8)}.part"
            self._files.create_dir(folder, recursive=True)
            try:
                self._put(temporary, data)
                self._files.move(temporary, path)
            except BaseException:
                with suppress(ArrowException, OSError):  # it may not exist yet
                    self._files.delete_file(temporary)
                raise

    def _put(self, path: str, data: bytes) -> None:
        with self._files.open_output_stream(path) as stream:
            stream.write(data)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


@contextmanager
def _failing_as_files_do() -> Iterator[None]:
    """Turn pyarrow's errors into OSError."""
    try:
        yield
    except ArrowException as error:
        raise OSError(str(error)) from error


class StoredResults:
    """Results in a storage. Existing results are listed once, at the start; other batches are not locked out."""

    def __init__(self, storage: Storage, extension: str) -> None:
        """Raises ConfigurationError if the storage cannot be listed."""
        self._storage = storage
        self._extension = extension
        self._there = {storage.uri(name) for name, size in storage.sizes().items() if size > 0}

    def path(self, source: Source) -> Location:
        return self._uri(result_name(source.name, self._extension))

    def entry(self, path: Location) -> str:
        return str(path)

    def existing(self, source: Source) -> Location | None:
        names = (name(source.name, self._extension) for name in (result_name, earlier_result_name))
        return next((uri for uri in map(self._uri, names) if uri in self._there), None)

    def _uri(self, name: Path) -> str:
        return self._storage.uri(name.as_posix())

    def write(self, path: Location, data: bytes) -> None:
        self._storage.write(self._storage.name(str(path)), data)


def photos_in_storage(storage: Storage, output: str, ignored: Ignored) -> Iterator[Source]:
    """The photos in a storage, chosen as in a folder, without those below the URI `output`.

    Raises ConfigurationError if `output` contains the storage.
    """
    if _below(storage.uri(""), output):
        raise ConfigurationError(f"{output}: with URIs, OUT must not be IN or contain it. Choose another OUT.")
    for name in storage.sizes():
        uri, path = storage.uri(name), PurePosixPath(name)
        if _below(uri, output) or not all(map(is_searched, path.parts[:-1])):
            continue
        if is_result_name(path.name):
            ignored.add(path, RESULT)
        elif is_photo_name(path.name):
            yield Source(uri, Path(name))
        elif path.name != REPORT:
            ignored.add(path)


def _below(uri: str, folder: str) -> bool:
    return uri.startswith(f"{folder.partition('?')[0].rstrip('/')}/")
