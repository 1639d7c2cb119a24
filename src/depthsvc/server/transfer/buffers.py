"""Memory promised to clients, in one direction. A promise is made before the work, or refused at once.

What is promised never exceeds the bound, except by what estimates fall short: then the largest transfers go, those of
the same client first. When there is no room for somebody new, transfers go that are too slow. A client that holds
something gets no more than is left for others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from depthsvc.errors import QueueFull

_TRICKLE = 1000
"""A client that moves fewer bytes than this within `stall_s` counts as stalled."""
_PATIENCE_S = 2.0
"""Seconds before a client can count as slow."""
_SLOW = 1_000_000
"""Bytes per second below which a transfer may be ended when there is no room for another."""
_LINGER_S = 0.1
"""Seconds between looks at bytes that the system has taken and the client has not."""


_FEWER = "Send fewer at the same time, or try again later."


class _Pace:
    """How fast a client moves bytes of late, over the last one to two `_PATIENCE_S`."""

    def __init__(self, now: float) -> None:
        self._marks = [(now, 0.0), (now, 0.0)]

    def is_due(self, now: float) -> bool:
        """Whether a measurement would begin another interval."""
        return now - self._marks[1][0] >= _PATIENCE_S

    def measure(self, now: float, moved: float) -> float | None:
        """Bytes per second, or None if it is too early to tell."""
        if self.is_due(now):
            self._marks = [self._marks[1], (now, moved)]
        began, before = self._marks[0]
        return (moved - before) / (now - began) if now - began >= _PATIENCE_S else None


class Hold:
    """The bytes promised to, or held for, one client."""

    def __init__(self, buffer: Buffer, client: str) -> None:
        self.client = client
        self.bytes = 0
        self.evicted = False
        self.began = _now()
        self._buffer = buffer
        self._moved = 0
        self._next_mark = 0
        self._pace = _Pace(self.began)
        self._waiting: Callable[[], int] = lambda: 0
        self._timeout: asyncio.Timeout | None = None
        self._abort: Callable[[], object] | None = None
        self._end = 0.0

    @property
    def moving(self) -> bool:
        """Whether the client is sending or reading: only then can it be evicted."""
        return not self.evicted and (self._timeout is not None or self._abort is not None)

    def pace(self) -> float | None:
        """Bytes per second that the client sends or reads of late, or None if it is too early to tell."""
        return self._pace.measure(_now(), self._moved - self._waiting())

    def resize(self, count: int) -> None:
        """Hold so many bytes. If the total gets too large, transfers are ended, perhaps this one."""
        change, self.bytes = count - self.bytes, count
        if self in self._buffer:
            self._buffer.grow(change, self.client)

    @asynccontextmanager
    async def transfer(self, *, longest_s: float, waiting: Callable[[], int] = lambda: 0) -> AsyncIterator[None]:
        """Surrounds a transfer. Raises TimeoutError if it stalls for `stall_s`, after `longest_s`, or on eviction.

        `waiting`: how many of the bytes given to the system have not reached the client yet.
        """
        self._waiting, self._pace = waiting, _Pace(_now())
        self._end = _now() + longest_s
        async with asyncio.timeout(None) as self._timeout:
            try:
                self.moved(0)
                self._buffer.grow(0, self.client)
                yield
            finally:
                self._timeout = None

    def moved(self, count: int) -> None:
        """The client has sent or read `count` bytes. A trickle does not reset the stall timeout."""
        self._moved += count
        if self._timeout is not None and not self.evicted and self._moved >= self._next_mark:
            self._next_mark = self._moved + _TRICKLE
            now = _now()
            self._timeout.reschedule(min(now + self._buffer.stall_s, self._end))
            if self._pace.is_due(now):
                self.pace()

    def evict(self) -> None:
        """End the transfer with TimeoutError as soon as the event loop gets to it."""
        self.evicted = True
        self._buffer.forget(self)
        if self._timeout is not None:
            self._timeout.reschedule(_now())
        elif self._abort is not None:
            self._abort()

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *_: object) -> None:
        if self._abort is None:
            self._buffer.forget(self)

    def linger(self, abort: Callable[[], object]) -> None:
        """Keep holding what the system has taken and the client has not. `abort` ends the connection on eviction."""
        self._abort = abort
        if self.settle():
            self.pace()
            asyncio.get_running_loop().call_later(_LINGER_S, self.linger, abort)

    def settle(self) -> bool:
        """Give back what a lingering hold's client has by now. Whether anything is left."""
        if self._abort is None:
            return True
        if self not in self._buffer:  # what the connection sends now is another response
            return False
        unsent = self._waiting()
        if unsent:
            self.resize(min(self.bytes, unsent))
        else:
            self._buffer.forget(self)
        return bool(unsent)


class Buffer:
    """All bytes held in one direction. Belongs to one event loop."""

    def __init__(self, *, max_bytes: int, stall_s: float, refusal: str, order: Callable[[Hold], float]) -> None:
        """`refusal`: what to tell a client for whom there is no room. If there are too many bytes, the moving client
        with the largest `order` goes first."""
        self.max_bytes = max_bytes
        self.stall_s = stall_s
        self._refusal = refusal
        self._order = order
        self.bytes = 0
        """Bytes promised and held, without those of evicted clients."""
        self._holds: set[Hold] = set()

    def __contains__(self, hold: Hold) -> bool:
        """Whether a hold still has something."""
        return hold in self._holds

    def promise(self, count: int, client: str = "") -> Hold:
        """A hold of so many bytes, released when its block ends. Raises QueueFull if there is no room for them."""
        self.check_share(client, count)
        while self.bytes + count > self.max_bytes:
            slow = self._first(_is_slow)
            if slow is None:
                raise QueueFull(self._refusal)
            slow.evict()
        hold = Hold(self, client)
        self._holds.add(hold)
        hold.resize(count)
        return hold

    def check_share(self, client: str, count: int = 0) -> None:
        """Raise QueueFull if a client would hold more than it leaves free with `count` more bytes."""
        if client and self._exceeds_share(client, count):
            for hold in [hold for hold in self._holds if hold.client == client]:
                hold.settle()
            if self._exceeds_share(client, count):
                raise QueueFull(f"Your other photos take up the memory for this one. {_FEWER}")

    def _exceeds_share(self, client: str, count: int) -> bool:
        own = sum(hold.bytes for hold in self._holds if hold.client == client)
        return bool(own) and own + count > self.max_bytes - self.bytes

    def grow(self, count: int, client: str) -> None:
        """Count more bytes of a client, and end transfers until the rest fits or none is left that could end."""
        self.bytes += count
        while self.bytes > self.max_bytes and (
            hold := self._first(lambda hold: hold.client == client) or self._first()
        ):
            hold.evict()

    def forget(self, hold: Hold) -> None:
        """Give back what a hold has. Calling it again does nothing."""
        if hold in self._holds:
            self._holds.remove(hold)
            self.bytes -= hold.bytes

    def _first(self, may_go: Callable[[Hold], bool] = lambda hold: True) -> Hold | None:
        """Of the moving holds that may go, the first by the buffer's order."""
        return max((hold for hold in self._holds if hold.moving and may_go(hold)), key=self._order, default=None)


def uploads(max_bytes: int, stall_s: float) -> Buffer:
    """A buffer for incoming photos. The upload that has taken longest goes first."""
    return Buffer(
        max_bytes=max_bytes,
        stall_s=stall_s,
        refusal=f"The service is receiving too many photos at once. {_FEWER}",
        order=lambda hold: -hold.began,
    )


def answers(max_bytes: int, stall_s: float) -> Buffer:
    """A buffer for outgoing responses. The largest goes first."""
    return Buffer(
        max_bytes=max_bytes,
        stall_s=stall_s,
        refusal=f"There is no memory for this result until others have been computed and read. {_FEWER}",
        order=lambda hold: hold.bytes,
    )


def _now() -> float:
    return asyncio.get_running_loop().time()


def _is_slow(hold: Hold) -> bool:
    pace = hold.pace()
    return pace is not None and pace < _SLOW
