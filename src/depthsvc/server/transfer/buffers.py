"""Bytes held for clients. They are bounded in sum, and whoever neither sends nor takes any loses its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from operator import itemgetter

_TRICKLE = 1000
"""A client that moves fewer bytes than this in the longest time that it may pause has stopped."""
_PATIENCE_S = 2.0
"""No client is called slow before this time has passed."""
_SLOW = 1_000_000
"""Bytes a second of a client that has to go when memory is short."""


class Hold:
    """The bytes held for one client."""

    def __init__(self, buffer: Buffer) -> None:
        self.since = asyncio.get_running_loop().time()
        self.bytes = 0
        self.moved_bytes = 0
        self._next_mark = 0
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
        self._buffer.grow(count)

    @asynccontextmanager
    async def transfer(self, *, longest_s: float) -> AsyncIterator[None]:
        """While bytes move: TimeoutError if none do for the buffer's `stall_s`, after `longest_s`, or on eviction."""
        self._end = asyncio.get_running_loop().time() + longest_s
        async with asyncio.timeout(None) as self._timeout:
            try:
                self.moved(0)
                yield
            finally:
                self._timeout = None

    @property
    def age_s(self) -> float:
        return asyncio.get_running_loop().time() - self.since

    def moved(self, count: int) -> None:
        """The client has sent or taken so many bytes. A trickle does not count as moving."""
        self.moved_bytes += count
        if self._timeout is not None and not self.evicted and self.moved_bytes >= self._next_mark:
            self._next_mark = self.moved_bytes + _TRICKLE
            self._timeout.reschedule(min(asyncio.get_running_loop().time() + self._buffer.stall_s, self._end))

    def evict(self) -> None:
        """End the transfer with TimeoutError as soon as the event loop comes to it."""
        assert self._timeout is not None
        self.evicted = True
        self._buffer.shrink(self.bytes)
        self._timeout.reschedule(asyncio.get_running_loop().time())


class Buffer:
    """All bytes held in one direction. Belongs to one event loop."""

    def __init__(self, *, max_bytes: int, stall_s: float, eviction_order: Callable[[Hold], float | None]) -> None:
        """When there are too many bytes, the client that is moving some and has the largest `eviction_order` goes.

        None is the order of a client that must not go.
        """
        self.max_bytes = max_bytes
        self.stall_s = stall_s
        self._eviction_order = eviction_order
        self.bytes = 0
        """Bytes held, without those that are about to be let go."""
        self._holds: set[Hold] = set()

    @contextmanager
    def hold(self) -> Iterator[Hold]:
        """A place for one client's bytes, until the end of the block."""
        hold = Hold(self)
        self._holds.add(hold)
        try:
            yield hold
        finally:
            self._holds.discard(hold)
            if not hold.evicted:
                self.shrink(hold.bytes)

    def grow(self, count: int) -> None:
        """Count more bytes, and evict clients until the rest fits, as far as any may be evicted."""
        self.bytes += count
        while self.bytes > self.max_bytes:
            moving = [hold for hold in self._holds if hold.moving and not hold.evicted]
            orders = [(order, hold) for hold in moving if (order := self._eviction_order(hold)) is not None]
            if not orders:
                return
            max(orders, key=itemgetter(0))[1].evict()

    def shrink(self, count: int) -> None:
        """Count fewer bytes."""
        self.bytes -= count


def uploads(max_bytes: int, stall_s: float) -> Buffer:
    """A buffer for photos on their way in. The upload that has taken the longest goes first."""
    return Buffer(max_bytes=max_bytes, stall_s=stall_s, eviction_order=lambda hold: hold.age_s)


def answers(max_bytes: int, stall_s: float) -> Buffer:
    """A buffer for answers on their way out. Of those that are taken slowly the largest goes first."""
    return Buffer(
        max_bytes=max_bytes, stall_s=stall_s, eviction_order=lambda hold: hold.bytes if _is_slow(hold) else None
    )


def _is_slow(hold: Hold) -> bool:
    return hold.age_s > _PATIENCE_S and hold.moved_bytes / hold.age_s < _SLOW
