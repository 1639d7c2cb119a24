from __future__ import annotations

import gc
import weakref

import pytest

from depthsvc.server.clients import TrustedProxies
from depthsvc.server.roster import MAX_GUESTS, Roster

PROXY = "127.0.0.1"


class FakeConnection:
    def __init__(self, host: str) -> None:
        self.host = host
        self.open = True

    def make_room(self) -> None:
        assert self.open
        self.open = False


class Crowd:
    """A roster for eight connections, of which a client may hold two, and all that came."""

    def __init__(self) -> None:
        self.roster = Roster(8, TrustedProxies(PROXY))
        self.all: list[FakeConnection] = []

    def come(self, *hosts: str) -> list[FakeConnection]:
        """Admit a connection of each host."""
        connections = [FakeConnection(host) for host in hosts]
        assert [self.roster.admit(connection) for connection in connections] == [True] * len(hosts)
        self.all += connections
        return connections

    def begin(self, *connections: FakeConnection) -> list[bool]:
        return [self.roster.begin(connection) for connection in connections]

    def closed(self) -> list[int]:
        """Who was closed, by the order in which they came."""
        return [number for number, connection in enumerate(self.all) if not connection.open]


def test_who_has_been_idle_longest_makes_room() -> None:
    crowd = Crowd()
    first, second, *_ = crowd.come(*[PROXY] * 8)
    crowd.begin(first, second)
    crowd.roster.end(second)
    crowd.roster.end(first)
    crowd.come(*[PROXY] * 7)
    assert crowd.closed() == [1, 2, 3, 4, 5, 6, 7]


def test_who_is_owed_a_response_stays_and_new_ones_are_guests() -> None:
    crowd = Crowd()
    crowd.begin(*crowd.come(*[PROXY] * 8))
    [guest] = crowd.come(PROXY)
    assert crowd.begin(guest) == [False]
    assert crowd.closed() == []


def test_a_guest_becomes_a_member_when_there_is_room() -> None:
    crowd = Crowd()
    members = crowd.come(*[PROXY] * 8)
    crowd.begin(*members)
    first, second, third = crowd.come(*[PROXY] * 3)
    crowd.roster.leave(members[0])
    crowd.roster.end(members[1])
    assert crowd.begin(first, second, third) == [True, True, False]
    assert crowd.closed() == [1]


def test_guests_are_bounded() -> None:
    crowd = Crowd()
    crowd.begin(*crowd.come(*[PROXY] * 8))
    guests = crowd.come(*[PROXY] * MAX_GUESTS)
    crowd.begin(guests[0])
    crowd.come(PROXY)
    assert crowd.closed() == [8 + 1]
    crowd.begin(*guests[2:], crowd.all[-1])
    assert not crowd.roster.admit(FakeConnection(PROXY))


def test_a_client_over_its_share_closes_its_own() -> None:
    crowd = Crowd()
    crowd.come("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.1", "192.0.2.1")
    assert crowd.closed() == [0, 2]


def test_a_client_over_its_share_with_nothing_idle_is_a_guest() -> None:
    crowd = Crowd()
    crowd.come("192.0.2.2")
    crowd.begin(*crowd.come("192.0.2.1", "192.0.2.1"))
    [guest] = crowd.come("192.0.2.1")
    assert crowd.begin(guest) == [False]
    assert crowd.begin(*crowd.come("192.0.2.2", PROXY)) == [True, True]
    assert crowd.closed() == []


@pytest.mark.parametrize("others", [("2001:db8::2", "2001:db8::ffff:3"), ("::ffff:192.0.2.1", "192.0.2.1")])
def test_addresses_that_one_client_can_have_share(others: tuple[str, str]) -> None:
    crowd = Crowd()
    crowd.come("2001:db8::1" if others[0].startswith("2001") else "192.0.2.1", *others)
    assert crowd.closed() == [0]


def test_nothing_is_remembered_of_who_has_left() -> None:
    crowd = Crowd()
    crowd.begin(*crowd.come(*[PROXY] * 8))
    for number in range(1000):
        crowd.come(f"192.0.{number // 250}.{number % 250}")
    gone = [weakref.ref(connection) for connection in crowd.all]
    for connection in crowd.all:
        crowd.roster.leave(connection)
        crowd.roster.leave(connection)
    crowd.all.clear()
    del connection
    gc.collect()
    assert [each() for each in gone if each()] == []
    assert crowd.roster._holders == {}
    crowd.come(*[PROXY] * 8)
    assert crowd.closed() == []


def test_closing_for_others_is_logged_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    crowd = Crowd()
    crowd.come(*[PROXY] * 30)
    assert [record.getMessage() for record in caplog.records] == [
        "closing idle connections to make room: the limit is 8, and 2 for one client"
    ]
