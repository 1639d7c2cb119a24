"""Downloading one file over HTTP: resumable, verified before it gets its name, one process at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from depthsvc.errors import DownloadError, WeightsError
from depthsvc.outbound.failures import reason, through
from depthsvc.outbound.transport import Transport

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 20.0
ATTEMPTS = 4
"""Number of connections to one address that may break off, each resumed where the last one ended."""
MAX_BYTES = 2_000_000_000

Verify = Callable[[Path], object]
"""Raises WeightsError for a file that must not be trusted."""


def download(
    addresses: tuple[str, ...], destination: Path, verify: Verify, *, first_byte_s: float | None = None
) -> None:
    """Download `destination` from the first of `addresses` whose file `verify` accepts.

    The data goes to `<destination>.part`, which a later call resumes; it is renamed only once verified, and removed
    if it is refused. Several processes may call this at once: one downloads, the others wait and find the file.
    Redirects are followed, but from https only to https.
    `first_byte_s` limits the wait for a server's first byte.

    Raises DownloadError if no address has an acceptable file, and ConfigurationError if a variable for proxies or
    certificates cannot be used.
    """
    transfer = _Transfer(addresses, destination, verify)
    if first_byte_s is None:
        transfer.run()
        return
    # Name resolution has no timeout, so it runs in a separate thread that can be abandoned.
    thread = threading.Thread(target=transfer.run_quietly, daemon=True, name="download")
    thread.start()
    if not transfer.settled.wait(first_byte_s):
        transfer.abandoned = True
        raise DownloadError(f"No response within {first_byte_s:g} s from {_hosts(addresses)}.")
    thread.join()
    if transfer.error:
        raise transfer.error


def _hosts(addresses: tuple[str, ...]) -> str:
    urls = map(httpx.URL, addresses)
    return ", ".join(dict.fromkeys(url.host + through(url) for url in urls))


class _Transfer:
    """One call of `download`: the addresses in order, each with several attempts."""

    def __init__(self, addresses: tuple[str, ...], destination: Path, verify: Verify) -> None:
        self.addresses = addresses
        self.destination = destination
        self.part = destination.with_name(destination.name + ".part")
        self.verify = verify
        self.settled = threading.Event()
        """Set once a server has started to respond, or all have failed."""
        self.abandoned = False
        self.error: Exception | None = None

    def run_quietly(self) -> None:
        try:
            self.run()
        except Exception as error:
            self.error = error
        finally:
            self.settled.set()

    def run(self) -> None:
        try:
            self.destination.parent.mkdir(parents=True, exist_ok=True)
            self._run_alone()
        except OSError as error:
            reason = error.strerror or error
            raise DownloadError(f"{self.destination.parent} cannot be written to: {reason}.") from error

    def _run_alone(self) -> None:
        lock = FileLock(self.destination.with_name(self.destination.name + ".lock"))
        if _is_taken(lock):
            self.settled.set()
            logger.info("another process is downloading %s; waiting for it", self.destination.name)
        with lock:
            if not self.destination.exists():
                self._from_first_good_address()

    def _from_first_good_address(self) -> None:
        addresses_by_reason: dict[str, list[str]] = {}
        for address in self.addresses:
            if self.abandoned:
                break
            try:
                self._from_address(address)
                return
            except (httpx.HTTPError, OSError, WeightsError) as error:
                addresses_by_reason.setdefault(_reason(error), []).append(address)
        reasons = (f"{' and '.join(addresses)}: {why}" for why, addresses in addresses_by_reason.items())
        raise DownloadError(f"{self.destination.name} could not be downloaded. {' '.join(reasons)}")

    def _from_address(self, address: str) -> None:
        resumes_an_earlier_call = self._part_size() > 0
        self._receive_with_resumption(address)
        try:
            self.verify(self.part)
        except WeightsError:
            self.part.unlink(missing_ok=True)
            if not resumes_an_earlier_call:
                raise
            self._from_address(address)
            return
        self.part.replace(self.destination)

    def _receive_with_resumption(self, address: str) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            size_before = self._part_size()
            try:
                self._receive(address)
                return
            except (httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError):
                progressed = self._part_size() > size_before
                if attempt == ATTEMPTS or not progressed:
                    raise
                logger.info("connection lost; resuming %s", self.destination.name)

    def _part_size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _receive(self, address: str) -> None:
        """Append the rest of the file to the partial file."""
        offset = self._part_size()
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        hooks = {"request": [_refuse_plain_http]} if httpx.URL(address).scheme == "https" else {}
        with (
            httpx.Client(transport=Transport(), timeout=timeout, follow_redirects=True, event_hooks=hooks) as client,
            client.stream("GET", address, headers={"Accept-Encoding": "identity", **headers}) as response,
        ):
            self.settled.set()
            logger.info("downloading %s from %s", self.destination.name, response.url.host)
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # nothing is missing; the verification decides
            response.raise_for_status()
            if response.status_code != httpx.codes.PARTIAL_CONTENT:
                offset = 0
            self._write(response, offset)

    def _write(self, response: httpx.Response, offset: int) -> None:
        length = response.headers.get("Content-Length")
        total = offset + int(length) if length else None
        with self.part.open("r+b" if offset else "wb") as file, _progress() as progress:
            file.seek(offset)
            task = progress.add_task(self.destination.name, total=total, completed=offset)
            for chunk in response.iter_raw():
                if self.abandoned:
                    raise DownloadError("abandoned")
                file.write(chunk)
                progress.advance(task, len(chunk))
                if file.tell() > MAX_BYTES:
                    self.part.unlink()
                    raise DownloadError(f"The file is larger than {MAX_BYTES / 1e9:g} GB.")
            if total is not None and file.tell() < total:
                raise httpx.RemoteProtocolError("the connection ended early")


def _refuse_plain_http(request: httpx.Request) -> None:
    """Called before each request, those of redirects too. Raises DownloadError if it is not encrypted."""
    if request.url.scheme != "https":
        raise DownloadError(f"It redirects from https to {request.url.scheme}, on {request.url.host}.")


def _is_taken(lock: FileLock) -> bool:
    """Whether another process is holding the lock."""
    try:
        with lock.acquire(timeout=0):
            return False
    except TimeoutError:
        return True


def _progress() -> Progress:
    return Progress(
        "{task.description}",
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _reason(error: httpx.HTTPError | OSError | WeightsError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP status {error.response.status_code}."
    if isinstance(error, httpx.RequestError):
        return f"{reason(error)}."
    return f"{error.strerror}." if isinstance(error, OSError) and error.strerror else str(error)
