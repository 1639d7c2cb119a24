"""Inflating compressed rows piece by piece: a megabyte of empty blocks takes as long as a large picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from isal import isal_zlib

INFLATE_ERROR = cast("type[Exception]", isal_zlib.error)  # its stub calls it an instance
_PIECE = 1 << 16
"""Bytes given to the decompressor at a time: it copies what it has not consumed."""


class Inflater:
    """The inflated content of a zlib stream that is stored in parts."""

    def __init__(self, parts: Iterable[memoryview], check_time: Callable[[], None]) -> None:
        """`check_time`: called before each piece; whatever it raises comes out of `take`."""
        self._pieces = (part[start : start + _PIECE] for part in parts for start in range(0, len(part), _PIECE))
        self._inflater = isal_zlib.decompressobj()
        self._check_time = check_time

    def take(self, count: int) -> bytes:
        """The next `count` bytes. Raises ValueError if the stream ends before them, or INFLATE_ERROR."""
        pieces: list[bytes] = []
        while count:
            self._check_time()
            deflated = self._inflater.unconsumed_tail or next(self._pieces, b"")
            piece = self._inflater.decompress(deflated, count)
            if not piece and (self._inflater.eof or not deflated):
                raise ValueError("the picture is cut off")
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)
