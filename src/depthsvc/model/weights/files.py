"""Finding weights files and deciding whether to trust them. Does not import torch."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from depthsvc.errors import ConfigurationError, DownloadError, WeightsError
from depthsvc.model.choice import WeightsLocations
from depthsvc.model.spec import RegisteredModel, RegisteredWeights, VerifiedFile
from depthsvc.model.weights.download import download

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
    """Check that a file's SHA-256 is `sha256` or begins with it. Raises WeightsError if not."""
    actual = sha256_of(path)
    if not actual.startswith(sha256):
        raise WeightsError(
            f"{path} is refused: its SHA-256 is {actual}, expected {sha256}{'...' * (len(sha256) < 64)}. "
            "The file is truncated, altered, or another model's. Download it again."
        )
    return VerifiedFile(path, actual)


def obtain(model: RegisteredModel, locations: WeightsLocations, *, first_byte_s: float | None = None) -> VerifiedFile:
    """The verified weights of a model: found in `locations`, or downloaded into the cache.

    Raises WeightsError, naming the file and the reason, if none are available or the first ones found cannot be
    trusted; ConfigurationError if an explicit file comes without its hash.
    """
    if found := find_weights(model, locations):
        return found
    published = _published(model)
    destination = locations.cached_weights / published.filenames[0]
    if not locations.download:
        raise WeightsError(f"{destination.name} is not in {_searched(locations)}, and downloading is off. {_BY_HAND}")
    try:
        download(
            published.addresses,
            destination,
            lambda path: verify(path, published.sha256),
            first_byte_s=first_byte_s,
        )
    except DownloadError as error:
        raise DownloadError(f"{error} {_BY_HAND}") from error
    return verify(destination, locations.sha256 or published.sha256)


def find_weights(model: RegisteredModel, locations: WeightsLocations) -> VerifiedFile | None:
    """The model's weights if they are on this machine. Raises as `obtain` does."""
    if locations.explicit is not None:
        return _verify_explicit(locations.explicit, locations.sha256, model)
    found = _find_registered(model, locations)
    return verify(found.path, locations.sha256) if found and locations.sha256 else found


def _find_registered(model: RegisteredModel, locations: WeightsLocations) -> VerifiedFile | None:
    if model.weights is None:
        return VerifiedFile(EMBEDDED_WEIGHTS, sha256_of(EMBEDDED_WEIGHTS))
    if locations.weights_dir is not None and (path := _present(locations.weights_dir, model.weights)):
        return verify(path, model.weights.sha256)
    if path := _present(locations.cached_weights, model.weights):
        try:
            return verify(path, model.weights.sha256)
        except WeightsError as error:
            logger.warning("%s Removing it from the cache.", error)
            path.unlink(missing_ok=True)
    return None


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
    actual = sha256_of(path)
    if model.weights is not None and actual.startswith(model.weights.sha256):
        return VerifiedFile(path, actual)
    raise ConfigurationError(
        f"{path} is not the published file of {model.name}. If you trust it, add its hash: --weights-sha256 {actual}"
    )


def _published(model: RegisteredModel) -> RegisteredWeights:
    if model.weights is None:
        raise WeightsError(f"The weights of {model.name} are part of the package and cannot be downloaded.")
    return model.weights


def _present(folder: Path, weights: RegisteredWeights) -> Path | None:
    return next((folder / name for name in weights.filenames if (folder / name).is_file()), None)


def _searched(locations: WeightsLocations) -> str:
    folders = [locations.weights_dir] if locations.weights_dir else []
    return " or ".join(str(folder) for folder in [*folders, locations.cached_weights])
