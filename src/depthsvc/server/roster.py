"""The open connections of a service: who may hold how many, and which one makes room for the next."""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from typing import Protocol

from depthsvc.server.clients import TrustedProxies, counted_as

logger = logging.getLogger(__name__)

MAX_GUESTS = 100
"""Limit on guests, which are beyond the limit on connections."""
_SHARES = 4
"""A client may hold one of this many equal shares of the connections."""
_WARNING_INTERVAL_S = 60


class Connection(Protocol):
    """A connection as the roster sees it."""

    @property
    def host(self) -> str:
        """The address of the peer, or "" if it is unknown."""

    def make_room(self) -> None:
        """Close this idle connection at once."""


class _Holder:
    """A client, or the guests together, and its connections."""

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.limit = limit
        self.connections = 0
        self.idle: OrderedDict[Connection, None] = OrderedDict()
        """From the one that has been idle longest."""


class Roster:
    """Connections are members, as many as the limit allows, or guests, which may only ask for the service's health.

    A client over its share closes its own connection that has been idle longest to make room for its next one, and a
    service at its limit that of all members. If none is idle, the new connection is a guest, until there is room when
    it sends its request. A connection is idle while the service owes it no response. A trusted proxy has no share: it
    brings many clients. Every operation takes constant time.
    """

    def __init__(self, limit: int, proxies: TrustedProxies) -> None:
        """`limit` is the most members."""
        self.limit = limit
        self._proxies = proxies
        self._share = max(1, limit // _SHARES)
        self._holders: dict[str, _Holder] = {}
        """The clients that have members."""
        self._guests = _Holder("guests", MAX_GUESTS)
        self._holder_of: dict[Connection, _Holder] = {}
        self._idle: OrderedDict[Connection, None] = OrderedDict()
        """Idle members, from the one that has been idle longest."""
        self._last_warning = -math.inf

    def admit(self, connection: Connection) -> bool:
        """Add a new connection. False if there is no room even for a guest: close it."""
        holder = self._holder(connection.host)
        if not self._room_for_member(holder):
            holder = self._guests
            if holder.connections >= holder.limit and not self._close_idlest(holder.idle):
                return False
        self._add(connection, holder)
        self.end(connection)
        return True

    def begin(self, connection: Connection) -> bool:
        """Note that a connection has sent a request. False if it is still a guest."""
        holder = self._holder_of[connection]
        self._busy(connection, holder)
        if holder is not self._guests:
            return True
        holder = self._holder(connection.host)
        if not self._room_for_member(holder):
            return False
        self.leave(connection)
        self._add(connection, holder)
        return True

    def end(self, connection: Connection) -> None:
        """Note that a connection has its response, if it is still open."""
        if holder := self._holder_of.get(connection):
            holder.idle[connection] = None
            if holder is not self._guests:
                self._idle[connection] = None

    def leave(self, connection: Connection) -> None:
        """Remove a connection, if it is still there."""
        if holder := self._holder_of.pop(connection, None):
            self._busy(connection, holder)
            holder.connections -= 1
            if not holder.connections:
                self._holders.pop(holder.name, None)

    def _holder(self, host: str) -> _Holder:
        """A client, which is forgotten unless a connection is added."""
        trusted = host in self._proxies
        name = host if trusted else counted_as(host)
        return self._holders.get(name) or _Holder(name, self.limit if trusted else self._share)

    def _room_for_member(self, holder: _Holder) -> bool:
        if holder.connections >= holder.limit:
            return self._close_idlest(holder.idle)
        if len(self._holder_of) - self._guests.connections >= self.limit:
            return self._close_idlest(self._idle)
        return True

    def _close_idlest(self, idle: OrderedDict[Connection, None]) -> bool:
        """Whether there was an idle connection to close."""
        if not idle:
            return False
        connection = next(iter(idle))
        self.leave(connection)
        connection.make_room()
        self._warn()
        return True

    def _warn(self) -> None:
        now = time.monotonic()
        if now - self._last_warning >= _WARNING_INTERVAL_S:
            self._last_warning = now
            logger.warning(
                "closing idle connections to make room: the limit is %d, and %d for one client",
                self.limit,
                self._share,
            )

    def _add(self, connection: Connection, holder: _Holder) -> None:
        self._holder_of[connection] = holder
        holder.connections += 1
        if holder is not self._guests:
            self._holders[holder.name] = holder

    def _busy(self, connection: Connection, holder: _Holder) -> None:
        holder.idle.pop(connection, None)
        self._idle.pop(connection, None)
