"""What the tests of outgoing requests share."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Iterator

import httpx
import pytest
import trustme

from depthsvc.outbound.transport import AsyncTransport, Transport
from tests.outbound.servers import listening, web_server

Get = Callable[[str], str]

AUTHORITY = trustme.CA()


def tls(*names: str) -> ssl.SSLContext:
    """A server's context with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server whose certificate is signed by `AUTHORITY`."""
    with listening(web_server, tls("localhost")) as port:
        yield f"https://localhost:{port}/"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the person's own proxies and authorities out of the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL_CERT_") or name.endswith("_CA_BUNDLE"):
            monkeypatch.delenv(name)


def _get(url: str) -> str:
    with httpx.Client(transport=Transport()) as client:
        return client.get(url).text


def _get_async(url: str) -> str:
    async def get() -> str:
        async with httpx.AsyncClient(transport=AsyncTransport()) as client:
            return (await client.get(url)).text

    return asyncio.run(get())


@pytest.fixture(params=[_get, _get_async])
def get(request: pytest.FixtureRequest) -> Get:
    """Fetches the text at a URL."""
    chosen: Get = request.param
    return chosen
