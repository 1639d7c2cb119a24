"""Bytes held for clients. Their total is limited, and a client that neither sends nor reads any is evicted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from operator import itemgetter

_TRICKLE = 1000
"""A client that moves fewer bytes than this within `stall_s` counts as stalled."""
_PATIENCE_S = 2.0
"""Seconds before a client can count as slow."""
_SLOW = 1_000_000
"""Bytes per second below which a client counts as slow and may be evicted when memory is short."""


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
        """Whether the client is sending or reading: only then can it be evicted."""
        return self._timeout is not None

    def add(self, count: int) -> None:
        """Hold more bytes. If the total gets too large, a client that is moving bytes is evicted, perhaps this one."""
        self.bytes += count
        self._buffer.grow(count)

    @asynccontextmanager
    async def transfer(self, *, longest_s: float) -> AsyncIterator[None]:
        """Surrounds a transfer. Raises TimeoutError if it stalls for `stall_s`, after `longest_s`, or on eviction."""
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
        """The client has sent or read `count` bytes. A trickle does not reset the stall timeout."""
        self.moved_bytes += count
        if self._timeout is not None and not self.evicted and self.moved_bytes >= self._next_mark:
            self._next_mark = self.moved_bytes + _TRICKLE
            self._timeout.reschedule(min(asyncio.get_running_loop().time() + self._buffer.stall_s, self._end))

    def evict(self) -> None:
        """End the transfer with TimeoutError as soon as the event loop gets to it."""
        assert self._timeout is not None
        self.evicted = True
        self._buffer.shrink(self.bytes)
        self._timeout.reschedule(asyncio.get_running_loop().time())


class Buffer:
    """All bytes held in one direction. Belongs to one event loop."""

    def __init__(self, *, max_bytes: int, stall_s: float, eviction_order: Callable[[Hold], float | None]) -> None:
        """If there are too many bytes, the moving client with the largest `eviction_order` is evicted.

        A client whose order is None is never evicted.
        """
        self.max_bytes = max_bytes
        self.stall_s = stall_s
        self._eviction_order = eviction_order
        self.bytes = 0
        """Bytes held, without those of evicted clients."""
        self._holds: set[Hold] = set()

    @contextmanager
    def hold(self) -> Iterator[Hold]:
        """A hold for one client's bytes, released at the end of the block."""
        hold = Hold(self)
        self._holds.add(hold)
        try:
            yield hold
        finally:
            self._holds.discard(hold)
            if not hold.evicted:
                self.shrink(hold.bytes)

    def grow(self, count: int) -> None:
        """Count more bytes, and evict clients until the rest fits or no client may be evicted."""
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
    """A buffer for incoming photos. The upload that has taken longest is evicted first."""
    return Buffer(max_bytes=max_bytes, stall_s=stall_s, eviction_order=lambda hold: hold.age_s)


def answers(max_bytes: int, stall_s: float) -> Buffer:
    """A buffer for outgoing responses. Of those that clients read slowly, the largest is evicted first."""
    return Buffer(
        max_bytes=max_bytes, stall_s=stall_s, eviction_order=lambda hold: hold.bytes if _is_slow(hold) else None
    )


def _is_slow(hold: Hold) -> bool:
    return hold.age_s > _PATIENCE_S and hold.moved_bytes / hold.age_s < _SLOW
