"""Files that engines load, made from weights once and cached. Does not import torch itself."""

from __future__ import annotations

import errno
import glob
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from depthsvc.errors import ConfigurationError
from depthsvc.machine.folders import private_temporary_folder
from depthsvc.machine.processor import has_avx512
from depthsvc.model.choice import CPU, Device, Precision
from depthsvc.model.engines.kinds import EngineKind
from depthsvc.model.spec import FileStatus, ResolvedModel, VerifiedFile
from depthsvc.model.weights.files import check_unchanged, sha256_of, status_of

logger = logging.getLogger(__name__)

ARTEFACT_FORMAT = 8
"""Part of an artefact's name; increase it when the network or the way it is written changes."""
_SUMS = "sha256.json"
_UNFINISHED = ".part"
_CODE_BYTES = 20_000_000


def artefact(
    model: ResolvedModel, kind: EngineKind, precision: Precision, cache_dir: Path, device: Device = CPU
) -> VerifiedFile:
    """The file that this engine runs for a registered model, made if it is not in the cache.

    If the cache cannot be written, a temporary folder is used instead. If several processes need the same file, one
    makes it and the others wait. Imports torch if the file has to be made. Raises WeightsError, and ConfigurationError
    also if it cannot be written anywhere.
    """
    assert model.architecture is not None
    kind.require()
    architecture, weights = model.architecture, model.file
    place = _place(model, kind, precision, device)
    if found := _intact(cache_dir / "engines" / place):
        return found
    with suppress(OSError):  # no temporary folder, or it cannot be written
        if found := _intact(private_temporary_folder() / place):
            return found

    def write(into: Path) -> None:
        from depthsvc.model.networks.checkpoint import load_network

        kind.write(load_network(architecture, weights), model.spec.input, into / place.name, precision, device)

    try:
        return _make_alone(cache_dir / "engines" / place, write, _needed_bytes(weights))
    except OSError as error:
        logger.warning("%s cannot be written (%s); using a temporary folder.", cache_dir, error.strerror)
    try:
        return _make_alone(private_temporary_folder() / place, write, _needed_bytes(weights))
    except OSError as error:
        raise ConfigurationError(
            f"{model.spec.name} cannot be prepared: {cache_dir} and the folder for temporary files cannot be written "
            f"({error.strerror or error}). Set DEPTHSVC_CACHE_DIR to a folder with {_needed_bytes(weights) / 1e6:.0f} "
            "MB of free space."
        ) from error


def is_made(
    model: ResolvedModel, kind: EngineKind, precision: Precision, cache_dir: Path, device: Device = CPU
) -> bool:
    """Whether `artefact` would find a file, which may yet prove damaged: it is not opened.

    Raises ConfigurationError if the engine is not installed.
    """
    kind.require()
    place = _place(model, kind, precision, device)
    if (cache_dir / "engines" / place).exists():
        return True
    with suppress(OSError):
        return (private_temporary_folder() / place).exists()
    return False


def _place(model: ResolvedModel, kind: EngineKind, precision: Precision, device: Device) -> Path:
    """Folder and name of an artefact, below the folder of all artefacts."""
    assert model.architecture is not None
    name = model.architecture.name
    versions = f"{kind.versions()}-v{ARTEFACT_FORMAT}"
    if device.is_cuda:  # a trace runs on one GPU only: it holds the number of the one on which it was made
        versions += f"-cuda{device.gpu}"
    elif kind.suits_processor and has_avx512():
        versions += "-avx512"
    return Path(f"{name}-{model.file.sha256[:16]}-{kind.name}-{precision}-{versions}", f"{name}{kind.suffix}")


def _intact(path: Path) -> VerifiedFile | None:
    """An artefact, if its folder contains all the files that it was made with, unchanged."""
    try:
        status_of(path.with_name(_SUMS))
        sums: dict[str, str] = json.loads(path.with_name(_SUMS).read_bytes())
        statuses = {name: status_of(path.with_name(name)) for name in sums}
        check_unchanged(_with_sums(path, sums))
    except Exception:  # damaged bytes can raise anything
        return None
    return _with_sums(path, sums, statuses)


def _with_sums(path: Path, sums: dict[str, str], statuses: Mapping[str, FileStatus] = {}) -> VerifiedFile:
    """An artefact, given the SHA-256 of each file in its folder, and what their status was when they had it."""
    files = {name: VerifiedFile(path.with_name(name), sha256, statuses.get(name)) for name, sha256 in sums.items()}
    main = files.pop(path.name)
    return replace(main, beside=tuple(files.values()))


def _make_alone(path: Path, write: Callable[[Path], None], needed_bytes: int) -> VerifiedFile:
    """Have `write` fill a folder, unless another process does so first. Raises OSError if it cannot be written."""
    folder = path.parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(folder.name + ".lock")):
        if found := _intact(path):
            return found
        pattern = f"{glob.escape(folder.name)}*{_UNFINISHED}"
        for unfinished in folder.parent.glob(pattern):  # its process was killed
            shutil.rmtree(unfinished, ignore_errors=True)
        if shutil.disk_usage(folder.parent).free < needed_bytes:  # before minutes have been spent on it
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return _make(path, write)


def _needed_bytes(weights: VerifiedFile) -> int:
    """Room for a file made from these weights: as large in float32, and some for its code."""
    return 2 * weights.path.stat().st_size + _CODE_BYTES


def _make(path: Path, write: Callable[[Path], None]) -> VerifiedFile:
    """Have `write` fill a folder, which appears complete or not at all."""
    folder = path.parent
    temporary = Path(tempfile.mkdtemp(prefix=folder.name, suffix=_UNFINISHED, dir=folder.parent))
    try:
        write(temporary)
        sums = {file.name: sha256_of(file) for file in temporary.iterdir()}
        (temporary / _SUMS).write_text(json.dumps(sums))
        # Folders from tempfile are private, which would hide the cache in an image from the user that runs it.
        temporary.chmod(0o755)
        for file in temporary.iterdir():
            file.chmod(0o644)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
        return _with_sums(path, sums)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
