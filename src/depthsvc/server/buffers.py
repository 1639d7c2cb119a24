"""Bytes held for clients. They are bounded in sum, and whoever neither sends nor takes any loses its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager


class Hold:
    """The bytes held for one client."""

    def __init__(self, buffer: Buffer) -> None:
        self.since = asyncio.get_running_loop().time()
        self.bytes = 0
        self.evicted = False
        self._buffer = buffer
        self._timeout: asyncio.Timeout | None = None
        self._end = 0.0

    @property
    def moving(self) -> bool:
        """Whether the client is sending or taking: only then can it lose its place."""
        return self._timeout is not None

    def add(self, count: int) -> None:
        """Hold more bytes. If those are too many in sum, a client that is moving bytes is evicted, perhaps this one."""
        self.bytes += count
        self._buffer.keep_bounds()

    @asynccontextmanager
    async def transfer(self, *, longest_s: float) -> AsyncIterator[None]:
        """While bytes move: TimeoutError if none do for the buffer's `stall_s`, after `longest_s`, or on eviction."""
        self._end = asyncio.get_running_loop().time() + longest_s
        async with asyncio.timeout(None) as self._timeout:
            try:
                self.moved()
                yield
            finally:
                self._timeout = None

    def moved(self) -> None:
        """The client has sent or taken something."""
        if self._timeout is not None and not self.evicted:
            self._timeout.reschedule(min(asyncio.get_running_loop().time() + self._buffer.stall_s, self._end))

    def evict(self) -> None:
        """End the transfer with TimeoutError as soon as the event loop comes to it."""
        assert self._timeout is not None
        self.evicted = True
        self._timeout.reschedule(asyncio.get_running_loop().time())


class Buffer:
    """All bytes held in one direction. Belongs to one event loop."""

    def __init__(self, *, max_bytes: int, stall_s: float, evict_first: Callable[[Hold], float]) -> None:
        """Of the clients that are moving bytes the one with the largest `evict_first` goes when there are too many."""
        self.max_bytes = max_bytes
        self.stall_s = stall_s
        self._evict_first = evict_first
        self._holds: set[Hold] = set()

    @property
    def bytes(self) -> int:
        """Bytes held, without those that are about to be let go."""
        return sum(hold.bytes for hold in self._holds if not hold.evicted)

    @contextmanager
    def hold(self) -> Iterator[Hold]:
        """A place for one client's bytes, until the end of the block."""
        hold = Hold(self)
        self._holds.add(hold)
        try:
            yield hold
        finally:
            self._holds.discard(hold)

    def keep_bounds(self) -> None:
        """Evict clients until the rest fits, as far as any can be evicted."""
        while self.bytes > self.max_bytes:
            moving = [hold for hold in self._holds if hold.moving and not hold.evicted]
            if not moving:
                return
            max(moving, key=self._evict_first).evict()


def uploads(max_bytes: int, stall_s: float) -> Buffer:
    """A buffer for photos on their way in. The upload that has taken the longest goes first."""
    return Buffer(max_bytes=max_bytes, stall_s=stall_s, evict_first=lambda hold: -hold.since)


def answers(max_bytes: int, stall_s: float) -> Buffer:
    """A buffer for answers on their way out. The largest goes first: many small ones fit in its place."""
    return Buffer(max_bytes=max_bytes, stall_s=stall_s, evict_first=lambda hold: hold.bytes)
