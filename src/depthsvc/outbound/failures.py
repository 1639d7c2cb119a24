"""Why a request got no response, in words."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator

import httpx

from depthsvc.errors import ConfigurationError
from depthsvc.outbound.certificates import given_variables
from depthsvc.outbound.proxies import proxy_for

_UNKNOWN_ISSUER = range(18, 22)
"""OpenSSL's X509_V_ERR_* for certificates that no trusted authority has signed."""


def reason(error: httpx.RequestError) -> str:
    """The reason in one clause, without a full stop, that says what to set if that helps."""
    return _reason(error) + through(error.request.url)


def through(url: httpx.URL) -> str:
    """Which variable's proxy a request goes through, in parentheses; nothing if it goes directly."""
    try:
        proxy = proxy_for(url)
    except ConfigurationError:  # a client with another transport than ours may ignore the variable
        return ""
    return f" (through the proxy in {proxy.variable})" if proxy else ""


def untrusted_certificate(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """The refusal of a certificate behind this error, if that is what it is: another try would end alike."""
    return next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLCertVerificationError)), None)


def _reason(error: httpx.RequestError) -> str:
    if refusal := untrusted_certificate(error):
        return _certificate_reason(refusal)
    if isinstance(error, httpx.TimeoutException):
        return "timed out"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return f"TLS failed: {cause.reason.lower().replace('_', ' ')}"
        if isinstance(cause, OSError) and cause.strerror:
            # asyncio replaces the system's words; the numbers of the resolver's are negative.
            return os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror
    return str(error).rstrip(".") or type(error).__name__


def _certificate_reason(refusal: ssl.SSLCertVerificationError) -> str:
    details = refusal.verify_message.rstrip(".")
    if refusal.verify_code not in _UNKNOWN_ISSUER:
        return f"its certificate is not valid: {details}"
    given = " and ".join(given_variables())
    advice = (
        f"the authority that signed it is not in {given}"
        if given
        else "if you trust the authority that signed it, set SSL_CERT_FILE to its certificate in PEM format"
    )
    return f"its certificate is not trusted ({details}); {advice}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what caused it, and so on; of several causes the first."""
    cause: BaseException | None = error
    while cause:
        yield cause
        cause = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else cause.__cause__ or cause.__context__
