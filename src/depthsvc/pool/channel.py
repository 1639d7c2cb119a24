"""What two processes of this service say to each other: objects, and the bytes of photos and results."""

from __future__ import annotations

import errno
import pickle
import socket
import struct
import time
from typing import Any

_LENGTHS = struct.Struct("!QQ")
LENGTHS_BYTES = _LENGTHS.size


def frame(message: object, payload: bytes | bytearray = b"") -> bytes:
    """What goes before the payload: the lengths of the pickled object and of the payload, and the object."""
    pickled = pickle.dumps(message)
    return _LENGTHS.pack(len(pickled), len(payload)) + pickled


def lengths(head: bytes) -> tuple[int, int]:
    """Bytes of the pickled object and of the payload that follow these first `LENGTHS_BYTES` of a message."""
    pickled_bytes, payload_bytes = _LENGTHS.unpack(head)
    return pickled_bytes, payload_bytes


def unframe(pickled: bytes) -> Any:
    """The object of a message. Only from who is trusted: unpickling runs what it is told to."""
    return pickle.loads(pickled)  # noqa: S301


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
        self._put(frame(message, payload))
        self._put(payload)

    def receive(self) -> tuple[Any, bytes]:
        """Wait for an object and its bytes. Raises EOFError if the other end is closed, or OSError."""
        pickled_bytes, payload_bytes = lengths(self._take(LENGTHS_BYTES))
        message = unframe(self._take(pickled_bytes))
        return message, self._take(payload_bytes)

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
