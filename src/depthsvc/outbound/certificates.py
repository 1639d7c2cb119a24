"""Which certificate authorities are trusted: the system's, or those in the usual variables."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path

import certifi
import truststore

from depthsvc.errors import ConfigurationError

_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")
"""The names by which OpenSSL finds certificates in a folder."""


def given_variables() -> list[str]:
    """The variables that are set and name authorities."""
    return [variable for variable in _VARIABLES if os.environ.get(variable)]


def trusting_context() -> ssl.SSLContext:
    """A TLS client's context that trusts the authorities in `given_variables`, all of them together.

    If none is set it trusts those of the system and, for systems without any, those of certifi. Raises
    ConfigurationError, naming the variable, if one names no certificates.
    """
    variables = given_variables()
    if not variables:
        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certifi.where())
        return context
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for variable in variables:
        _load(context, variable, os.environ[variable])
    return context


def _load(context: ssl.SSLContext, variable: str, value: str) -> None:
    try:
        folders = [folder for folder in value.split(os.pathsep) if _has_certificates(Path(folder))]
        for folder in folders:
            context.load_verify_locations(capath=folder)
        if not folders:
            context.load_verify_locations(cafile=value)
    except OSError as error:  # SSLError is one
        raise ConfigurationError(
            f"{variable}: {value} is neither a readable file of certificates in PEM format nor a folder of them made "
            "by openssl rehash. Correct or unset it."
        ) from error


def _has_certificates(path: Path) -> bool:
    return path.is_dir() and any(_HASHED_NAME.fullmatch(entry.name) for entry in path.iterdir())
