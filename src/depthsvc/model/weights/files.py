"""Finding weights files and deciding whether to trust them. Does not import torch."""

from __future__ import annotations

import hashlib
import logging
import stat
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path

from depthsvc.errors import ConfigurationError, DownloadError, WeightsChanged, WeightsError
from depthsvc.machine.folders import can_write, private_temporary_folder
from depthsvc.model.choice import WeightsLocations
from depthsvc.model.spec import FileStatus, RegisteredModel, RegisteredWeights, VerifiedFile
from depthsvc.model.weights.attempts import forget_failure, recent_failure, remember_failure

logger = logging.getLogger(__name__)

_BY_HAND = "If you have the file, put it in a folder and set DEPTHSVC_WEIGHTS_DIR to that folder."

EMBEDDED_WEIGHTS = Path(__file__).parents[1] / "data" / "embedded.safetensors"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises WeightsError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}.") from error


def verify(path: Path, sha256: str) -> VerifiedFile:
    """Check that a file's SHA-256 is `sha256`, all 64 digits of it. Raises WeightsError if not."""
    actual = sha256_of(path)
    if actual != sha256:
        raise WeightsError(
            f"{path} is refused: its SHA-256 is {actual}, expected {sha256}. "
            "The file is truncated, altered, or another model's. Download it again."
        )
    return VerifiedFile(path, actual)


def check_unchanged(file: VerifiedFile) -> None:
    """Check a file again, and those beside it. Raises WeightsChanged, or WeightsError if one cannot be read.

    A gigabyte takes a second to hash: one whose status is that of when it was hashed is not hashed again.
    """
    for each in (file, *file.beside):
        if each.status is None or each.status != status_of(each.path):
            _compare(each, sha256_of(each.path))


def status_of(path: Path) -> FileStatus:
    """The file's status. The time of its inode's last change can only be set by changing the clock.

    Raises WeightsError if the file cannot be read, or is none: to open a pipe is to wait for whoever writes to it.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise WeightsError(f"{path} cannot be read: it is not a regular file.")
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def read_unchanged(file: VerifiedFile) -> bytes:
    """The bytes of a file, checked again after reading, so that what is used is what was verified.

    Raises WeightsChanged, or WeightsError if it cannot be read.
    """
    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{file.path} cannot be read: {error.strerror or error}.") from error
    _compare(file, hashlib.sha256(content).hexdigest())
    return content


def _compare(file: VerifiedFile, actual: str) -> None:
    if actual != file.sha256:
        raise WeightsChanged(
            f"{file.path} is refused: it has changed since its SHA-256 was checked. It was {file.sha256} and is "
            f"{actual}. Put the file back, or restart to use the new one."
        )


def obtain(model: RegisteredModel, locations: WeightsLocations, *, first_byte_s: float | None = None) -> VerifiedFile:
    """The verified weights of a model: found in `locations`, or downloaded into the cache or, where that cannot be
    written, into a temporary folder.

    `first_byte_s` limits the wait for a server's first byte, and a download that has just failed is not tried again.

    Raises WeightsError, naming the file and the reason, if none are available, if the first ones found cannot be
    trusted, or if a licence that forbids commercial use has not been accepted; ConfigurationError if an explicit file
    comes without its hash, or if a variable for proxies or certificates cannot be used.
    """
    if found := find_weights(model, locations):
        return found
    published = _published(model)
    *_, folder = _caches(locations)
    destination = folder / published.filenames[0]
    if not locations.download:
        raise WeightsError(f"{destination.name} is not in {_searched(locations)}, and downloading is off. {_BY_HAND}")
    sha256 = _hash_to_download(model, published, locations)
    if first_byte_s is not None and (failure := recent_failure(destination)):
        raise DownloadError(f"{failure} {_BY_HAND}")
    from depthsvc.model.weights.download import download  # brings an HTTP client, which most starts do not need

    try:
        download(
            published.addresses,
            destination,
            lambda path: verify(path, sha256),
            first_byte_s=first_byte_s,
        )
    except DownloadError as error:
        remember_failure(destination, str(error))
        failure = recent_failure(destination) if first_byte_s is not None else None
        raise DownloadError(f"{failure or error} {_BY_HAND}") from error
    forget_failure(destination)
    return verify(destination, sha256)


def _hash_to_download(model: RegisteredModel, published: RegisteredWeights, locations: WeightsLocations) -> str:
    """The SHA-256 that a download must have. Raises WeightsError if the model may not be downloaded."""
    if model.non_commercial and model.licence not in locations.accepted_licences:
        raise WeightsError(
            f"The weights of {model.name} may not be used commercially ({model.licence}). To download them, accept the "
            f"licence: --accept-licence {model.licence}"
        )
    if published.sha256 is None and locations.sha256 is None:
        address = f" from {published.addresses[0]}" if published.addresses else f" ({model.source})"
        raise WeightsError(
            f"No hash of {model.name}'s weights has been published, so a download could not be verified. Download "
            f"{published.filenames[0]} yourself{address}, and use --weights FILE --weights-sha256 HEX."
        )
    return locations.sha256 or published.sha256 or ""


def find_weights(model: RegisteredModel, locations: WeightsLocations) -> VerifiedFile | None:
    """The model's weights if they are on this machine. Raises as `obtain` does."""
    if locations.explicit is not None:
        return _verify_explicit(locations.explicit, locations.sha256, model)
    found = _find_registered(model, locations)
    return verify(found.path, locations.sha256) if found and locations.sha256 else found


def _find_registered(model: RegisteredModel, locations: WeightsLocations) -> VerifiedFile | None:
    if model.weights is None:
        return VerifiedFile(EMBEDDED_WEIGHTS, sha256_of(EMBEDDED_WEIGHTS))
    expected = model.weights.sha256 or locations.sha256
    if locations.weights_dir is not None and (path := _present(locations.weights_dir, model.weights)):
        return verify(path, expected) if expected else _vouched_for(path, locations.trusted_sha256, model)
    if expected is None:
        return None
    for path in filter(None, (_present(folder, model.weights) for folder in _caches(locations))):
        try:
            return verify(path, expected)
        except WeightsError as error:
            logger.warning("%s Removing it from the cache.", error)
            with suppress(OSError):  # a cache that cannot be written
                path.unlink(missing_ok=True)
    return None


def _caches(locations: WeightsLocations) -> Iterator[Path]:
    """Folders of downloaded weights; the last one is for more."""
    yield locations.cached_weights
    if not can_write(locations.cached_weights):
        with suppress(OSError):  # no temporary folder either
            yield private_temporary_folder() / locations.cached_weights.name


def locate(model: RegisteredModel, locations: WeightsLocations) -> VerifiedFile:
    """As `find_weights`, but raises WeightsError if the weights are not on this machine."""
    if found := find_weights(model, locations):
        return found
    raise WeightsError(
        f"The weights of {model.name} are not in {_searched(locations)}. "
        f"Download them: depthsvc weights fetch {model.name}"
    )


def _verify_explicit(path: Path, sha256: str | None, model: RegisteredModel) -> VerifiedFile:
    if sha256 is not None:
        return verify(path, sha256)
    published = model.weights.sha256 if model.weights else None
    return _vouched_for(path, (published,), model)


def _vouched_for(path: Path, hashes: Container[str | None], model: RegisteredModel) -> VerifiedFile:
    """The file if its SHA-256 is one of these. Raises ConfigurationError, which says it, if not."""
    actual = sha256_of(path)
    if actual not in hashes:
        raise _untrusted(path, actual, model)
    return VerifiedFile(path, actual)


def _untrusted(path: Path, actual: str, model: RegisteredModel) -> ConfigurationError:
    """The error for a file whose hash nobody has vouched for."""
    what = "is not the published file of" if model.weights and model.weights.sha256 else "may be the file of"
    return ConfigurationError(f"{path} {what} {model.name}. If you trust it, add its hash: --weights-sha256 {actual}")


def _published(model: RegisteredModel) -> RegisteredWeights:
    if model.weights is None:
        raise WeightsError(f"The weights of {model.name} are part of the package and cannot be downloaded.")
    return model.weights


def _present(folder: Path, weights: RegisteredWeights) -> Path | None:
    return next((folder / name for name in weights.filenames if (folder / name).is_file()), None)


def _searched(locations: WeightsLocations) -> str:
    folders = [locations.weights_dir] if locations.weights_dir else []
    return " or ".join(str(folder) for folder in [*folders, locations.cached_weights])
