from __future__ import annotations

import socket
import sys
from contextlib import suppress

import pytest

from depthsvc.server.listening import bound_socket, last_connections


@pytest.mark.skipif(sys.platform != "linux", reason="needs packet filters")
def test_the_last_connections_are_accepted_and_nobody_connects_to_be_reset() -> None:
    with bound_socket("127.0.0.1", 0, 30) as listening:
        listening.listen()
        address = listening.getsockname()
        early = [socket.create_connection(address) for _ in range(3)]
        accepted = []
        for connection in last_connections(listening):
            with pytest.raises(TimeoutError):  # the system sends SYN again after a second
                socket.create_connection(address, timeout=0.1)
            accepted.append(connection)
    assert len(accepted) == 3
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    for client, server in zip(early, accepted, strict=True):
        client.sendall(b"photo")
        server.setblocking(True)
        assert server.recv(5) == b"photo"
        client.close()
        server.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs TCP_NOTSENT_LOWAT")
def test_the_system_takes_little_that_a_client_has_no_room_for() -> None:
    with bound_socket("127.0.0.1", 0, 30) as listening, socket.socket() as client:
        listening.listen()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.connect(listening.getsockname())
        with listening.accept()[0] as server:
            server.setblocking(False)
            taken = 0
            with suppress(BlockingIOError):
                while taken < 10_000_000:
                    taken += server.send(bytes(1 << 20))
    assert taken < 1_000_000
