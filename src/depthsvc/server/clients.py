"""Who sends a request: the address of its peer or, behind a trusted proxy, the one that the proxy forwards."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from depthsvc.errors import ConfigurationError
from depthsvc.settings import checked_root_path

if TYPE_CHECKING:  # read at startup, before the web framework is imported
    from starlette.types import ASGIApp, Receive, Scope, Send

_VARIABLE = "FORWARDED_ALLOW_IPS"
"""uvicorn's variable, which deployments set already."""
_EVERYONE = "*"
_SCHEMES = {"http", "https", "ws", "wss"}
_LONGEST_ADDRESS = 45
"""Characters of the longest IPv6 address."""
_SUBNET_BITS = 64
"""Length of the prefix of IPv6 addresses that one client can have."""


def client_of(scope: Scope) -> str:
    """The client that a request counts for: an IPv4 address, the /64 of an IPv6 address, or "" if it is unknown."""
    client = scope.get("client")
    return counted_as(client[0]) if client else ""


@lru_cache(maxsize=4096)
def counted_as(host: str) -> str:
    """The client that an address counts for, as `client_of` says."""
    address = _address(host.partition("%")[0])  # a link-local address has the name of its interface
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _SUBNET_BITS), strict=False))
    return str(address) if address else ""


class TrustedProxies:
    """The proxies whose X-Forwarded-* headers are believed."""

    def __init__(self, given: str) -> None:
        """Addresses and networks, comma-separated; `*` trusts every peer. Raises ConfigurationError."""
        words = {word.strip() for word in given.split(",")} - {""}
        self._everyone = _EVERYONE in words
        self._networks = [_network(word) for word in words - {_EVERYONE}]
        self._trusts = lru_cache(maxsize=4096)(self._compute_trust)

    def __contains__(self, host: str) -> bool:
        return self._trusts(host)

    def _compute_trust(self, host: str) -> bool:
        address = _address(host)
        return self._everyone or (address is not None and any(address in network for network in self._networks))

    def client(self, forwarded: str) -> str | None:
        """The client that an X-Forwarded-For header of a trusted proxy names: its last address that is not a proxy's,
        or the first if all are. None if something else than an address comes before it.

        Each proxy appends the address that it sees, so what a client makes up is further left. If every peer is
        trusted, only the last address is known to be a proxy's.
        """
        host = None
        for word in reversed(forwarded.split(",")):
            address = _address(_without_port(word.strip()))
            if address is None:
                return None
            host = str(address)
            if self._everyone or host not in self:
                break
        return host


def trusted_proxies() -> TrustedProxies:
    """The proxies in uvicorn's variable FORWARDED_ALLOW_IPS, by default 127.0.0.1. Raises ConfigurationError."""
    return TrustedProxies(os.environ.get(_VARIABLE, "127.0.0.1"))


class ForwardedMiddleware:
    """Gives requests from trusted proxies the client, the scheme and the prefix of the path that the proxy forwards.

    In place of uvicorn's, which takes any text for an address.
    """

    def __init__(self, app: ASGIApp, proxies: TrustedProxies) -> None:
        self.app = app
        self.proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if client and client[0] in self.proxies:
            self._believe(scope)
        await self.app(scope, receive, send)

    def _believe(self, scope: Scope) -> None:
        headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
        forwarded, scheme, prefix = [], "", ""
        for name, value in headers:
            if name == b"x-forwarded-for":
                forwarded.append(value.decode("latin-1"))
            elif name == b"x-forwarded-proto":
                scheme = value.decode("latin-1").strip()
            elif name == b"x-forwarded-prefix":
                prefix = value.decode("latin-1").strip(" \t")
        if scheme in _SCHEMES:
            scope["scheme"] = scheme
        if forwarded and (host := self.proxies.client(",".join(forwarded))):
            scope["client"] = (host, 0)
        with suppress(ValueError):
            scope["root_path"] = checked_root_path(prefix)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """An address without a zone, whose name could be any text; one of IPv4 in IPv6 as IPv4. None if it is not one."""
    if len(host) > _LONGEST_ADDRESS or "%" in host:
        return None
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def _network(word: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(word, strict=False)
    except ValueError as error:
        raise ConfigurationError(
            f"{_VARIABLE}: '{word}' is neither an IP address nor a network. Example: 127.0.0.1,10.0.0.0/8."
        ) from error
