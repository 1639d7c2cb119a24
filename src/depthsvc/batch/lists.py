"""Lists of photos, in the encodings in which people have them."""

from __future__ import annotations

import codecs
import os

from depthsvc.errors import ConfigurationError

_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
"""By byte order mark. Without one, paths are the bytes of files' names, in whatever encoding."""


def paths_in(data: bytes, name: str) -> list[str]:
    """The paths in a list, one a line, or each ended by a NUL if there is any. `name`: the list's name in errors.

    Raises ConfigurationError if its encoding cannot be read.
    """
    text = _text(data, name)
    lines = text.split("\0") if "\0" in text else [line.rstrip("\r") for line in text.split("\n")]
    return [line for line in lines if line]


def _text(data: bytes, name: str) -> str:
    for mark, encoding in _ENCODINGS:
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError as error:
                raise ConfigurationError(f"{name} is not valid {encoding}. Save it as UTF-8.") from error
    if 3 * data.count(0) > len(data):  # more than any list of paths that NULs end
        raise ConfigurationError(f"{name} looks like UTF-16 without a byte order mark. Save it as UTF-8.")
    return os.fsdecode(data.removeprefix(codecs.BOM_UTF8))
