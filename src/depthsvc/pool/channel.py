"""What two processes of this service say to each other: objects, and the bytes of photos and results."""

from __future__ import annotations

import errno
import pickle
import socket
import struct
import time
from typing import Any

_HEAD = struct.Struct("!QQ")
"""Lengths of the pickled object and of the bytes after it."""


class Channel:
    """One end of a stream socket. Both ends trust each other: objects are pickled.

    Megabytes arrive in one system call. A multiprocessing.Connection comes back to Python for every piece that fits the
    socket's buffer, which took three times as long.
    """

    def __init__(self, end: socket.socket) -> None:
        """Takes the socket over."""
        self._socket = end
        self._ends: float | None = None
        """When the time is over for what is sent and received, on time.monotonic()'s clock."""

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two ends that are connected to each other."""
        ours, theirs = socket.socketpair()
        return cls(ours), cls(theirs)

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The other end gets an EOFError or OSError."""
        self._socket.close()

    def wait_at_most(self, seconds: float) -> None:
        """Have whatever is sent and received from now on take no longer than this in all; then BlockingIOError.

        Half a message may have gone by then, so the channel cannot be used after the error.
        """
        self._ends = time.monotonic() + seconds

    def send(self, message: object, payload: bytes | bytearray = b"") -> None:
        """Send an object and bytes with it. Raises OSError."""
        pickled = pickle.dumps(message)
        self._put(_HEAD.pack(len(pickled), len(payload)) + pickled)
        self._put(payload)

    def receive(self) -> tuple[Any, bytes]:
        """Wait for an object and its bytes. Raises EOFError if the other end is closed, or OSError."""
        pickled_length, payload_length = _HEAD.unpack(self._take(_HEAD.size))
        message = pickle.loads(self._take(pickled_length))  # noqa: S301
        return message, self._take(payload_length)

    def _put(self, data: bytes | bytearray) -> None:
        left = memoryview(data)
        while left:  # once round, unless the time is over
            self._limit(socket.SO_SNDTIMEO)
            left = left[self._socket.send(left) :]

    def _take(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:  # once round, unless the time is over
            self._limit(socket.SO_RCVTIMEO)
            piece = self._socket.recv(count - len(taken), socket.MSG_WAITALL)
            if not piece:
                raise EOFError
            taken = taken + piece if taken else piece
        return taken

    def _limit(self, option: int) -> None:
        """Have the kernel end the next wait in time. A watching thread for each photo costs more."""
        if self._ends is None:
            return
        left = self._ends - time.monotonic()
        if left <= 0:
            raise BlockingIOError(errno.EAGAIN, "the time is over")
        timeval = struct.pack("@ll", *divmod(max(1, round(left * 1_000_000)), 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, option, timeval)
