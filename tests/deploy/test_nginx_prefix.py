"""The service under a path of another site, as docs/nginx.md tells, in a real nginx."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from benchmarks import nginx
from benchmarks.nginx import ROOT, Nginx, configured
from depthsvc import DepthClient
from tests.conftest import RunningService

pytestmark = pytest.mark.skipif(nginx.PROGRAM is None, reason="there is no nginx")


def recipe(address: str, *, strips: bool) -> str:
    """The location in docs/nginx.md, for a service at this address."""
    [text] = re.findall(r"```nginx\n(location /depth/ \{\n.*?\n\}\n)```", (ROOT / "docs/nginx.md").read_text(), re.S)
    line = "proxy_pass http://127.0.0.1:7860;"
    assert line in text
    return str(text).replace(line, f"proxy_pass http://{address}{'/' if strips else ''};")


THREE_LINES = {
    "location / {": "location /depth/ {",
    "location = /metrics {": "location = /depth/metrics {",
    'X-Forwarded-Prefix "";': "X-Forwarded-Prefix /depth;",
}
"""What docs/nginx.md changes in nginx.conf."""


@pytest.fixture(scope="module", params=["kept", "stripped", "nginx.conf"])
def edge(
    request: pytest.FixtureRequest, embedded_service: RunningService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Nginx]:
    address, folder = embedded_service.url.removeprefix("http://"), tmp_path_factory.mktemp("nginx")
    if request.param == "nginx.conf":
        edge = configured(folder, [address], changes=THREE_LINES)
    else:
        site = recipe(address, strips=request.param == "stripped")
        edge = configured(folder, ["127.0.0.1:9"], included={"site.conf": site})
    with edge.running():
        yield edge


@pytest.fixture
def client(edge: Nginx) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=edge.url, timeout=60, follow_redirects=True) as client:
        yield client


def addresses(page: httpx.Response) -> list[str]:
    """The absolute addresses of a page's files and links, as a browser resolves them."""
    base = re.search(r'<base href="([^"]+)">', page.text)
    start = urljoin(str(page.url), base.group(1)) if base else str(page.url)
    return [urljoin(start, target) for target in re.findall(r"(?:href|src|url)(?:=|: )[\"']([^\"'#]+)[\"']", page.text)]


@pytest.mark.parametrize("path", ["/depth", "/depth/", "/depth/docs"])
def test_everything_on_a_page_is_under_the_prefix(edge: Nginx, client: httpx.Client, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    found = addresses(page)
    assert len(found) >= 4
    for address in found:
        assert address.startswith(f"{edge.url}/depth/"), address
        assert client.get(address).status_code == 200, address


def test_openapi_names_the_prefix(client: httpx.Client) -> None:
    assert client.get("/depth/openapi.json").json()["servers"] == [{"url": "/depth"}]


def test_a_client_does_not_choose_the_prefix(client: httpx.Client) -> None:
    page = client.get("/depth/", headers={"X-Forwarded-Prefix": "/mine"})
    assert '<base href="/depth/">' in page.text


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_python_client_works_under_a_prefix(edge: Nginx, photo_png: bytes, slash: str) -> None:
    with DepthClient(f"{edge.url}/depth{slash}") as client:
        assert client.health().status == "ok"
        assert client.models().in_use == "embedded"
        assert client.depth(photo_png).values.shape == (240, 320)
        assert client.heatmap(photo_png).pixels.shape == (240, 320, 3)


def test_nginx_conf_drops_a_clients_prefix(embedded_service: RunningService, tmp_path: Path) -> None:
    edge = configured(tmp_path, [embedded_service.url.removeprefix("http://")])
    with edge.running():
        page = httpx.get(f"{edge.url}/", headers={"X-Forwarded-Prefix": "/mine"})
        assert '<base href="./">' in page.text
