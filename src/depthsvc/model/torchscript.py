"""Tracing networks to TorchScript, and a cache of traces on disk."""

from __future__ import annotations

import io
import logging
import os
import tempfile
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from depthsvc.model.architecture import Architecture
from depthsvc.model.checkpoint import load_network
from depthsvc.model.weights import VerifiedFile

logger = logging.getLogger(__name__)

TRACE_FORMAT = 2
"""Part of a cached trace's name; to be raised when the network or the way it is traced changes."""
_EXAMPLE_SHAPE = (1, 3, 96, 128)


def trace(network: nn.Module) -> torch.jit.ScriptModule:
    """A frozen TorchScript trace of a network in evaluation mode, valid for every input size it takes."""
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # Weights and features with the channels last take a fifth less time on a CPU.
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        traced: torch.jit.ScriptModule = torch.jit.trace(network, torch.zeros(_EXAMPLE_SHAPE), check_trace=False)  # type: ignore[no-untyped-call]
        frozen: torch.jit.ScriptModule = torch.jit.freeze(traced)
        return frozen


def cached_trace(architecture: Architecture, weights: VerifiedFile, cache_dir: Path) -> Path:
    """The file of the trace of this architecture with these weights, made if it is not in the cache.

    Where the cache cannot be written to, the trace goes to the folder for temporary files instead.
    """
    name = f"{architecture.name}-{weights.sha256[:16]}-torch{torch.__version__}-v{TRACE_FORMAT}.ts"
    path = cache_dir / "traces" / name
    if _is_intact(path):
        return path
    with suppress(OSError):  # nothing can be written there, or there is no such folder
        spare = _private_temporary_folder() / name
        if _is_intact(spare):
            return spare
    module = trace(load_network(architecture, weights))
    try:
        return _save(module, path)
    except OSError as error:
        logger.warning("%s cannot be written (%s); using a temporary folder.", cache_dir, error.strerror)
        return _save(module, _private_temporary_folder() / name)


def _private_temporary_folder() -> Path:
    """A folder for temporary files that no other user can have put a file into."""
    folder = Path(tempfile.gettempdir()) / f"depthsvc-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.stat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o077):
        return Path(tempfile.mkdtemp(prefix="depthsvc-"))
    return folder


def _is_intact(path: Path) -> bool:
    """Whether a TorchScript file, which is a zip archive, exists and all its checksums are right."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # on damaged bytes zipfile raises whatever they lead to
        return False


def _save(module: torch.jit.ScriptModule, path: Path) -> Path:
    """Write a module so that the file appears whole or not at all; OSError if it cannot be written."""
    # PyTorch ends the whole process where its own writing of a file fails, as on a full disk.
    serialized = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(module, serialized)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(serialized.getbuffer())
        Path(temporary).chmod(0o644)  # mkstemp's 0600 would hide the cache of an image from the user that runs it
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path
