"""What two processes of this service say to each other: objects, and the bytes of photos and results."""

from __future__ import annotations

import pickle
import socket
import struct
from typing import Any

_HEAD = struct.Struct("!QQ")
"""Lengths of the pickled object and of the bytes after it."""


class Channel:
    """One end of a stream socket. Both ends trust each other: objects are pickled.

    Megabytes arrive in one system call. A multiprocessing.Connection wakes for every piece that fits the socket's
    buffer, which took three times as long.
    """

    def __init__(self, end: socket.socket) -> None:
        """Takes the socket over."""
        self._socket = end

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
        """Have a `send` or `receive` that moves nothing for so long raise BlockingIOError.

        The channel cannot be used afterwards. The kernel watches: a thread for each photo costs more.
        """
        microseconds = max(1, round(seconds * 1_000_000))
        timeval = struct.pack("@ll", *divmod(microseconds, 1_000_000))
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, option, timeval)

    def send(self, message: object, payload: bytes | bytearray = b"") -> None:
        """Send an object and bytes with it. Raises OSError."""
        pickled = pickle.dumps(message)
        self._socket.sendall(_HEAD.pack(len(pickled), len(payload)) + pickled)
        if payload:  # whoever has all of a message may have closed already
            self._socket.sendall(payload)

    def receive(self) -> tuple[Any, bytes]:
        """Wait for an object and its bytes. Raises EOFError if the other end is closed, or OSError."""
        pickled_length, payload_length = _HEAD.unpack(self._take(_HEAD.size))
        message = pickle.loads(self._take(pickled_length))  # noqa: S301
        return message, self._take(payload_length)

    def _take(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:  # once round, unless a signal comes between
            piece = self._socket.recv(count - len(taken), socket.MSG_WAITALL)
            if not piece:
                raise EOFError
            taken = taken + piece if taken else piece
        return taken
