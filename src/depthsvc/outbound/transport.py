"""httpx transports that choose proxy and trust for each request, when it is made.

httpx itself reads the variables when a client is made, and raises for values that no request would have used.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import httpx

from depthsvc.outbound.certificates import trusting_context
from depthsvc.outbound.proxies import Proxy, proxy_for

Connections = TypeVar("Connections")


class Transport(httpx.BaseTransport):
    """Requests raise ConfigurationError, naming the variable, if a variable that matters for them cannot be used."""

    def __init__(self) -> None:
        self._routes = _Routes(httpx.HTTPTransport)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        proxy = proxy_for(request.url)
        connections = self._routes.open(request.url.scheme, proxy)
        with _errors_of_httpx(proxy):
            return connections.handle_request(request)

    def close(self) -> None:
        for connections in self._routes.opened:
            connections.close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """`Transport` for `httpx.AsyncClient`."""

    def __init__(self) -> None:
        self._routes = _Routes(httpx.AsyncHTTPTransport)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy = proxy_for(request.url)
        connections = self._routes.open(request.url.scheme, proxy)
        with _errors_of_httpx(proxy):
            return await connections.handle_async_request(request)

    async def aclose(self) -> None:
        for connections in self._routes.opened:
            await connections.aclose()


class _Routes(Generic[Connections]):
    """The connections of one client, by scheme and proxy, each opened when it is first needed."""

    def __init__(self, make: Callable[..., Connections]) -> None:
        self._make = make
        self._by_route: dict[tuple[str, Proxy | None], Connections] = {}

    @property
    def opened(self) -> list[Connections]:
        return list(self._by_route.values())

    def open(self, scheme: str, proxy: Proxy | None) -> Connections:
        route = (scheme, proxy)
        if route not in self._by_route:
            self._by_route.setdefault(route, self._new(scheme, proxy))  # another thread may have been faster
        return self._by_route[route]

    def _new(self, scheme: str, proxy: Proxy | None) -> Connections:
        encrypted = "https" in (scheme, proxy and proxy.address.scheme)
        # Without TLS nothing is trusted, which saves the time to load the authorities.
        context = trusting_context() if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if proxy is None:
            return self._make(verify=context)
        tls = context if proxy.address.scheme == "https" else None
        return self._make(verify=context, proxy=httpx.Proxy(proxy.address, auth=proxy.login, ssl_context=tls))


@contextmanager
def _errors_of_httpx(proxy: Proxy | None) -> Iterator[None]:
    """Turn what httpx lets through into an error of its own."""
    try:
        yield
    except httpx.HTTPError:
        raise
    except UnicodeError as error:  # a label is empty or too long for the resolver
        raise httpx.UnsupportedProtocol("not a host name") from error
    except Exception as error:  # socksio can raise anything for bytes that are not SOCKS
        if proxy is None:
            raise
        raise httpx.ProxyError("the proxy does not respond as one") from error
