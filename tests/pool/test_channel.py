from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from depthsvc.options import HeatmapOptions
from depthsvc.pool.channel import Channel

LARGE = bytes(range(256)) * 40_000
"""Ten megabytes: far more than a socket's buffer holds."""


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    ours, theirs = Channel.pair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("payload", [b"", b"x", bytearray(b"photo"), LARGE], ids=["none", "byte", "bytearray", "large"])
def test_an_object_and_its_bytes_arrive(ends: tuple[Channel, Channel], payload: bytes | bytearray) -> None:
    ours, theirs = ends
    options = HeatmapOptions(invert=True)
    sending = threading.Thread(target=ours.send, args=(options, payload))
    sending.start()
    assert theirs.receive() == (options, payload)
    sending.join()


def test_messages_keep_their_order(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    for number in range(3):
        ours.send(number, b"%d" % number)
    assert [theirs.receive() for _ in range(3)] == [(0, b"0"), (1, b"1"), (2, b"2")]


def test_a_closed_end_is_the_end_of_the_other(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    ours.close()
    with pytest.raises(EOFError):
        theirs.receive()
    with pytest.raises(OSError, match="pipe"):
        theirs.send("anyone?")


@pytest.mark.parametrize("sent", [1, 17, 25, 5000])
def test_half_a_message_is_the_end(sent: int) -> None:
    whole, other = socket.socketpair()
    with Channel(other) as sender, whole:
        sender.send({"options": None}, bytes(10_000))
        begun = whole.recv(sent, socket.MSG_WAITALL)
    cut, receiving = socket.socketpair()
    with Channel(receiving) as receiver:
        cut.sendall(begun)
        cut.close()
        with pytest.raises(EOFError):
            receiver.receive()


def test_nothing_to_receive_and_no_room_to_send_are_noticed_in_time(ends: tuple[Channel, Channel]) -> None:
    ours, _ = ends
    ours.wait_at_most(0.05)
    with pytest.raises(BlockingIOError):
        ours.receive()
    with pytest.raises(BlockingIOError):
        ours.send("a photo", LARGE)


def test_half_a_message_is_not_waited_for_longer(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    ours.wait_at_most(0.05)
    with pytest.raises(BlockingIOError):
        ours.send("a photo", LARGE)
    theirs.wait_at_most(0.05)
    with pytest.raises(BlockingIOError):
        theirs.receive()
