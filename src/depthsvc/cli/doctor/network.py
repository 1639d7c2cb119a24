"""Checks of the network: proxies and certificates of requests that go out, and the port for those that come in."""

from __future__ import annotations

from depthsvc.cli.doctor.configuration import Configuration
from depthsvc.cli.doctor.finding import Finding, fine, note, wrong
from depthsvc.client import DepthClient
from depthsvc.errors import ConfigurationError, DepthServiceError
from depthsvc.outbound.certificates import given_variables as given_authorities
from depthsvc.outbound.certificates import trusting_context
from depthsvc.outbound.proxies import given_variables, problem
from depthsvc.server.listening import bound_socket


def proxies(_: Configuration) -> Finding:
    """The names of the variables, never their values, which may contain passwords."""
    if unusable := problem():
        return wrong(unusable)
    names = given_variables()
    return fine(f"set and valid: {', '.join(names)}" if names else "none set")


def certificates(_: Configuration) -> Finding:
    try:
        trusting_context()
    except ConfigurationError as error:
        return wrong(str(error))
    names = given_authorities()
    return fine(f"set and readable: {', '.join(names)}" if names else "those of the system")


def port(configuration: Configuration) -> Finding:
    settings = configuration.settings
    try:
        bound_socket(settings.host, settings.port, settings.client_timeout_s).close()
    except ConfigurationError as error:
        if running := _running_version(settings.host, settings.port):
            return note(f"{settings.host}:{settings.port} is in use by depthsvc {running}, which is running.")
        return wrong(str(error))
    return fine(f"{settings.host}:{settings.port} is free")


def _running_version(host: str, port: int) -> str | None:
    """The version of the service that is running there, if it is one."""
    address = f"[{host}]" if ":" in host else host
    try:
        with DepthClient(f"http://{address}:{port}", timeout_s=2, retries=0) as client:
            return client.health().version
    except DepthServiceError:
        return None
