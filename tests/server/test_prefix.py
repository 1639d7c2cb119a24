"""The service under a path that a proxy gives it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from depthsvc.errors import ConfigurationError
from depthsvc.settings import read_settings
from tests.server.conftest import answered, ask

PREFIXES = ["/depth", "/tools/depth-2", "/~a/v1.0_x", "/health", "/models", "/docs"]
HOSTILE = [
    "//evil.example",
    "/\\evil.example",
    "https://evil.example",
    "evil.example/",
    "/a//evil.example",
    "/..",
    "/a/../b",
    "/.",
    "/%2e%2e",
    "/a%0d%0aX-Evil: 1",
    "/a\r\nX-Evil: 1",
    "/a\n",
    '/"><script>evil()</script>',
    "/a'evil",
    "/a?evil",
    "/a#evil",
    "/a;evil",
    "/a, /evil",
    "/a evil",
    "/ü",
    "/a" * 101,
]


def prefixed(prefix: str, way: str) -> dict[str, Any]:
    """Arguments of `ask` for a prefix that a setting says, or a proxy."""
    return {"root_path": prefix} if way == "setting" else {"headers": {"X-Forwarded-Prefix": prefix}}


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("way", ["setting", "header"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_everything_is_there_whether_or_not_the_proxy_strips_the_prefix(prefix: str, way: str, kept: bool) -> None:
    before = prefix if kept else ""

    def asked(method: str, path: str) -> httpx.Response:
        return ask(answered(), method, before + path, **prefixed(prefix, way))

    page = asked("GET", "/")
    assert (page.status_code, f'<base href="{prefix}/">' in page.text) == (200, True)
    for method, path in [
        ("POST", "/depth"),
        ("POST", "/upload"),
        ("GET", "/models"),
        ("GET", "/health/live"),
        ("GET", "/static/page.js"),
        ("GET", "/docs"),
        ("GET", "/swagger/swagger-ui.css"),
    ]:
        assert asked(method, path).status_code == 200, path
    document = asked("GET", "/openapi.json").json()
    assert document["servers"] == [{"url": prefix}]
    missing = asked("GET", "/nothing").json()
    assert (
        missing["detail"] == f"There is nothing at {prefix}/nothing. The service's routes are listed at {prefix}/docs."
    )
    assert f"listed at {prefix}/docs." in asked("GET", "/static/nothing").json()["detail"]
    assert f"listed at {prefix}/docs." in asked("POST", "/depth?x=1").json()["detail"]


@pytest.mark.parametrize("way", ["setting", "header"])
def test_a_slash_at_the_end_does_not_matter(way: str) -> None:
    for path in ("/depth", "/depth/", "/"):
        for prefix in ("/depth", "/depth/"):
            page = ask(answered(), "GET", path, **prefixed(prefix, way))
            assert (page.status_code, '<base href="/depth/">' in page.text) == (200, True), path
    assert ask(answered(), "POST", "/depth", **prefixed("/depth", way)).status_code == 200


def test_without_a_prefix_addresses_are_relative() -> None:
    assert '<base href="./">' in ask(answered(), "GET", "/").text
    assert '<base href="./">' in ask(answered(), "GET", "/", {"X-Forwarded-Prefix": "/"}).text
    assert not re.search(r'(?:href|src)="/', ask(answered(), "GET", "/docs").text)
    assert ask(answered(), "GET", "/openapi.json").json()["servers"] == [{"url": "/"}]


def test_what_only_begins_like_the_prefix_is_not_under_it() -> None:
    for path in ("/depthmap/models", "/dept/models", "/DEPTH/models"):
        assert ask(answered(), "GET", path, root_path="/depth").status_code == 404


def test_a_proxys_prefix_comes_before_the_setting_and_a_clients_counts_for_nothing() -> None:
    header = {"X-Forwarded-Prefix": "/forwarded"}
    trusted = ask(answered(), "GET", "/openapi.json", header, root_path="/set")
    assert trusted.json()["servers"] == [{"url": "/forwarded"}]
    for settings, prefix in (({"root_path": "/set"}, "/set"), ({}, "/")):
        direct = ask(answered(), "GET", "/openapi.json", header, proxies="10.0.0.1", **settings)
        assert direct.json()["servers"] == [{"url": prefix}]
    assert ask(answered(), "GET", "/forwarded/models", header, proxies="10.0.0.1").status_code == 404


@pytest.mark.parametrize("prefix", HOSTILE)
def test_what_is_not_plainly_a_path_is_ignored_from_a_proxy_and_refused_as_a_setting(prefix: str) -> None:
    headers = {"X-Forwarded-Prefix": prefix.encode()}
    for path in ("/", "/openapi.json", "/nothing"):
        responses = [ask(answered(), "GET", path, head, root_path="/set") for head in (headers, {})]
        with_it, without_it = (re.sub(r'"request_id":"\w+"', "", response.text) for response in responses)
        assert with_it == without_it
        assert responses[0].headers.keys() == responses[1].headers.keys()
    with pytest.raises(ConfigurationError, match="root_path: use a path such as /depth"):
        read_settings({"root_path": prefix})


def test_metrics_do_not_grow_with_prefixes() -> None:
    text = ask(answered(), "GET", "/a/metrics", {"X-Forwarded-Prefix": "/a"}).text
    assert "depthsvc_requests_in_progress 1.0" in text
    assert "/a" not in text
