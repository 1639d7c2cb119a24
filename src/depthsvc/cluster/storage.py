"""Folders of an object store or another machine, by URI: what pyarrow knows, such as s3, gs, abfs, hdfs and file."""

from __future__ import annotations

import posixpath
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from depthsvc.batch.outputs import result_name
from depthsvc.batch.reading import check_size
from depthsvc.batch.sources import Location, Source, is_photo_name
from depthsvc.errors import ConfigurationError
from depthsvc.imaging.photo.formats import format_of

try:
    from pyarrow import ArrowException
    from pyarrow.fs import FileSelector, FileSystem, FileType
except ImportError as missing:
    raise ConfigurationError("URIs need more packages: pip install 'depthsvc[ray]'.") from missing

_WHOLE_AT_ONCE = frozenset({"s3", "gcs", "abfs"})
"""Stores in which a file appears when all of it is there."""


class Storage:
    """A folder and all in it. A file is known by its path below the folder; it can be sent to other processes."""

    def __init__(self, uri: str) -> None:
        """Raises ConfigurationError for what is no URI of a store that can be reached."""
        if urlsplit(uri).password is not None:
            raise ConfigurationError("A URI with a key in it would be printed and reported: set the key's variables.")
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
        """The file of a URI that `uri` gave."""
        return unquote(uri.removeprefix(self._before).removesuffix(self._after))

    def sizes(self) -> dict[str, int]:
        """Bytes of every file, in order of their names; none if there is no such folder. Raises ConfigurationError."""
        selector = FileSelector(self._root, recursive=True, allow_not_found=True)
        try:
            found = self._files.get_file_info(selector)
        except (ArrowException, OSError) as error:
            raise ConfigurationError(f"{self._before} cannot be listed: {error}") from error
        files = {info.path: info.size for info in found if info.type == FileType.File}
        return {posixpath.relpath(path, self._root): files[path] for path in sorted(files)}

    def read(self, name: str, max_pixels: int) -> bytes:
        """The bytes of a file, as `depthsvc.batch.reading.read` gives those of a local one. Raises as it does."""
        with _failing_as_files_do(), self._files.open_input_file(self._path(name)) as file:
            check_size(file.size(), max_pixels)
            data: bytes = file.read()
        format_of(data)
        return data

    def write(self, name: str, data: bytes) -> None:
        """Put a file in its place at once and whole. Raises OSError."""
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
                with suppress(ArrowException, OSError):  # there may be none yet
                    self._files.delete_file(temporary)
                raise

    def _put(self, path: str, data: bytes) -> None:
        with self._files.open_output_stream(path) as stream:
            stream.write(data)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


@contextmanager
def _failing_as_files_do() -> Iterator[None]:
    """Have what pyarrow finds wrong be an OSError as well."""
    try:
        yield
    except ArrowException as error:
        raise OSError(str(error)) from error


class StoredResults:
    """Results in a storage. What is there is looked up once, at the beginning; nothing keeps other batches out."""

    def __init__(self, storage: Storage, extension: str) -> None:
        """Raises ConfigurationError if the storage cannot be listed."""
        self._storage = storage
        self._extension = extension
        self._there = {storage.uri(name) for name, size in storage.sizes().items() if size > 0}

    def path(self, source: Source) -> Location:
        return self._storage.uri(result_name(source, self._extension).as_posix())

    def exists(self, path: Location) -> bool:
        return path in self._there

    def write(self, path: Location, data: bytes) -> None:
        self._storage.write(self._storage.name(str(path)), data)


def photos_in_storage(storage: Storage, output: str) -> Iterator[Source]:
    """The photos of a storage, chosen as in a folder. What lies below the URI `output` is none."""
    for name in storage.sizes():
        uri = storage.uri(name)
        *folders, last = PurePosixPath(name).parts
        if is_photo_name(last) and not any(part.startswith(".") for part in folders) and not _below(uri, output):
            yield Source(uri, Path(name))


def _below(uri: str, folder: str) -> bool:
    return uri.startswith(f"{folder.partition('?')[0].rstrip('/')}/")
