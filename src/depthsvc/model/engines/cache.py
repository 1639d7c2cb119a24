"""Files that engines load, made from weights once and cached. Does not import torch itself."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from depthsvc.model.choice import Precision
from depthsvc.model.engines.kinds import EngineKind
from depthsvc.model.spec import ResolvedModel
from depthsvc.model.weights.files import sha256_of

logger = logging.getLogger(__name__)

ARTEFACT_FORMAT = 4
"""Part of an artefact's name; increase it when the network or the way it is written changes."""
_SUMS = "sha256.json"


def artefact(model: ResolvedModel, kind: EngineKind, precision: Precision, cache_dir: Path) -> Path:
    """The file that this engine runs for a registered model, made if it is not in the cache.

    If the cache cannot be written, a temporary folder is used instead. If several processes need the same file, one
    makes it and the others wait. Imports torch if the file has to be made. Raises WeightsError, ConfigurationError,
    and OSError if it cannot be written anywhere.
    """
    assert model.architecture is not None
    kind.require()
    architecture, weights = model.architecture, model.file
    name = f"{architecture.name}-{weights.sha256[:16]}-{kind.name}-{precision}-{kind.versions()}-v{ARTEFACT_FORMAT}"
    filename = f"{architecture.name}{kind.suffix}"
    folder = cache_dir / "engines" / name
    if _is_intact(folder):
        return folder / filename
    with suppress(OSError):  # no temporary folder, or it cannot be written
        spare = _private_temporary_folder() / name
        if _is_intact(spare):
            return spare / filename

    def write(path: Path) -> None:
        from depthsvc.model.networks.checkpoint import load_network

        kind.write(load_network(architecture, weights), model.spec.input, path / filename, precision)

    try:
        _make_alone(folder, write)
    except OSError as error:
        logger.warning("%s cannot be written (%s); using a temporary folder.", cache_dir, error.strerror)
        folder = _private_temporary_folder() / name
        _make_alone(folder, write)
    return folder / filename


def _private_temporary_folder() -> Path:
    """A temporary folder that no other user can write to."""
    folder = Path(tempfile.gettempdir()) / f"depthsvc-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.stat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o077):
        return Path(tempfile.mkdtemp(prefix="depthsvc-"))
    return folder


def _is_intact(folder: Path) -> bool:
    """Whether a folder contains all the files that it was made with, unchanged."""
    try:
        sums: dict[str, str] = json.loads((folder / _SUMS).read_bytes())
        return bool(sums) and all(sha256_of(folder / name) == sha256 for name, sha256 in sums.items())
    except Exception:  # damaged bytes can raise anything
        return False


def _make_alone(folder: Path, write: Callable[[Path], None]) -> None:
    """Have `write` fill a folder, unless another process does so first. Raises OSError if it cannot be written."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(folder.name + ".lock")):
        if not _is_intact(folder):
            _make(folder, write)


def _make(folder: Path, write: Callable[[Path], None]) -> None:
    """Have `write` fill a folder, which appears complete or not at all."""
    temporary = Path(tempfile.mkdtemp(prefix=folder.name, suffix=".part", dir=folder.parent))
    try:
        write(temporary)
        sums = {path.name: sha256_of(path) for path in temporary.iterdir()}
        (temporary / _SUMS).write_text(json.dumps(sums))
        # Folders from tempfile are private, which would hide the cache in an image from the user that runs it.
        temporary.chmod(0o755)
        for path in temporary.iterdir():
            path.chmod(0o644)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
