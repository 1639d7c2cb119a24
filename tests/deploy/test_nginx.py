"""nginx.conf in a real nginx, in front of instances that do as they are told."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import ssl
import stat
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shutil import which
from typing import Any

import httpx
import psutil
import pytest
import uvicorn

from benchmarks import nginx
from benchmarks.load import request_bytes, send
from benchmarks.nginx import ROOT, Nginx, configured
from benchmarks.servers import free_port
from depthsvc import errors
from depthsvc.server.problems import Problem
from depthsvc.settings import Settings
from tests.conftest import until
from tests.deploy.instance import Behaviour, Instance, Request, answer, hang_up, refuse

pytestmark = pytest.mark.skipif(not (nginx.PROGRAM and which("openssl")), reason="there is no nginx, or no openssl")

StartNginx = Callable[..., Nginx]
StartInstance = Callable[..., Instance]


@pytest.fixture
def start_instance() -> Iterator[StartInstance]:
    started: list[Instance] = []

    def start(behaviour: Behaviour = answer, port: int = 0) -> Instance:
        started.append(Instance(behaviour, port))
        return started[-1]

    yield start
    for instance in started:
        instance.close()


@pytest.fixture
def start_nginx(start_instance: StartInstance, tmp_path: Path) -> Iterator[StartNginx]:
    """Starts nginx before instances, or addresses; it ends before they do."""
    with ExitStack() as stack:

        def start(*instances: Instance | str, **options: dict[str, str]) -> Nginx:
            addresses = [entry if isinstance(entry, str) else entry.address for entry in instances]
            edge = configured(tmp_path, addresses, **options)
            stack.enter_context(edge.running())
            return edge

        yield start


@pytest.fixture
def instance(start_instance: StartInstance) -> Instance:
    return start_instance()


@pytest.fixture
def edge(instance: Instance, start_nginx: StartNginx) -> Nginx:
    """nginx in front of one instance that answers."""
    return start_nginx(instance)


def unreachable() -> str:
    """An address at which nobody listens."""
    return f"127.0.0.1:{free_port()}"


NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Making httpx's own takes longer than most requests here."""


def get(edge: Nginx, path: str = "/", **options: Any) -> httpx.Response:
    return httpx.get(edge.url + path, verify=NO_TLS, timeout=30, **options)


def post(edge: Nginx, path: str = "/upload", **options: Any) -> httpx.Response:
    return httpx.post(edge.url + path, verify=NO_TLS, timeout=30, **{"content": b"photo", **options})


@contextmanager
def connected(edge: Nginx, address: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A connection from an address of this machine."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=30, source_address=(address, 0)) as connection:
        yield connection


def everything(connection: socket.socket) -> bytes:
    """What comes back until nginx has no more to say."""
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def ask(edge: Nginx, request: bytes) -> httpx.Response:
    """The answer to these very bytes."""
    with connected(edge) as connection:
        connection.sendall(request)
        head, body = everything(connection).split(b"\r\n\r\n", 1)
    first, *lines = head.decode().split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return httpx.Response(int(first.split()[1]), headers=headers, content=body)


def problem(answer: httpx.Response) -> Problem:
    """An error that is answered as the service answers its own."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    found = Problem.model_validate_json(answer.content, strict=True)
    assert set(answer.json()) == set(Problem.model_fields)
    assert found.status == answer.status_code
    assert found.request_id == answer.headers["X-Request-ID"]
    assert re.fullmatch(r"[A-Z].*\. .*\.", found.detail), "what went wrong, and what to do about it"
    return found


def logged(edge: Nginx, count: int = 1) -> list[dict[str, Any]]:
    """So many lines of the log. A line is written after its answer."""
    until(lambda: edge.access_log.count("\n") == count)
    return [json.loads(line) for line in edge.access_log.splitlines()]


def titles() -> dict[str, str]:
    """What the service calls its errors."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return {kind.code: kind.title for kind in kinds if issubclass(kind, errors.RequestError)}


def test_nginx_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    edge = configured(tmp_path, [unreachable()])
    checked = subprocess.run(edge.command("-t"), capture_output=True, text=True, check=True)
    assert checked.stdout + re.sub(r"nginx: .*(syntax is ok|test is successful)\n", "", checked.stderr) == ""


def directive(name: str) -> float:
    """The number of a directive, in seconds or bytes."""
    [value] = re.findall(rf"^\s+{name} (\d+)s?;", (ROOT / "nginx.conf").read_text(), re.MULTILINE)
    return float(value)


def test_limits_fit_those_of_the_service() -> None:
    settings = Settings()
    assert directive("client_max_body_size") == settings.max_upload_bytes
    assert directive("proxy_read_timeout") > settings.deadline_s + 5
    for name in ("client_header_timeout", "client_body_timeout", "send_timeout"):
        assert directive(name) == settings.client_timeout_s
    closes_idle_ones_after_s = uvicorn.Config("app").timeout_keep_alive
    assert directive("keepalive_timeout") < closes_idle_ones_after_s


def test_readers_have_one_pace_with_and_without_tls() -> None:
    files = [ROOT / "nginx.conf", ROOT / "deploy/nginx/tls.conf"]
    assert [re.findall(r"listen .*sndbuf=(\w+);", file.read_text()) for file in files] == [["208k"], ["208k"]]


GET = b"GET %s HTTP/1.1\r\nHost: x\r\n%sConnection: close\r\n\r\n"
POST = b"POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n"


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "malformed_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "malformed_request"),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "malformed_request"),
        (GET % (b"/metrics", b""), 404, "not_found"),
        (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed"),
        (POST % b"Content-Length: 32000001\r\n" + bytes(32_000_001), 413, "body_too_large"),
        (POST % b"Transfer-Encoding: chunked\r\n" + b"1e84801\r\n" + bytes(32_000_001), 413, "body_too_large"),
        (GET % (b"/" + 1_000_000 * b"a", b""), 414, "uri_too_long"),
        (GET % (b"/", b"A: " + 1_000_000 * b"a" + b"\r\n"), 431, "headers_too_large"),
        (GET % (b"/", 5 * (b"A: " + 7000 * b"a" + b"\r\n")), 431, "headers_too_large"),
        (POST % b"Transfer-Encoding: gzip\r\n", 501, "not_implemented"),
        (b"GET / HTTP/3.0\r\n\r\n", 505, "http_version_not_supported"),
    ],
)
def test_errors_of_nginx_look_like_the_services(
    edge: Nginx, instance: Instance, request_: bytes, status: int, code: str
) -> None:
    found = problem(ask(edge, request_))
    assert (found.status, found.code) == (status, code)
    assert found.title == titles().get(code, found.title)
    assert instance.received == []
    [line] = logged(edge)
    assert (line["status"], line["request_id"], line["upstream"]) == (status, found.request_id, "")


def test_every_code_is_documented() -> None:
    documented = (ROOT / "docs/http.md").read_text()
    [table] = re.findall(r"\$problem_code \{(.*?)\}", (ROOT / "nginx.conf").read_text(), re.DOTALL)
    codes = re.findall(r"(\w+);", table)
    assert len(codes) == 12
    for code in codes:
        assert f"`{code}`" in documented


@pytest.mark.parametrize("request_", [get, post])
def test_no_instance_is_a_503_to_be_tried_again(
    start_nginx: StartNginx, request_: Callable[[Nginx], httpx.Response]
) -> None:
    edge = start_nginx(unreachable(), unreachable())
    for _ in range(2):  # the second time nginx knows it already
        answered = request_(edge)
        assert (problem(answered).code, answered.status_code) == ("unavailable", 503)
        assert answered.headers["Retry-After"] == "2"


@pytest.fixture
def full() -> Iterator[str]:
    """An address where connections are neither taken nor refused, as that of a machine that is gone."""
    with socket.socket() as listening, ExitStack() as stack:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_an_instance_that_takes_no_connections_is_a_503(start_nginx: StartNginx, full: str) -> None:
    answered = post(start_nginx(full))
    assert (problem(answered).code, answered.status_code) == ("unavailable", 503)
    assert answered.headers["Retry-After"] == "2"


def test_a_photo_goes_on_where_no_connection_is_taken(start_nginx: StartNginx, full: str, instance: Instance) -> None:
    edge = start_nginx(full, instance)
    assert [post(edge).status_code for _ in range(3)] == [200, 200, 200]
    assert len(instance.received) == 3
    assert [line["upstream"] for line in logged(edge, 3)].count(f"{full}, {instance.address}") == 1


def test_an_instance_that_does_not_answer_is_a_504(start_nginx: StartNginx, start_instance: StartInstance) -> None:
    def silent(request: Request) -> None:
        stuck.closing.wait()

    stuck = start_instance(silent)
    edge = start_nginx(stuck, changes={"proxy_read_timeout 40s": "proxy_read_timeout 2s"})
    answered = post(edge)
    assert (problem(answered).code, answered.status_code) == ("deadline_exceeded", 504)
    assert answered.headers["Retry-After"] == "2"
    assert len(stuck.received) == 1


@pytest.mark.parametrize("path", ["/metrics", "//metrics", "/%6detrics", "/x/../metrics", "/metrics?name=x"])
def test_metrics_are_not_public(edge: Nginx, instance: Instance, path: str) -> None:
    assert ask(edge, GET % (path.encode(), b"")).status_code == 404
    assert instance.received == []


@pytest.mark.parametrize("given", ["photo-7:a/b.c=d+e_f", 128 * "a"])
def test_a_harmless_request_id_is_kept(edge: Nginx, instance: Instance, given: str) -> None:
    answered = get(edge, headers={"X-Request-ID": given})
    assert answered.headers["X-Request-ID"] == given
    assert instance.received[0].headers["X-Request-ID"] == given
    assert logged(edge)[0]["request_id"] == given


@pytest.mark.parametrize("given", [None, "", 129 * "a", 'a"b', "a b", "ä"])
def test_another_request_id_is_replaced(edge: Nginx, instance: Instance, given: str | None) -> None:
    answered = get(edge, headers={} if given is None else {"X-Request-ID": given.encode()})
    made = answered.headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert instance.received[0].headers["X-Request-ID"] == logged(edge)[0]["request_id"] == made


def test_the_log_tells_of_a_request(edge: Nginx, instance: Instance) -> None:
    post(edge, "/upload?key=secret", headers={"User-Agent": 'a "browser"'})
    [line] = logged(edge)
    assert line.pop("duration_s") >= 0
    assert float(line.pop("upstream_duration_s")) >= 0
    assert line.pop("bytes_received") > 100
    assert line.pop("bytes_sent") > 100
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*", line.pop("time"))
    assert re.fullmatch(r"[0-9a-f]{32}", line.pop("request_id"))
    assert line == {
        "client": "127.0.0.1",
        "method": "POST",
        "path": "/upload",
        "status": 200,
        "upstream": instance.address,
        "upstream_status": "200",
        "user_agent": 'a "browser"',
    }


def test_an_address_that_a_client_claims_is_not_passed_on(edge: Nginx, instance: Instance) -> None:
    get(edge, headers={"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "gopher"})
    assert instance.received[0].headers.get_all("X-Forwarded-For") == ["127.0.0.1"]
    assert instance.received[0].headers.get_all("X-Forwarded-Proto") == ["http"]


def documented(first_line: str) -> str:
    """A block of docs/nginx.md."""
    blocks = re.findall(r"^```nginx\n(.*?)^```", (ROOT / "docs/nginx.md").read_text(), re.MULTILINE | re.DOTALL)
    [block] = [block for block in blocks if block.startswith(first_line)]
    return str(block)


def test_behind_another_proxy_the_clients_own_address_counts(start_nginx: StartNginx, instance: Instance) -> None:
    block = documented("set_real_ip_from").replace("10.0.0.0/8", "127.0.0.1")
    edge = start_nginx(instance, included={"real-address.conf": block})
    get(edge, headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.7"})
    assert logged(edge)[0]["client"] == "203.0.113.7"
    assert instance.received[0].headers["X-Forwarded-For"] == "203.0.113.7"


def test_instances_are_added_as_documented(start_nginx: StartNginx, start_instance: StartInstance) -> None:
    block = documented("server 127.0.0.1:7860;")
    instances = [start_instance() for _ in block.splitlines()]
    assert len(instances) == 3
    for line, instance in zip(block.splitlines(), instances, strict=True):
        block = block.replace(line, line.replace(line.split()[1].strip(";"), instance.address))
    edge = start_nginx(re.sub(r"^server |;$", "", block.strip()))
    for _ in range(6):
        assert get(edge).status_code == 200
    assert [len(instance.received) for instance in instances] == [2, 2, 2]


def test_a_photo_arrives_whole_and_once(edge: Nginx, instance: Instance) -> None:
    body = 3 * b"photo"
    head = f"POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    with connected(edge) as connection:
        connection.sendall(head.encode() + body[:5])
        get(edge)  # others are not held up
        assert instance.begun == ["GET"]
        connection.sendall(body[5:])
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    assert [received.body for received in instance.received] == [b"", body]


def test_a_chunked_photo_arrives_with_its_length(edge: Nginx, instance: Instance) -> None:
    answered = post(edge, content=iter([b"pho", b"to"]))
    assert answered.status_code == 200
    assert instance.received[0].body == b"photo"
    assert instance.received[0].headers["Content-Length"] == "5"
    assert "Transfer-Encoding" not in instance.received[0].headers


def test_a_photo_that_waits_in_a_file_is_nobody_elses(edge: Nginx, instance: Instance) -> None:
    folder = edge.folder / "client_body"
    with connected(edge) as connection:
        connection.sendall(POST % b"Content-Length: 3000000\r\n" + bytes(2_900_000))
        until(lambda: any(file.st_size > 1_000_000 for file in files_without_name(folder)))
        [file] = files_without_name(folder)
        assert stat.S_IMODE(file.st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert list(folder.iterdir()) == []
        connection.sendall(bytes(100_000))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    assert len(instance.received[0].body) == 3_000_000


def files_without_name(folder: Path) -> list[os.stat_result]:
    """What this process's children hold open in a folder though it has been deleted."""
    links = [link for child in psutil.Process().children(True) for link in Path(f"/proc/{child.pid}/fd").iterdir()]
    targets = {link: str(link.readlink()) for link in links if link.is_symlink()}
    return [link.stat() for link, target in targets.items() if re.fullmatch(rf"{folder}/.* \(deleted\)", target)]


def test_a_photo_of_up_to_64_kb_stays_in_memory(edge: Nginx, instance: Instance) -> None:
    before = (edge.folder / "client_body").stat().st_mtime_ns
    assert post(edge, content=bytes(64_000)).status_code == 200
    assert post(edge, content=iter([bytes(64_000)])).status_code == 200
    assert (edge.folder / "client_body").stat().st_mtime_ns == before
    assert [len(received.body) for received in instance.received] == [64_000, 64_000]


def test_a_photo_for_which_there_is_no_room_is_a_503_to_be_tried_again(edge: Nginx, instance: Instance) -> None:
    (edge.folder / "client_body").rmdir()  # no file can be made there, as in a folder that is full
    answered = post(edge, content=bytes(1_000_000))
    assert (problem(answered).code, answered.status_code) == ("unavailable", 503)
    assert answered.headers["Retry-After"] == "2"
    assert instance.received == []
    assert post(edge, content=bytes(64_000)).status_code == 200


@pytest.mark.parametrize(
    ("timeout", "sent"),
    [
        ("client_header_timeout", b"POST /upload HTTP/1.1\r\nHost:"),
        ("client_body_timeout", POST % b"Content-Length: 10\r\n" + b"pho"),
    ],
)
def test_a_slow_client_is_cut_off(start_nginx: StartNginx, instance: Instance, timeout: str, sent: bytes) -> None:
    edge = start_nginx(instance, changes={f"{timeout} 30s": f"{timeout} 200ms"})
    with connected(edge) as connection:
        connection.sendall(sent)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert logged(edge)[0]["status"] == 408
    assert instance.received == []


def burst(edge: Nginx, count: int) -> Counter[int]:
    """Statuses of so many photos sent at the same time."""

    async def photos() -> Counter[int]:
        replies = await asyncio.gather(*(send(edge.url, request_bytes(b"photo")) for _ in range(count)))
        for reply in replies:
            if reply.status == 429:
                assert reply.headers["retry-after"] == "1"
                assert json.loads(reply.body)["code"] == "too_many_requests"
                assert reply.headers["content-type"] == "application/problem+json"
        return Counter(reply.status for reply in replies)

    return asyncio.run(photos())


def test_one_address_sends_so_many_photos_and_no_more(start_nginx: StartNginx, instance: Instance) -> None:
    edge = start_nginx(instance, changes={"photos_at_once 8;": "photos_at_once 64;"})
    found = burst(edge, 100)
    assert set(found) == {200, 429}
    assert 61 <= found[200] <= 90
    assert found[200] == len(instance.received)
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as another:
        assert another.post(f"{edge.url}/upload", content=b"photo").status_code == 200
    assert get(edge).status_code == 200, "looking at the page costs no photo"
    until(lambda: post(edge).status_code == 200)


def test_your_own_networks_have_no_limits(start_nginx: StartNginx, instance: Instance) -> None:
    edge = start_nginx(instance, changes={"geo $unlimited {": "geo $unlimited { 127.0.0.0/8 1;"})
    assert burst(edge, 100) == {200: 100}


def test_one_address_has_so_many_requests_at_a_time(start_nginx: StartNginx, start_instance: StartInstance) -> None:
    def silent(request: Request) -> None:
        stuck.closing.wait()

    stuck = start_instance(silent)
    edge = start_nginx(stuck)
    with ExitStack() as stack:
        for _ in range(64):
            connection = stack.enter_context(connected(edge))
            connection.sendall(GET % (b"/", b""))
        until(lambda: len(stuck.received) == 64)
        answered = get(edge)
    assert (problem(answered).code, answered.status_code) == ("too_many_requests", 429)
    assert answered.headers["Retry-After"] == "1"


def test_one_address_has_eight_photos_at_a_time(start_nginx: StartNginx, start_instance: StartInstance) -> None:
    """Costly photos of one address leave room for those of others, and for whoever looks at the page."""

    def busy(request: Request) -> None:
        if request.command == "POST":
            stuck.closing.wait()
        else:
            answer(request)

    stuck = start_instance(busy)
    edge = start_nginx(stuck)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(connected(edge)).sendall(POST % b"Content-Length: 5\r\n" + b"photo")
        until(lambda: len(stuck.received) == 8)
        refused = post(edge)
        assert (problem(refused).code, refused.status_code) == ("too_many_requests", 429)
        assert refused.headers["Retry-After"] == "1"
        assert get(edge).status_code == 200
        with connected(edge, "127.0.0.2") as another:
            another.sendall(POST % b"Content-Length: 5\r\n" + b"photo")
            until(lambda: stuck.begun.count("POST") == 9)


def test_half_a_photo_counts_as_one(edge: Nginx, instance: Instance) -> None:
    """Or one address could fill the folder where photos wait."""
    with ExitStack() as stack:
        halves = []

        def refused() -> bool:
            halves.append(stack.enter_context(connected(edge)))
            halves[-1].sendall(POST % b"Content-Length: 5\r\n" + b"pho")
            return post(edge).status_code == 429

        until(refused)
        assert 8 <= len(halves) <= 20
        assert get(edge).status_code == 200


def sends(size: int, handed_over: list[int]) -> Behaviour:
    """Answers with so many bytes, and notes how many nginx has taken when it is over."""

    def behaviour(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "image/png")
        request.send_header("Content-Length", str(size))
        request.end_headers()
        taken = 0
        try:
            while taken < size:
                taken += request.wfile.write(bytes(min(1 << 16, size - taken)))
        except ConnectionError:
            request.close_connection = True
        handed_over.append(taken)

    return behaviour


def peak_memory(edge: Nginx) -> int:
    """Bytes of memory that nginx's processes have had at most, added up."""
    main = psutil.Process(int((edge.folder / "pid").read_text()))
    texts = [Path(f"/proc/{process.pid}/status").read_text() for process in (main, *main.children())]
    return sum(int(*re.findall(r"VmHWM:\s+(\d+) kB", text)) * 1024 for text in texts)


def test_slow_readers_are_cut_off_and_nothing_is_kept_for_them(
    start_nginx: StartNginx, start_instance: StartInstance
) -> None:
    """One address that takes its answers a few bytes at a time once made nginx put all of them into files."""
    count, size = 60, 30_000_000
    handed_over: list[int] = []
    edge = start_nginx(
        start_instance(sends(size, handed_over)),
        changes={"\n        send_timeout 30s": "\n        send_timeout 1s"},
    )
    folder = edge.folder / "proxy"
    files_made, memory = folder.stat().st_mtime_ns, peak_memory(edge)
    with ExitStack() as stack:
        readers = [stack.enter_context(connected(edge)) for _ in range(count)]
        for reader in readers:
            reader.sendall(GET % (b"/", b""))

        def all_are_cut_off() -> bool:
            for reader in readers:
                with suppress(ConnectionResetError):
                    reader.recv(64)
            return len(handed_over) == edge.access_log.count("\n") == count

        until(all_are_cut_off)
        for reader in readers:
            with pytest.raises(ConnectionResetError):
                everything(reader)
    assert max(handed_over) < size, "nginx took a whole answer for a client that did not"
    assert folder.stat().st_mtime_ns == files_made
    assert peak_memory(edge) - memory < count * 400_000
    assert all(line["bytes_sent"] < 1_000_000 for line in logged(edge, count))


def unsent(edge: Nginx, connection: socket.socket) -> int:
    """Bytes of an answer that nginx has handed to the kernel and this client's side has not acknowledged."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if (int(local[-4:], 16), int(remote[-4:], 16)) == (edge.port, connection.getsockname()[1]):
            return int(queues.partition(":")[0], 16)
    raise AssertionError("nginx has closed the connection")


def test_a_reader_at_the_documented_pace_gets_the_whole_answer(
    start_nginx: StartNginx, start_instance: StartInstance
) -> None:
    """What it reads within send_timeout makes nginx send more, which starts send_timeout again."""
    [pace_kb] = re.findall(r"at least (\d+) kB/s", (ROOT / "docs/nginx.md").read_text())
    step = int(pace_kb) * 1000 * int(directive("send_timeout"))
    size = 20 * step
    edge = start_nginx(start_instance(sends(size, [])))
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # and the system makes it no larger
        connection.settimeout(30)
        connection.connect(("127.0.0.1", edge.port))
        connection.sendall(GET % (b"/", b""))

        def wait_for(count: float) -> None:
            until(lambda: unsent(edge, connection) > count)

        wait_for(0.3 * step)
        received = 0
        for _ in range(15):
            before = unsent(edge, connection)
            for _ in range(step // 1000):
                received += len(connection.recv(1000, socket.MSG_WAITALL))
            wait_for(before - 0.7 * step)
        received += len(everything(connection))
    assert received > size
    assert logged(edge)[0]["bytes_sent"] == received


def test_websockets_pass(start_nginx: StartNginx, start_instance: StartInstance) -> None:
    def echo(request: Request) -> None:
        assert request.headers["Connection"] == "upgrade"
        request.send_response(101)
        request.send_header("Upgrade", request.headers["Upgrade"])
        request.send_header("Connection", "Upgrade")
        request.end_headers()
        request.wfile.write(request.rfile.readline())
        request.close_connection = True

    edge = start_nginx(start_instance(echo))
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
    with connected(edge) as connection:
        connection.sendall(request)
        connection.sendall(b"a frame\n")
        received = everything(connection)
    assert received.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert received.endswith(b"\r\n\r\na frame\n")


def test_other_protocols_are_not_offered_to_the_service(edge: Nginx, instance: Instance) -> None:
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    assert post(edge, headers=offer).status_code == 200
    assert "Upgrade" not in instance.received[0].headers
    assert instance.received[0].headers.get("Connection") is None


def test_a_client_that_hangs_up_is_gone_for_the_service_too(
    start_nginx: StartNginx, start_instance: StartInstance
) -> None:
    gone = threading.Event()

    def wait_for_the_end(request: Request) -> None:
        assert request.rfile.read(1) == b""
        gone.set()

    instance = start_instance(wait_for_the_end)
    edge = start_nginx(instance)
    with connected(edge) as connection:
        connection.sendall(POST % b"Content-Length: 5\r\n" + b"photo")
        until(lambda: len(instance.received) == 1)
        assert not gone.is_set()
    assert gone.wait(30)
    assert logged(edge)[0]["status"] == 499


def test_connections_to_an_instance_are_used_again(start_nginx: StartNginx, instance: Instance) -> None:
    edge = start_nginx(instance, changes={"worker_processes 2": "worker_processes 1"})
    for _ in range(10):
        assert post(edge).status_code == 200
    assert len(instance.received) == 10
    assert len({received.connection for received in instance.received}) == 1


def test_a_photo_that_was_sent_is_never_sent_again(start_nginx: StartNginx, start_instance: StartInstance) -> None:
    instances = [start_instance(hang_up), start_instance(hang_up)]
    edge = start_nginx(*instances)
    answered = post(edge)
    assert (problem(answered).code, answered.status_code) == ("unavailable", 503)
    assert answered.headers["Retry-After"] == "2"
    assert sum(len(instance.received) for instance in instances) == 1
    assert logged(edge)[0]["upstream_status"] == "502"


def test_a_photo_goes_on_where_nobody_listens(start_nginx: StartNginx, instance: Instance) -> None:
    refusing = unreachable()
    edge = start_nginx(refusing, instance)
    for _ in range(5):
        assert post(edge).status_code == 200
    assert len(instance.received) == 5
    tried = [line["upstream"] for line in logged(edge, 5)]
    assert tried.count(f"{refusing}, {instance.address}") == 1, "it is left at its first failure"
    assert tried.count(instance.address) == 4


def test_an_instance_that_comes_back_is_used_again(
    start_nginx: StartNginx, start_instance: StartInstance, instance: Instance
) -> None:
    gone = unreachable()
    edge = start_nginx(f"{gone} fail_timeout=1s", instance)

    def photo() -> bool:
        assert get(edge).status_code == 200
        return True

    until(lambda: photo() and f"{gone}, {instance.address}" in edge.access_log)
    back = start_instance(port=int(gone.partition(":")[2]))
    until(lambda: photo() and len(back.received) > 2)


def test_a_busy_instance_says_so_itself_and_is_not_left(start_nginx: StartNginx, start_instance: StartInstance) -> None:
    busy, idle = start_instance(refuse), start_instance()
    edge = start_nginx(busy, idle)
    answers = [post(edge) for _ in range(6)]
    refusals = [answered for answered in answers if answered.status_code == 503]
    assert len(refusals) == len(busy.received) == len(idle.received) == 3
    for refusal in refusals:
        assert (refusal.headers["Retry-After"], refusal.content) == ("7", b"busy")


@pytest.fixture
def secure(start_nginx: StartNginx, instance: Instance, tmp_path: Path) -> tuple[Nginx, int, ssl.SSLContext]:
    """nginx with TLS, the port of it, and what trusts its certificate."""
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x"
    names = "-addext subjectAltName=IP:127.0.0.1 -keyout privkey.pem -out fullchain.pem"
    subprocess.run(f"{make} {names}".split(), cwd=tmp_path, check=True, capture_output=True)
    port = free_port()
    text = (ROOT / "deploy/nginx/tls.conf").read_text()
    for old, new in {"listen 443": f"listen 127.0.0.1:{port}", "/etc/nginx/tls": str(tmp_path)}.items():
        assert old in text
        text = text.replace(old, new)
    edge = start_nginx(instance, included={"tls.conf": text})
    checked = subprocess.run(edge.command("-t"), capture_output=True, text=True, check=True)
    assert "warn" not in checked.stderr
    return edge, port, ssl.create_default_context(cafile=tmp_path / "fullchain.pem")


def test_tls(secure: tuple[Nginx, int, ssl.SSLContext], instance: Instance) -> None:
    edge, port, trust = secure
    with httpx.Client(verify=trust, base_url=f"https://127.0.0.1:{port}") as client:
        answered = client.post("/upload", content=b"photo")
        assert (answered.status_code, answered.content) == (200, b"answer")
        assert answered.headers.get_list("Strict-Transport-Security") == ["max-age=31536000"]
        assert problem(client.get("/metrics")).code == "not_found"
    assert instance.received[0].headers["X-Forwarded-Proto"] == "https"
    for plain in (edge.url, f"http://127.0.0.1:{port}"):
        answered = httpx.post(f"{plain}/upload?invert=true", content=b"photo")
        assert answered.status_code == 308
        assert answered.headers["Location"] == "https://127.0.0.1/upload?invert=true"
        assert "Strict-Transport-Security" not in answered.headers
    assert len(instance.received) == 1


def test_old_tls_is_refused(secure: tuple[Nginx, int, ssl.SSLContext]) -> None:
    _, port, trust = secure
    trust.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        trust.minimum_version = trust.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port)) as connection, pytest.raises(ssl.SSLError):
        trust.wrap_socket(connection, server_hostname="127.0.0.1")
