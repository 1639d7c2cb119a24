"""Requests reach proxies and servers with TLS, and what goes wrong is said in the words of the person who set it up."""

from __future__ import annotations

import gc
import re
import ssl
import subprocess
from pathlib import Path
from shutil import which
from ssl import DefaultVerifyPaths

import httpx
import pytest
import trustme

from depthsvc.errors import ConfigurationError
from depthsvc.outbound.failures import reason
from tests.outbound.conftest import AUTHORITY, Get, tls
from tests.outbound.servers import ANSWER, http_proxy, listening, says, socks_proxy, web_server


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return path


def test_http_proxy_is_asked(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    with listening(http_proxy(asked)) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:p#@127.0.0.1:{port}")
        assert get("http://far.test/file") == "found"
    assert asked == [b"GET http://far.test/file HTTP/1.1", b"Proxy-Authorization: Basic bWU6cCM="]


def test_http_proxy_with_tls_is_asked(get: Get, monkeypatch: pytest.MonkeyPatch, authority: Path) -> None:
    asked: list[bytes] = []
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with listening(http_proxy(asked), tls("localhost")) as port:
        monkeypatch.setenv("HTTP_PROXY", f"https://localhost:{port}")
        assert get("http://far.test/file") == "found"
    assert asked == [b"GET http://far.test/file HTTP/1.1"]


@pytest.mark.parametrize("scheme", ["socks", "socks5", "socks5h"])
def test_socks_proxy_is_asked_by_name(get: Get, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    asked: list[bytes] = []
    with listening(socks_proxy(asked)) as port:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://me:p@ss@127.0.0.1:{port}")
        assert get("http://far.test/file") == "found"
    assert asked == [b"me:p@ss", b"far.test"]


def test_a_proxy_that_is_not_needed_may_be_anything(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, "socks4://[junk")
    with listening(web_server) as port:
        assert get(f"http://127.0.0.1:{port}/") == "found"


def _reason(get: Get, url: str) -> str:
    with pytest.raises(httpx.RequestError) as caught:
        get(url)
    return reason(caught.value)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_is_not_there(get: Get, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    with listening(web_server) as port:
        pass
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{port}")
    assert _reason(get, "https://far.test/") == "Connection refused (through the proxy in ALL_PROXY)"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # httpcore leaves the connection to the garbage collection
@pytest.mark.parametrize("login", ["", "me:secret@", "me:" + 300 * "x" + "@"])
@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\x00", b"\x05\x02\x01\x00\x05", b"\xff"]
)
def test_a_socks_proxy_that_is_none(get: Get, monkeypatch: pytest.MonkeyPatch, login: str, reply: bytes) -> None:
    with listening(says(reply)) as port:
        monkeypatch.setenv("ALL_PROXY", f"socks5://{login}127.0.0.1:{port}")
        assert _reason(get, "http://far.test/").endswith(" (through the proxy in ALL_PROXY)")
    gc.collect()


def test_a_proxy_that_refuses(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with listening(says(refusal)) as port:
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{port}")
        expected = "407 Proxy Authentication Required (through the proxy in https_proxy)"
        assert _reason(get, "https://far.test/") == expected


def test_a_name_that_cannot_be_resolved(get: Get) -> None:
    assert _reason(get, "http://a..b/") in ("not a host name", "Name or service not known")


# Certificates


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_authority_in_a_file_is_trusted(
    get: Get, monkeypatch: pytest.MonkeyPatch, server: str, authority: Path, variable: str
) -> None:
    monkeypatch.setenv(variable, str(authority))
    assert get(server) == "found"


def test_authorities_of_all_variables_are_trusted(
    get: Get, monkeypatch: pytest.MonkeyPatch, server: str, authority: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    assert get(server) == "found"


@pytest.mark.skipif(not which("openssl"), reason="there is no openssl")
@pytest.mark.parametrize("variable", ["SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_authority_in_a_folder_is_trusted(
    get: Get, monkeypatch: pytest.MonkeyPatch, server: str, authority: Path, variable: str
) -> None:
    folder = authority.parent
    subprocess.run(["openssl", "rehash", folder], check=True)
    monkeypatch.setenv(variable, f"{folder / 'missing'}:{folder}")
    assert get(server) == "found"


def test_authority_of_the_system_is_trusted(
    get: Get, monkeypatch: pytest.MonkeyPatch, server: str, authority: Path
) -> None:
    store = DefaultVerifyPaths(str(authority), "", "", "", "", "")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: store)
    monkeypatch.setattr(ssl.SSLContext, "set_default_verify_paths", lambda it: it.load_verify_locations(authority))
    assert get(server) == "found"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, b"", b"junk", "folder"], ids=["missing", "empty", "junk", "empty folder"])
def test_variable_that_names_no_authorities_is_named(
    get: Get, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, content: bytes | str | None
) -> None:
    path = tmp_path / "authorities"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        path.mkdir()
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(ConfigurationError, match=f"^{variable}: {path} is neither .* Correct or unset it.$"):
        get("https://far.test/")


def test_stranger_is_refused_and_the_remedy_named(
    get: Get, monkeypatch: pytest.MonkeyPatch, server: str, tmp_path: Path
) -> None:
    assert re.fullmatch(
        r"its certificate is not trusted \(.*certificate.*\); if you trust .* set SSL_CERT_FILE to .*",
        _reason(get, server),
    )
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(other))
    assert _reason(get, server).endswith("; the authority that signed it is not in CURL_CA_BUNDLE")


def test_certificate_of_another_name_is_refused(get: Get, monkeypatch: pytest.MonkeyPatch, authority: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with listening(web_server, tls("far.test")) as port:
        expected = "its certificate is not valid: Hostname mismatch, certificate is not valid for 'localhost'"
        assert _reason(get, f"https://localhost:{port}/") == expected


def test_server_without_tls(get: Get) -> None:
    with listening(says(ANSWER)) as port:
        assert _reason(get, f"https://localhost:{port}/").startswith("TLS failed: ")
