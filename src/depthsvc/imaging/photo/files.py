"""Reading photo files without trusting them to be photos."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from urllib.parse import unquote

from depthsvc.errors import BodyTooLarge
from depthsvc.imaging.photo.formats import format_of

_BYTES_PER_PIXEL = 8
"""The most that any photo needs: a PNG of four 16-bit channels that does not compress at all."""
_OVERHEAD = 1_000_000
_HEAD = 64
_URL = re.compile(r"[a-z][a-z0-9+.-]*://|data:", re.IGNORECASE)
_SHOWN = 80
"""Most characters of a URL in a message: a data URI holds a whole photo."""


def read(path: Path, max_pixels: int) -> bytes:
    """The bytes of a file that begins like a photo and is not too large to be one.

    Raises OSError, and as `depthsvc.imaging.photo.formats.format_of` does.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):  # opening a pipe would block forever
        raise OSError("not a regular file")
    with path.open("rb", buffering=0) as file:
        format_of(file.read(_HEAD))
        check_size(about.st_size, max_pixels)
        file.seek(0)
        return file.readall()


def check_size(size: int, max_pixels: int) -> None:
    """Raises BodyTooLarge if a file of `size` bytes is too large to be a photo of `max_pixels`."""
    if size > _BYTES_PER_PIXEL * max_pixels + _OVERHEAD:
        raise BodyTooLarge(
            f"The file is larger than any photo of {max_pixels / 1e6:g} megapixels. Check that it is a photo."
        ).limited_by("max_megapixels")


def url_problem(word: str, thing: str = "photo") -> str:
    """Why a URL is not accepted as the path of a photo, or of another `thing`; empty for a path."""
    if not _URL.match(word) or os.path.lexists(word):
        return ""
    shown = word if len(word) <= _SHOWN else f"{word[:_SHOWN]}..."
    if word.lower().startswith("file:///"):
        return f"{shown} is a URL. Give the path instead: {unquote(word[len('file://') :])}"
    return f"{shown} is a URL. Download the {thing} and give the path of the file."
