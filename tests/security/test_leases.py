"""Whoever can read and change the traffic between service and replicas can make neither of them unpickle anything."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from depthsvc.cluster.lease import Connection, Listener, serve_lease
from depthsvc.cluster.seal import CHALLENGE_BYTES, TAG_BYTES, TOKEN_BYTES, Direction, Seal, proof
from depthsvc.imaging.spec import DepthKind, Enlargement
from depthsvc.options import HeatmapOptions, Options
from depthsvc.pipeline.answer import Answer
from depthsvc.pool.channel import frame

TOKEN, CHALLENGE = b"t" * TOKEN_BYTES, b"c" * CHALLENGE_BYTES
SECONDS = {"decode": 0.1, "infer": 0.2, "render": 0.3}
ANSWER = Answer(
    b"heatmap", "image/png", "uint8", (3, 4), 0.5, 9.0, "m", DepthKind.INVERSE_DEPTH, Enlargement.BICUBIC, SECONDS
)
REQUEST = (HeatmapOptions(), 30.0)
LOG = "a lease's frame is refused: "


class Trap:
    """What makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self._folder),)


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    """The folder that is there once a trap has been unpickled."""
    return tmp_path / "sprung"


def sealed(seal: Seal, message: object, payload: bytes) -> bytes:
    head = frame(message, payload)
    return seal.tag(head, payload) + head + payload


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def too_long(seal: Seal, *lengths: int) -> bytes:
    head = struct.pack("!QQ", *lengths)
    return seal.tag(head, b"") + head


# The replica, and something in the place of the service


@dataclass
class Replica:
    """A replica that is leased by the test."""

    service: socket.socket
    photos: list[bytes] = field(default_factory=list)
    seal: Seal = field(default_factory=lambda: Seal(TOKEN, CHALLENGE, Direction.TO_REPLICA))

    def reply(self, photo: bytes, options: Options, remaining_s: float) -> Answer:
        self.photos.append(photo)
        return ANSWER

    def hangs_up(self) -> bool:
        """Whether it does so without another answer."""
        try:
            return self.service.recv(1) == b""
        except ConnectionResetError:  # it has not read everything
            return True


@pytest.fixture
def replica() -> Iterator[Replica]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        made: list[Replica] = []
        thread = threading.Thread(target=lambda: serve_lease(address, TOKEN, lambda *photo: made[0].reply(*photo)))
        thread.start()
        service, _ = server.accept()
        with service:
            service.settimeout(10)
            made.append(Replica(service))
            service.sendall(CHALLENGE)
            assert exactly(service, TAG_BYTES) == proof(TOKEN, CHALLENGE)
            yield made[0]
        thread.join(10)
    assert not thread.is_alive()


Forge = Callable[[object], bytes]
FORGED_REQUESTS: dict[str, Forge] = {
    "no seal": lambda message: bytes(TAG_BYTES) + frame(message, b"photo") + b"photo",
    "another token": lambda message: sealed(
        Seal(b"u" * TOKEN_BYTES, CHALLENGE, Direction.TO_REPLICA), message, b"photo"
    ),
    "another connection": lambda message: sealed(
        Seal(TOKEN, b"d" * CHALLENGE_BYTES, Direction.TO_REPLICA), message, b"photo"
    ),
    "sent back": lambda message: sealed(Seal(TOKEN, CHALLENGE, Direction.TO_SERVICE), message, b"photo"),
    "changed photo": lambda message: flipped(
        sealed(Seal(TOKEN, CHALLENGE, Direction.TO_REPLICA), message, b"photo"), -1
    ),
    "changed message": lambda message: flipped(
        sealed(Seal(TOKEN, CHALLENGE, Direction.TO_REPLICA), message, b"photo"), -6
    ),
}


@pytest.mark.parametrize("forge", FORGED_REQUESTS.values(), ids=FORGED_REQUESTS)
def test_a_forged_photo_is_not_unpickled(
    replica: Replica, sprung: Path, forge: Forge, caplog: pytest.LogCaptureFixture
) -> None:
    replica.service.sendall(forge((Trap(sprung), 30.0)))
    assert replica.hangs_up()
    assert not sprung.exists()
    assert replica.photos == []
    assert f"{LOG}its seal is broken" in caplog.text


def test_the_trap_works(replica: Replica, sprung: Path) -> None:
    replica.service.sendall(sealed(replica.seal, (Trap(sprung), 30.0), b"photo"))
    assert not replica.hangs_up()
    assert sprung.exists()


def exactly(connected: socket.socket, count: int) -> bytes:
    """So many bytes; a socket with a timeout does not wait for all of them by itself."""
    received = b""
    while len(received) < count and (piece := connected.recv(count - len(received))):
        received += piece
    return received


def test_a_photo_that_is_sent_again_is_refused(replica: Replica) -> None:
    request = sealed(replica.seal, REQUEST, b"photo")
    answer = sealed(Seal(TOKEN, CHALLENGE, Direction.TO_SERVICE), ANSWER.without_body(), ANSWER.body)
    replica.service.sendall(request)
    assert exactly(replica.service, len(answer)) == answer
    replica.service.sendall(request)
    assert replica.hangs_up()
    assert replica.photos == [b"photo"]


def test_photos_in_another_order_are_refused(replica: Replica) -> None:
    sealed(replica.seal, REQUEST, b"first")
    replica.service.sendall(sealed(replica.seal, REQUEST, b"second"))
    assert replica.hangs_up()
    assert replica.photos == []


@pytest.mark.parametrize("lengths", [((1 << 20) + 1, 0), (0, (1 << 32) + 1), (1 << 63, 1 << 63)])
def test_a_photo_that_is_too_long_is_not_read(
    replica: Replica, lengths: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    replica.service.sendall(too_long(replica.seal, *lengths))
    assert replica.hangs_up()
    assert f"{LOG}it is too long" in caplog.text


# The service, and something in the place of the replica


async def _leased() -> tuple[Connection, asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """The service's end of a connection, the replica's, and the challenge."""
    listener = Listener()
    await listener.open("127.0.0.1")
    expected = listener.expect(TOKEN)
    reader, writer = await asyncio.open_connection(*listener.address)
    challenge = await reader.readexactly(CHALLENGE_BYTES)
    writer.write(proof(TOKEN, challenge))
    connection = await expected
    listener.close()
    return connection, reader, writer, challenge


async def _ask_and_reply(*replies: Callable[[bytes], bytes]) -> list[Answer | Exception]:
    """What the service makes of replies that follow each other, each made with the connection's challenge."""
    connection, _, writer, challenge = await _leased()
    writer.write(b"".join(reply(challenge) for reply in replies))
    try:
        return [await connection.ask(b"photo", REQUEST[0], 30.0) for _ in replies]
    finally:
        connection.close()
        writer.close()


def _seal(challenge: bytes) -> Seal:
    return Seal(TOKEN, challenge, Direction.TO_SERVICE)


def test_what_a_replica_seals_is_an_answer() -> None:
    [answer] = asyncio.run(
        _ask_and_reply(lambda challenge: sealed(_seal(challenge), ANSWER.without_body(), ANSWER.body))
    )
    assert answer == ANSWER


def _forged_answers(message: object) -> dict[str, Callable[[bytes], bytes]]:
    return {
        "no seal": lambda _: bytes(TAG_BYTES) + frame(message, b"map") + b"map",
        "another token": lambda challenge: sealed(
            Seal(b"u" * TOKEN_BYTES, challenge, Direction.TO_SERVICE), message, b"map"
        ),
        "another connection": lambda _: sealed(_seal(CHALLENGE), message, b"map"),
        "sent back": lambda challenge: sealed(Seal(TOKEN, challenge, Direction.TO_REPLICA), message, b"map"),
        "changed map": lambda challenge: flipped(sealed(_seal(challenge), message, b"map"), -1),
        "changed message": lambda challenge: flipped(sealed(_seal(challenge), message, b"map"), -4),
        "too long": lambda challenge: too_long(_seal(challenge), 1 << 21, 0),
    }


@pytest.mark.parametrize("name", _forged_answers(None))
def test_a_forged_answer_is_not_unpickled(name: str, sprung: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The pool counts the replica as lost then, and gives the photo to another one."""
    with pytest.raises(ConnectionError):
        asyncio.run(_ask_and_reply(_forged_answers(Trap(sprung))[name]))
    assert not sprung.exists()
    assert LOG in caplog.text


def test_an_answer_that_is_sent_again_is_refused() -> None:
    kept: list[bytes] = []

    def answer(challenge: bytes) -> bytes:
        kept.append(sealed(_seal(challenge), ANSWER.without_body(), ANSWER.body))
        return kept[0]

    with pytest.raises(ConnectionError):
        asyncio.run(_ask_and_reply(answer, lambda _: kept[0]))


def test_the_token_is_never_sent_and_an_overheard_proof_is_worth_nothing() -> None:
    async def scenario() -> None:
        listener = Listener()
        await listener.open("127.0.0.1")
        expected = listener.expect(TOKEN)
        for stolen in (proof(TOKEN, CHALLENGE), TOKEN):  # overheard on another connection, or sent as it used to be
            reader, writer = await asyncio.open_connection(*listener.address)
            assert await reader.readexactly(CHALLENGE_BYTES) != CHALLENGE
            writer.write(stolen)
            assert await reader.read() == b""
            writer.close()
        assert not expected.done()
        listener.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as server:
        replica = threading.Thread(target=serve_lease, args=(server.getsockname(), TOKEN, lambda *_: ANSWER))
        replica.start()
        service, _ = server.accept()
        with service:
            service.sendall(CHALLENGE + sealed(Seal(TOKEN, CHALLENGE, Direction.TO_REPLICA), REQUEST, b"photo"))
            service.shutdown(socket.SHUT_WR)
            while piece := service.recv(1 << 16):
                heard += piece
        replica.join(10)
    assert pickle.dumps(ANSWER.without_body()) in heard  # it is not encrypted
    assert TOKEN not in heard
