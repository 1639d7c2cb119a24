"""A download gives the whole, verified file or none, and does not fetch twice what it has."""

from __future__ import annotations

import hashlib
import logging
import logging.handlers
import multiprocessing
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from depthsvc.errors import DownloadError
from depthsvc.model.weights import download as download_module
from depthsvc.model.weights.download import ATTEMPTS, download
from depthsvc.model.weights.files import verify
from tests.model.weights.file_server import FileServer, Route, join_abandoned_downloads, unreachable_address

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = bytes(len(CONTENT))


def is_content(path: Path) -> None:
    verify(path, SHA256)


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "file.pt"


@pytest.fixture
def part(destination: Path) -> Path:
    """Where an earlier call leaves what it has received."""
    destination.parent.mkdir()
    return destination.with_name("file.pt.part")


def test_file_is_downloaded_whole(file_server: FileServer, destination: Path) -> None:
    address = file_server.add("/file", Route(CONTENT))
    download((address,), destination, is_content)
    assert destination.read_bytes() == CONTENT
    assert not destination.with_name("file.pt.part").exists()


def test_redirect_is_followed(file_server: FileServer, destination: Path) -> None:
    target = file_server.add("/target", Route(CONTENT))
    address = file_server.add("/file", Route(status=302, location=target))
    download((address,), destination, is_content)
    assert destination.read_bytes() == CONTENT


Redirect = Callable[[str], list[str]]


@pytest.fixture
def redirected(monkeypatch: pytest.MonkeyPatch) -> Redirect:
    """Has every address redirect to the given one, which has the file; gives the addresses asked so far."""

    def redirect_to(target: str) -> list[str]:
        asked: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(str(request.url))
            there = request.url == target
            return (
                httpx.Response(200, stream=httpx.ByteStream(CONTENT))
                if there
                else httpx.Response(302, headers={"Location": target})
            )

        monkeypatch.setattr(download_module, "Transport", lambda: httpx.MockTransport(answer))
        return asked

    return redirect_to


@pytest.mark.parametrize(
    ("address", "target"),
    [("https://a.test/file", "https://b.test/file"), ("http://a.test/file", "https://b.test/file")],
)
def test_redirect_to_https_is_followed(redirected: Redirect, destination: Path, address: str, target: str) -> None:
    asked = redirected(target)
    download((address,), destination, is_content)
    assert destination.read_bytes() == CONTENT
    assert asked == [address, target]


@pytest.mark.parametrize("target", ["http://b.test/file", "http://a.test/file", "ftp://b.test/file"])
def test_redirect_that_leaves_https_is_refused_before_anything_is_sent(
    redirected: Redirect, destination: Path, target: str
) -> None:
    asked = redirected(target)
    scheme, host = target.split("://")[0], target.split("/")[2]
    with pytest.raises(DownloadError, match=rf"https://a\.test/file: It redirects from https to {scheme}, on {host}\."):
        download(("https://a.test/file",), destination, is_content)
    assert asked == ["https://a.test/file"]
    assert not destination.exists()


def test_file_that_is_there_is_not_downloaded(file_server: FileServer, destination: Path) -> None:
    route = Route(CONTENT)
    destination.parent.mkdir()
    destination.write_bytes(CONTENT)
    download((file_server.add("/file", route),), destination, is_content)
    assert route.ranges_asked == []


def test_file_has_its_name_only_once_verified(file_server: FileServer, destination: Path) -> None:
    def check(path: Path) -> None:
        assert path.read_bytes() == CONTENT
        assert not destination.exists()

    download((file_server.add("/file", Route(CONTENT)),), destination, check)
    assert destination.exists()


def test_cut_connection_is_resumed_where_it_ended(file_server: FileServer, destination: Path) -> None:
    route = Route(CONTENT, cuts=[100_000, 50_000])
    download((file_server.add("/file", route),), destination, is_content)
    assert destination.read_bytes() == CONTENT
    assert route.ranges_asked == [None, "bytes=100000-", "bytes=150000-"]
    assert route.bytes_sent == len(CONTENT)


def test_address_that_keeps_cutting_the_connection_is_given_up(file_server: FileServer, destination: Path) -> None:
    route = Route(CONTENT, cuts=[1000] * 10)
    with pytest.raises(DownloadError, match="without sending complete message"):
        download((file_server.add("/file", route),), destination, is_content)
    assert len(route.ranges_asked) == ATTEMPTS
    assert not destination.exists()


def test_next_address_continues_where_the_first_broke_off(file_server: FileServer, destination: Path) -> None:
    first, second = Route(CONTENT, cuts=[1000] * ATTEMPTS), Route(CONTENT)
    addresses = file_server.add("/first", first), file_server.add("/second", second)
    download(addresses, destination, is_content)
    assert destination.read_bytes() == CONTENT
    assert second.ranges_asked == [f"bytes={1000 * ATTEMPTS}-"]
    assert first.bytes_sent + second.bytes_sent == len(CONTENT)


def test_later_call_resumes_what_an_earlier_one_left(file_server: FileServer, destination: Path, part: Path) -> None:
    route = Route(CONTENT)
    part.write_bytes(CONTENT[:1000])
    download((file_server.add("/file", route),), destination, is_content)
    assert destination.read_bytes() == CONTENT
    assert route.ranges_asked == ["bytes=1000-"]
    assert route.bytes_sent == len(CONTENT) - 1000


def test_whole_file_left_by_an_earlier_call_is_not_sent_again(
    file_server: FileServer, destination: Path, part: Path
) -> None:
    route = Route(CONTENT)
    part.write_bytes(CONTENT)
    download((file_server.add("/file", route),), destination, is_content)
    assert destination.read_bytes() == CONTENT
    assert route.bytes_sent == 0


@pytest.mark.parametrize("left", [OTHER[:1000], OTHER, OTHER + b"more"], ids=["shorter", "as long", "longer"])
def test_wrong_bytes_left_by_an_earlier_call_are_fetched_anew(
    file_server: FileServer, destination: Path, part: Path, left: bytes
) -> None:
    route = Route(CONTENT)
    part.write_bytes(left)
    download((file_server.add("/file", route),), destination, is_content)
    assert destination.read_bytes() == CONTENT
    assert route.ranges_asked == [f"bytes={len(left)}-", None]


def test_server_without_ranges_sends_the_file_again(file_server: FileServer, destination: Path) -> None:
    route = Route(CONTENT, supports_ranges=False, cuts=[1000])
    download((file_server.add("/file", route),), destination, is_content)
    assert destination.read_bytes() == CONTENT
    assert route.ranges_asked == [None, "bytes=1000-"]


def test_wrong_file_is_refused_and_removed(file_server: FileServer, destination: Path) -> None:
    address = file_server.add("/file", Route(OTHER))
    with pytest.raises(DownloadError, match=hashlib.sha256(OTHER).hexdigest()):
        download((address,), destination, is_content)
    assert [path.name for path in destination.parent.iterdir() if path.suffix != ".lock"] == []


def test_file_that_is_too_large_is_refused_and_removed(
    file_server: FileServer, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_module, "MAX_BYTES", 1000)
    with pytest.raises(DownloadError, match="larger than"):
        download((file_server.add("/file", Route(CONTENT)),), destination, is_content)
    assert [path.name for path in destination.parent.iterdir() if path.suffix != ".lock"] == []


@pytest.mark.parametrize("first", [Route(status=404), Route(OTHER)], ids=["missing", "wrong file"])
def test_second_address_serves_where_the_first_fails(file_server: FileServer, destination: Path, first: Route) -> None:
    addresses = file_server.add("/first", first), file_server.add("/second", Route(CONTENT))
    download(addresses, destination, is_content)
    assert destination.read_bytes() == CONTENT


def test_failure_names_every_address_and_its_reason(file_server: FileServer, destination: Path) -> None:
    missing = file_server.add("/missing", Route(status=404))
    wrong = file_server.add("/wrong", Route(OTHER))
    unreachable = unreachable_address()
    with pytest.raises(DownloadError) as caught:
        download((missing, wrong, unreachable), destination, is_content)
    message = str(caught.value)
    assert message.startswith("file.pt could not be downloaded. ")
    assert f"{missing}: HTTP status 404." in message
    assert re.search(f"{re.escape(wrong)}: .* is refused: its SHA-256 is ", message)
    assert re.search(f"{re.escape(unreachable)}: .*Connection refused", message)


def test_folder_that_cannot_be_written_is_named(file_server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    destination = tmp_path / "file" / "weights" / "file.pt"
    with pytest.raises(DownloadError, match=re.escape(str(destination.parent))):
        download((file_server.add("/file", Route(CONTENT)),), destination, is_content)


def test_silent_server_is_given_up_and_leaves_no_file(file_server: FileServer, destination: Path) -> None:
    route = Route(CONTENT, held=True)
    with pytest.raises(DownloadError, match=r"No response within 0\.1 s from 127\.0\.0\.1\."):
        download((file_server.add("/file", route),), destination, is_content, first_byte_s=0.1)
    route.release()
    join_abandoned_downloads()
    assert not destination.exists()


def test_silent_proxy_is_named(file_server: FileServer, destination: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    route = Route(CONTENT, held=True)
    proxy = file_server.add("http://far.test/file", route).removesuffix("http://far.test/file")
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(DownloadError, match=r"No response within 0\.1 s from far\.test \(through .* in http_proxy\)\."):
        download(("http://far.test/file",), destination, is_content, first_byte_s=0.1)
    route.release()
    join_abandoned_downloads()


def test_server_that_answers_in_time_may_then_take_longer(file_server: FileServer, destination: Path) -> None:
    address = file_server.add("/file", Route(CONTENT, cuts=[1000]))
    download((address,), destination, is_content, first_byte_s=30)
    assert destination.read_bytes() == CONTENT


def test_failure_within_the_time_limit_tells_its_reason(file_server: FileServer, destination: Path) -> None:
    address = file_server.add("/file", Route(status=503))
    with pytest.raises(DownloadError, match=f"{re.escape(address)}: HTTP status 503"):
        download((address,), destination, is_content, first_byte_s=30)


def _download_and_log(address: str, destination: Path, messages: multiprocessing.Queue[logging.LogRecord]) -> None:
    logger = logging.getLogger("depthsvc")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.handlers.QueueHandler(messages))
    download((address,), destination, is_content)


def test_of_several_processes_one_downloads_and_the_others_wait(file_server: FileServer, destination: Path) -> None:
    route = Route(CONTENT, held=True)
    address = file_server.add("/file", route)
    context = multiprocessing.get_context("spawn")
    messages: multiprocessing.Queue[logging.LogRecord] = context.Queue()
    processes = [context.Process(target=_download_and_log, args=(address, destination, messages)) for _ in range(3)]
    processes[0].start()
    assert route.asked.wait(60)
    for process in processes[1:]:
        process.start()
    waiting = [messages.get(timeout=60).getMessage() for _ in processes[1:]]
    route.release()
    for process in processes:
        process.join(60)
    assert waiting == ["another process is downloading file.pt; waiting for it"] * 2
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert route.ranges_asked == [None]
    assert destination.read_bytes() == CONTENT
