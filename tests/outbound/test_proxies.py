"""The variables choose the proxy that their users mean, or are named where they mean none."""

from __future__ import annotations

from contextlib import suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthsvc.errors import ConfigurationError
from depthsvc.outbound.proxies import Proxy, proxy_for

PROXY = "http://proxy.test:3128"


def chosen(url: str) -> Proxy | None:
    return proxy_for(httpx.URL(url))


@pytest.mark.parametrize(
    ("value", "address", "login"),
    [
        ("http://proxy.test:3128", "http://proxy.test:3128", None),
        ("proxy.test:3128", "http://proxy.test:3128", None),
        (" HTTP://proxy.test:3128/ ", "http://proxy.test:3128", None),
        ("https://proxy.test", "https://proxy.test", None),
        ("socks5://proxy.test:1080", "socks5://proxy.test:1080", None),
        ("socks5h://proxy.test:1080", "socks5://proxy.test:1080", None),
        ("socks://proxy.test:1080/", "socks5://proxy.test:1080", None),
        ("http://[::1]:3128", "http://[::1]:3128", None),
        ("http://10.0.0.1:3128", "http://10.0.0.1:3128", None),
        ("http://me:secret@proxy.test:3128", "http://proxy.test:3128", ("me", "secret")),
        ("http://me:p#a/b?c@d:e@proxy.test:3128/", "http://proxy.test:3128", ("me", "p#a/b?c@d:e")),
        ("http://me:p%23%40@proxy.test", "http://proxy.test", ("me", "p#@")),
        ("me:secret@proxy.test:3128", "http://proxy.test:3128", ("me", "secret")),
        ("socks5://me@[::1]:1080", "socks5://[::1]:1080", ("me", "")),
    ],
)
def test_address_of_a_proxy(
    monkeypatch: pytest.MonkeyPatch, value: str, address: str, login: tuple[str, str] | None
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    assert chosen("https://far.test/") == Proxy("HTTPS_PROXY", httpx.URL(address), login)


@pytest.mark.parametrize(
    "value",
    [
        "socks4://proxy.test:1080",
        "socks4a://proxy.test:1080",
        "ftp://proxy.test",
        "://",
        "http://",
        "http://:3128",
        "http://me:secret@",
        "http://proxy.test:port",
        "http://proxy.test:99999",
        "http://::1:3128",
        "http://[::1",
        "http://a b:3128",
        "http://a..b",
        "http://" + "a" * 64,
        "http://xn--",
        "direct;",
        "{}",
        "proxy\x01.test",
        "caf\udce9.test",
        "http://me:\udce9@proxy.test",
        "'http://proxy.test:3128'",
    ],
)
def test_a_value_that_is_no_proxy_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("all_proxy", value)
    with pytest.raises(ConfigurationError, match=r"^all_proxy is not the address of an http, .* Correct or unset") as e:
        chosen("https://far.test/")
    assert "secret" not in str(e.value)


@given(st.lists(st.sampled_from([*"@:#/?[]%,.*ab1é\udce9\u202e ", "://", "http", "socks5", "::1", "10.0.0.0/8"])))
def test_whatever_the_variables_say_there_is_a_proxy_or_none_or_its_name(parts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ALL_PROXY", "".join(parts))
        environment.setenv("NO_PROXY", "".join(reversed(parts)))
        for url in ("http://far.test", "https://[fd00::1]:8443"):
            with suppress(ConfigurationError):
                chosen(url)


@pytest.mark.parametrize(
    ("variables", "variable"),
    [
        ({"HTTPS_PROXY": PROXY}, "HTTPS_PROXY"),
        ({"https_proxy": PROXY}, "https_proxy"),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "other"}, "https_proxy"),
        ({"https_proxy": PROXY, "ALL_PROXY": "other"}, "https_proxy"),
        ({"ALL_PROXY": PROXY}, "ALL_PROXY"),
        ({"HTTPS_PROXY": " ", "all_proxy": PROXY}, "all_proxy"),
        ({"https_proxy": "", "HTTPS_PROXY": PROXY}, None),
        ({"HTTP_PROXY": PROXY}, None),
        ({"HTTPS_PROXY": "", "ALL_PROXY": "  "}, None),
    ],
)
def test_which_variable_decides(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], variable: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxy = chosen("https://far.test/")
    assert (proxy and proxy.variable) == variable


@pytest.mark.parametrize(
    ("no_proxy", "url", "exempt"),
    [
        ("far.test", "http://far.test", True),
        ("far.test", "http://www.far.test", True),
        ("far.test", "http://so-far.test", False),
        (".far.test", "http://www.far.test", True),
        ("*.far.test", "http://www.far.test", True),
        ("FAR.test.", "http://far.TEST", True),
        ("far.test:8080", "http://far.test:8080", True),
        ("far.test:8080", "http://far.test", False),
        ("far.test:443", "https://far.test", True),
        ("http://far.test/", "http://far.test", False),
        ("http://far.test", "http://far.test", True),
        ("10.0.0.0/8", "http://10.1.2.3", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("10.1.2.3", "http://10.1.2.3", True),
        ("10.1.2.3:80", "http://10.1.2.3", True),
        ("10.1.2.9/24", "http://10.1.2.3", True),
        ("10.0.0.0/8", "http://10.test", False),
        ("fd00::/8", "http://[fd00::1]", True),
        ("fd00::1", "http://[fd00:0::1]", True),
        ("[fd00::1]", "http://[fd00::1]", True),
        ("[fd00::1]:80", "http://[fd00::1]", True),
        ("[fd00::1]:81", "http://[fd00::1]", False),
        ("10.0.0.0/8", "http://[::ffff:10.0.0.1]", True),
        ("one.test, far.test", "http://far.test", True),
        ("one.test far.test", "http://far.test", True),
        (" ,, ", "http://far.test", False),
        ("*", "http://far.test", True),
        ("one.test,*", "http://far.test", True),
        ("[[,10.0.0.0/99,far.test:,:80,.,/,far.test:99999999", "http://far.test", False),
    ],
)
def test_no_proxy(monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str, exempt: bool) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (chosen(url) is None) == exempt


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "depth.localhost", "127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"],
)
@pytest.mark.parametrize("value", [PROXY, "junk://"])
def test_this_machine_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch, host: str, value: str) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    assert chosen(f"http://{host}:7860/") is None
