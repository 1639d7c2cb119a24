from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from depthsvc.errors import ConfigurationError
from depthsvc.server.clients import ForwardedMiddleware, TrustedProxies, client_of, trusted_proxies


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("testclient", ""),
        ("", ""),
    ],
)
def test_a_client_is_an_ipv4_address_or_a_64_of_ipv6(host: str, client: str) -> None:
    assert client_of({"client": (host, 1)}) == client


def test_a_request_without_a_peer_has_no_client() -> None:
    assert client_of({"client": None}) == client_of({}) == ""


def believed(proxies: str, peer: str, *headers: tuple[bytes, bytes]) -> tuple[str, str]:
    """The client's address and the scheme of a request that a peer sends."""
    scope: dict[str, Any] = {"type": "http", "client": (peer, 7), "scheme": "http", "headers": headers}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    asyncio.run(ForwardedMiddleware(app, TrustedProxies(proxies))(scope, None, None))  # type: ignore[arg-type]
    return scope["client"][0], scope["scheme"]


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (b"203.0.113.7", "203.0.113.7"),
        (b"198.51.100.1, 203.0.113.7", "203.0.113.7"),
        (b"198.51.100.1,203.0.113.7 , 127.0.0.1,10.1.2.3", "203.0.113.7"),
        (b"10.0.0.9, 127.0.0.1", "10.0.0.9"),
        (b"203.0.113.7:50000", "203.0.113.7"),
        (b"[2001:DB8::0:1]:50000", "2001:db8::1"),
        (b"[2001:db8::1]", "2001:db8::1"),
        (b"2001:db8::1", "2001:db8::1"),
        (b"::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_a_trusted_proxy_names_the_client(forwarded: bytes, client: str) -> None:
    assert believed("127.0.0.1, 10.0.0.0/8", "127.0.0.1", (b"x-forwarded-for", forwarded)) == (client, "http")


@pytest.mark.parametrize(
    "forwarded",
    [
        b"",
        b"unknown",
        b"localhost",
        b"203.0.113.7, unknown",
        b"evil, 127.0.0.1",
        b"203.0.113.7,",
        b"203.0.113",
        b"203.0.113.7\x9b31m",
        b"fe80::1%\x9b31m",
        b"fe80::1%eth0",
        b"1" * 10_000,
    ],
)
def test_what_is_not_an_address_is_ignored(forwarded: bytes) -> None:
    assert believed("127.0.0.1", "127.0.0.1", (b"x-forwarded-for", forwarded))[0] == "127.0.0.1"


def test_other_peers_are_not_believed() -> None:
    headers = ((b"x-forwarded-for", b"203.0.113.7"), (b"x-forwarded-proto", b"https"))
    assert believed("127.0.0.1", "192.0.2.1", *headers) == ("192.0.2.1", "http")
    assert believed("", "127.0.0.1", *headers) == ("127.0.0.1", "http")
    assert believed("127.0.0.1", "127.0.0.1", *headers) == ("203.0.113.7", "https")
    assert believed("127.0.0.1", "::ffff:127.0.0.1", *headers) == ("203.0.113.7", "https")


def test_several_headers_are_one_list() -> None:
    headers = ((b"x-forwarded-for", b"198.51.100.1"), (b"x-forwarded-for", b"203.0.113.7"))
    assert believed("127.0.0.1", "127.0.0.1", *headers)[0] == "203.0.113.7"


def test_if_every_peer_is_trusted_the_last_address_counts() -> None:
    """The first may be the client's own invention."""
    assert believed("*", "192.0.2.1", (b"x-forwarded-for", b"198.51.100.1, 203.0.113.7"))[0] == "203.0.113.7"


@pytest.mark.parametrize(
    ("value", "scheme"), [(b"https", "https"), (b" https ", "https"), (b"gopher", "http"), (b"\x9b", "http")]
)
def test_a_trusted_proxy_names_the_scheme(value: bytes, scheme: str) -> None:
    assert believed("127.0.0.1", "127.0.0.1", (b"x-forwarded-proto", value))[1] == scheme


def test_proxies_come_from_uvicorns_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    assert ["127.0.0.1" in trusted_proxies(), "10.0.0.1" in trusted_proxies()] == [True, False]
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1/8,")
    assert ["127.0.0.1" in trusted_proxies(), "10.9.9.9" in trusted_proxies()] == [False, True]
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "nginx")
    with pytest.raises(ConfigurationError, match="FORWARDED_ALLOW_IPS: 'nginx' is neither an IP address nor"):
        trusted_proxies()
