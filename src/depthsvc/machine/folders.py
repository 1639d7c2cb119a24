"""Folders of this user, also where there is no home and nothing but the temporary folder can be written to."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import platformdirs


def user_cache_folder() -> Path:
    """The user's cache folder for depthsvc; for a user without a home, a temporary one."""
    with suppress(RuntimeError):  # there is no home; older versions return a relative path instead
        folder = platformdirs.user_cache_path("depthsvc")
        if folder.is_absolute():
            return folder
    return private_temporary_folder()


def private_temporary_folder() -> Path:
    """A temporary folder that no other user can write to. Raises OSError if there is none."""
    folder = Path(tempfile.gettempdir()) / f"depthsvc-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.stat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o077):
        return Path(tempfile.mkdtemp(prefix="depthsvc-"))
    return folder


def can_write(folder: Path) -> bool:
    """Whether files can be made in a folder, which may have to be made first. A full disk is not noticed."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
