"""Memory for comparisons of large maps, shared by threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from depthsvc.machine.capacity import available_memory_bytes

_BYTES_PER_PIXEL = 64
"""What a comparison takes at most, measured with 24 megapixels."""
_SHARE = 1 / 4
"""Of the memory that this process may use; the workers need the rest."""


class Room:
    """Lets as many comparisons run at the same time as there is memory for, but always one."""

    def __init__(self, size: float | None = None) -> None:
        """`size`: how many pixels may be compared at the same time; by default as many as memory allows."""
        self._size = _SHARE * available_memory_bytes() / _BYTES_PER_PIXEL if size is None else size
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def of(self, pixels: int) -> Iterator[None]:
        """Wait for room for this many pixels, and keep it in the block."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + pixels <= self._size)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()
