"""The socket on which clients connect."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress

from depthsvc.errors import ConfigurationError

_MOST_TIMEOUT_S = 86_400
_MOST_UNSENT = 1 << 18
"""Bytes that the system takes for a connection beyond those on their way; by itself it takes 4 MB and more."""
_SO_ATTACH_FILTER = 26
_DROP_SYN = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # load the byte of TCP's flags
        (0x45, 0, 1, 0x02),  # SYN?
        (0x06, 0, 0, 0),  # drop it
        (0x06, 0, 0, 0xFFFF_FFFF),  # keep it whole
    )
)
"""A program of the Linux packet filter."""


def bound_socket(host: str, port: int, client_timeout_s: float) -> socket.socket:
    """A bound socket, to report a port in use before the model is loaded.

    The system drops its connections whose client takes nothing for so long, even after they have been closed here, and
    holds little for each that its client has no room for: the rest waits in this process, which counts it.
    Raises ConfigurationError if the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform == "linux":
        timeout_ms = round(1000 * min(max(client_timeout_s, 1e-3), _MOST_TIMEOUT_S))
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MOST_UNSENT)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another with --host and --port."
        ) from error
    listening.set_inheritable(False)
    return listening


def last_connections(listening: socket.socket) -> Iterator[socket.socket]:
    """The connections that wait to be accepted, after which the socket can be closed without resetting any.

    Whoever tries to connect meanwhile gets no answer, tries again after a second, as TCP does, and is refused then.
    """
    if sys.platform == "linux":
        _drop_attempts(listening)
    listening.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            yield listening.accept()[0]


def _drop_attempts(listening: socket.socket) -> None:
    program = ctypes.create_string_buffer(_DROP_SYN)
    instructions = len(_DROP_SYN) // 8
    with suppress(OSError):  # a system without packet filters
        listening.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", instructions, ctypes.addressof(program))
        )
