"""Messages between two processes of this service: objects, and the bytes of photos and results."""

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
    """What precedes the payload: the lengths of the pickled object and of the payload, then the object."""
    pickled = pickle.dumps(message)
    return _LENGTHS.pack(len(pickled), len(payload)) + pickled


def lengths(head: bytes) -> tuple[int, int]:
    """Number of bytes of the pickled object and of the payload, from the first `LENGTHS_BYTES` of a message."""
    pickled_bytes, payload_bytes = _LENGTHS.unpack(head)
    return pickled_bytes, payload_bytes


def unframe(pickled: bytes) -> Any:
    """The object of a message. Only for trusted senders: unpickling can run any code."""
    return pickle.loads(pickled)  # noqa: S301


class Channel:
    """One end of a stream socket. Both ends trust each other: objects are pickled.

    Megabytes arrive in one system call. A multiprocessing.Connection returns to Python for every piece that fits the
    socket's buffer, which took three times as long.
    """

    def __init__(self, end: socket.socket) -> None:
        """Takes ownership of the socket."""
        self._socket = end
        self._ends: float | None = None
        """Deadline for sending and receiving, on time.monotonic()'s clock."""

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two connected ends."""
        ours, theirs = socket.socketpair()
        return cls(ours), cls(theirs)

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this end; the other end gets EOFError or OSError."""
        self._socket.close()

    def wait_at_most(self, seconds: float) -> None:
        """Limit the total time of sending and receiving from now on; after that they raise BlockingIOError.

        Half a message may have been sent by then, so the channel cannot be used after the error.
        """
        self._ends = time.monotonic() + seconds

    def send(self, message: object, payload: bytes | bytearray = b"") -> None:
        """Send an object and bytes with it. Raises OSError."""
        self._put(frame(message, payload), payload)

    def receive(self) -> tuple[Any, bytes]:
        """Wait for an object and its bytes. Raises EOFError if the other end is closed, or OSError."""
        pickled_bytes, payload_bytes = lengths(self._take(LENGTHS_BYTES))
        message = unframe(self._take(pickled_bytes))
        return message, self._take(payload_bytes)

    def _put(self, *pieces: bytes | bytearray) -> None:
        left = [memoryview(piece) for piece in pieces if piece]
        while left:  # one pass, unless time runs out
            self._limit(socket.SO_SNDTIMEO)
            sent = self._socket.sendmsg(left)
            while left and sent >= len(left[0]):
                sent -= len(left.pop(0))
            if left:
                left[0] = left[0][sent:]

    def _take(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:  # one pass, unless time runs out
            self._limit(socket.SO_RCVTIMEO)
            piece = self._socket.recv(count - len(taken), socket.MSG_WAITALL)
            if not piece:
                raise EOFError
            taken = taken + piece if taken else piece
        return taken

    def _limit(self, option: int) -> None:
        """Have the kernel end the next wait in time; a watchdog thread per photo would cost more."""
        if self._ends is None:
            return
        left = self._ends - time.monotonic()
        if left <= 0:
            raise BlockingIOError(errno.EAGAIN, "time ran out")
        timeval = struct.pack("@ll", *divmod(max(1, round(left * 1_000_000)), 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, option, timeval)
