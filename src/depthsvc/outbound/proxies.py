"""Which proxy a request goes through, by the usual variables."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import unquote
from urllib.request import getproxies

import httpx

from depthsvc.errors import ConfigurationError

_SCHEMES = {"http": "http", "https": "https", "socks": "socks5", "socks5": "socks5", "socks5h": "socks5"}
"""Scheme in a variable -> httpx's. With all of SOCKS the proxy resolves names; GNOME writes `socks`."""
_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65_535
_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}(?:\.|$))+")


@dataclass(frozen=True)
class Proxy:
    """A proxy, and what it is known by."""

    variable: str
    """The variable that names it, for messages: its value may contain a password."""
    address: httpx.URL
    """Scheme (http, https or socks5), host and port."""
    login: tuple[str, str] | None = field(default=None, repr=False)
    """User name and password."""


def proxy_for(url: httpx.URL) -> Proxy | None:
    """The proxy for a request, None to connect directly.

    HTTP_PROXY or HTTPS_PROXY, ALL_PROXY and NO_PROXY decide, in either case, and on macOS the system's settings. This
    machine's own addresses have no proxy, whatever the variables say.

    Raises ConfigurationError, naming the variable, if its value is not the address of a proxy.
    """
    settings = getproxies()
    name = url.scheme if settings.get(url.scheme, "").strip() else "all"
    value = settings.get(name, "").strip()
    if not value or _is_loopback(url.host) or _is_exempt(url, settings.get("no", "")):
        return None
    return _parse(_variable(f"{name}_proxy"), value)


def problem() -> str:
    """What is wrong with the variables, or empty."""
    try:
        for scheme in _PORTS:
            proxy_for(httpx.URL(f"{scheme}://example.com"))
    except ConfigurationError as error:
        return str(error)
    return ""


def given_variables() -> list[str]:
    """The names of the variables that are set."""
    names = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    return sorted(name for name, value in os.environ.items() if name.lower() in names and value.strip())


def _variable(name: str) -> str:
    """A variable's name as it is spelt in the environment; lower case takes precedence, as in urllib and curl."""
    spellings = [each for each in os.environ if each.lower() == name and os.environ[each]]
    return max(spellings, default="The system's proxy")


def _parse(variable: str, value: str) -> Proxy:
    """Unlike `httpx.Proxy`, accepts passwords with characters that a URL would have to escape, such as # and @."""
    scheme, separator, rest = value.partition("://")
    if not separator:
        scheme, rest = "http", value
    login, _, place = rest.rpartition("@")
    place = re.split(r"[/?#]", place)[0]
    try:
        address = httpx.URL(f"{_SCHEMES[scheme.lower()]}://{place}")
        usable = value.isprintable() and _is_host(address) and (address.port or 0) <= _LAST_PORT
    except (KeyError, ValueError, httpx.InvalidURL):
        usable = False
    if not usable:
        raise ConfigurationError(
            f"{variable} is not the address of an http, https, socks5 or socks5h proxy, such as "
            "http://proxy.example:3128. Correct or unset it."
        )
    user, _, password = login.partition(":")
    return Proxy(variable, address, (unquote(user), unquote(password)) if login else None)


def _is_host(address: httpx.URL) -> bool:
    name = address.raw_host.decode()
    return _address(address.host) is not None or bool(_NAME.fullmatch(name))


def _is_loopback(host: str) -> bool:
    name = host.rstrip(".")
    address = _address(name)
    if address is None:
        return name == "localhost" or name.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _is_exempt(url: httpx.URL, no_proxy: str) -> bool:
    """Whether one of the entries, separated by commas or spaces, matches an address."""
    return any(_matches(entry, url) for entry in re.split(r"[\s,]+", no_proxy.lower()) if entry)


def _matches(entry: str, url: httpx.URL) -> bool:
    """An entry is `*`, a domain with or without a leading dot or `*.`, an IP address or network; it may have a port."""
    if entry == "*":
        return True
    entry = entry.rpartition("://")[2]
    if with_port := re.fullmatch(r"(\[.+\]|[^:]+):(\d{1,5})", entry):
        entry = with_port[1]
        if int(with_port[2]) != (url.port or _PORTS.get(url.scheme)):
            return False
    host = url.host.rstrip(".")
    if address := _address(host):
        return _is_in(address, entry.replace("[", "").replace("]", ""))
    domain = entry.removeprefix("*").strip(".")
    return bool(domain) and f".{host}".endswith(f".{domain}")


def _is_in(address: IPv4Address | IPv6Address, network: str) -> bool:
    try:
        return address in ip_network(network, strict=False)
    except ValueError:
        return False


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
