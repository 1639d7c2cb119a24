"""A leased replica: for a while it processes photos over its own TCP connection.

Asking Ray Serve takes 15 ms of CPU time, and 5 ms more if bytes go through the object store: a quarter of what some
photos take. A lease asks once for many photos. The replica gets a token through Ray, with which both sides seal what
they send (`depthsvc.cluster.seal`); nothing is unpickled before its seal has been checked.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, BinaryIO

from depthsvc.cluster.seal import CHALLENGE_BYTES, TAG_BYTES, Direction, Seal, broken, proof
from depthsvc.options import Task
from depthsvc.pipeline.answer import Answer
from depthsvc.pool.channel import LENGTHS_BYTES, frame, lengths, unframe

Address = tuple[str, int]
Reply = Callable[[bytes, Task, float], Answer | Exception]
"""Processes a photo, given its bytes, its options and the seconds left until its deadline."""

PATIENCE_S = 5.0
"""How long a replica waits for a connection or the next photo, and the service for a proof, in seconds."""
_PIECE_BYTES = 1 << 20
_MOST_PICKLED_BYTES = 1 << 20
"""Options, an answer without its body or an error, all of which are small."""
_MOST_PAYLOAD_BYTES = 1 << 32
"""A photo or a result."""


def serve_lease(service: Address, token: bytes, reply: Reply) -> None:
    """The replica's end: process photos until the service hangs up. Raises OSError if it cannot be reached."""
    with socket.create_connection(service, timeout=PATIENCE_S) as connection, connection.makefile("rb") as stream:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        challenge = stream.read(CHALLENGE_BYTES)
        connection.sendall(proof(token, challenge))
        requests, answers = Seal(token, challenge, Direction.TO_REPLICA), Seal(token, challenge, Direction.TO_SERVICE)
        with suppress(OSError):  # the service is gone, or it is not the service
            while request := _read(stream, requests):
                (options, remaining_s), photo = request
                _send(connection, answers, reply(photo, options, remaining_s))


def _send(connection: socket.socket, seal: Seal, answer: Answer | Exception) -> None:
    body = b"" if isinstance(answer, Exception) else answer.body
    head = frame(answer if isinstance(answer, Exception) else answer.without_body(), body)
    connection.sendall(seal.tag(head, body) + head)
    for start in range(0, len(body), _PIECE_BYTES):  # the socket's timeout applies to each call, not to each packet
        connection.sendall(memoryview(body)[start : start + _PIECE_BYTES])


def _read(stream: BinaryIO, seal: Seal) -> tuple[Any, bytes] | None:
    """The next message and its payload; None if the service has hung up. Raises OSError."""
    tag, head = stream.read(TAG_BYTES), stream.read(LENGTHS_BYTES)
    if len(head) < LENGTHS_BYTES:
        return None
    pickled_bytes, body_bytes = _bounded_lengths(head)
    pickled, body = stream.read(pickled_bytes), stream.read(body_bytes)
    if len(body) < body_bytes:
        return None
    seal.check(tag, head + pickled, body)
    return unframe(pickled), body


def _bounded_lengths(head: bytes) -> tuple[int, int]:
    """The lengths of a message and its payload, before their seal can be checked. Raises BrokenSeal."""
    pickled_bytes, payload_bytes = lengths(head)
    if pickled_bytes > _MOST_PICKLED_BYTES or payload_bytes > _MOST_PAYLOAD_BYTES:
        raise broken("it is too long")
    return pickled_bytes, payload_bytes


class Connection:
    """The service's end of a lease's connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: bytes, challenge: bytes
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._requests = Seal(token, challenge, Direction.TO_REPLICA)
        self._answers = Seal(token, challenge, Direction.TO_SERVICE)

    @property
    def broken(self) -> bool:
        return self._reader.at_eof() or self._reader.exception() is not None or self._writer.is_closing()

    async def ask(self, photo: bytes | bytearray, options: Task, remaining_s: float) -> Answer | Exception:
        """The replica's reply to a photo.

        Raises EOFError or OSError if the replica is gone or the reply is not from it. After an error the connection
        cannot be used again.
        """
        head = frame((options, remaining_s), photo)
        self._writer.write(self._requests.tag(head, photo) + head)
        self._writer.write(photo)
        await self._writer.drain()
        tag, head = await self._reader.readexactly(TAG_BYTES), await self._reader.readexactly(LENGTHS_BYTES)
        pickled_bytes, body_bytes = _bounded_lengths(head)
        pickled = await self._reader.readexactly(pickled_bytes)
        body = await self._reader.readexactly(body_bytes)
        self._answers.check(tag, head + pickled, body)
        answer: Answer | Exception = unframe(pickled)
        return answer if isinstance(answer, Exception) else answer.with_body(body)

    def close(self) -> None:
        """Close the connection at once, dropping data in transit."""
        self._writer.transport.abort()


class Listener:
    """The server that leased replicas connect to."""

    def __init__(self) -> None:
        self._expected: dict[bytes, asyncio.Future[Connection]] = {}
        self.proving: set[asyncio.Task[None]] = set()
        """Tasks of the connections that have not proved yet whose they are; to be cancelled before closing."""
        self._server: asyncio.Server | None = None

    async def open(self, host: str) -> None:
        """Listen on a free port. Raises OSError."""
        self._server = await asyncio.start_server(self._connected, host, 0, limit=_PIECE_BYTES)

    @property
    def address(self) -> Address:
        assert self._server
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    def expect(self, token: bytes) -> asyncio.Future[Connection]:
        """The connection of the client that has this token; usable once. Cancel it to stop expecting the client."""
        connection = asyncio.get_running_loop().create_future()
        self._expected[token] = connection
        connection.add_done_callback(lambda _: self._expected.pop(token, None))
        return connection

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not in the task itself: cancelled before it starts, it would leave the connection open.
        stranger = ExitStack()
        stranger.callback(writer.transport.abort)
        proving = asyncio.get_running_loop().create_task(self._prove(reader, writer, stranger))
        self.proving.add(proving)
        proving.add_done_callback(self.proving.discard)
        proving.add_done_callback(lambda _: stranger.close())

    async def _prove(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stranger: ExitStack) -> None:
        """Give the connection to whoever expects it, and keep `stranger` from hanging up, if its proof is right."""
        challenge = secrets.token_bytes(CHALLENGE_BYTES)
        writer.write(challenge)
        given = b""
        with suppress(TimeoutError, EOFError, OSError):
            async with asyncio.timeout(PATIENCE_S):
                given = await reader.readexactly(TAG_BYTES)
        token = next((known for known in self._expected if hmac.compare_digest(given, proof(known, challenge))), None)
        expected = self._expected.pop(token) if token else None
        if token and expected and not expected.done():
            stranger.pop_all()
            expected.set_result(Connection(reader, writer, token, challenge))

    def close(self) -> None:
        if self._server:
            self._server.close()
