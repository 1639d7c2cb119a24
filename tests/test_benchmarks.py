"""The benchmarks measure what they say, survive contenders that fail, and write a report that can be read."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from benchmarks import gpu, hop, results, serving, zoo
from benchmarks.__main__ import folders_for, keep_part
from benchmarks.contenders import Contender, by_gradio
from benchmarks.load import GIVEN_UP, REFUSED, Reply, Tally, closed_load, get_bytes, open_load, patient, send
from benchmarks.material import photo
from benchmarks.plot import svg
from benchmarks.results import Panel, Part, Target, spread
from benchmarks.servers import Server, ServerFailed, free_port, started
from benchmarks.turns import Answer, Figures, compete
from benchmarks.turns import Contender as Program
from depthsvc.evaluation.table import Table
from depthsvc.model.engines.devices import Gpus
from depthsvc.model.spec import RegisteredModel
from tests.conftest import ended, opened, until

DELAY_S = 0.02


@asynccontextmanager
async def fake_server(answer: Callable[[str, int], tuple[int, bytes]]) -> AsyncIterator[str]:
    """Answers the n-th request for a path after DELAY_S with a status and a body; status 0: never."""
    count = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        number = count
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            status, body = answer(head.split()[1], number)
            await asyncio.sleep(DELAY_S if status else 3600)
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def test_closed_load_counts_and_times_every_answer() -> None:
    async def scenario() -> Tally:
        async with fake_server(lambda _, count: (200 if count % 2 else 503, b"body")) as url:
            return await closed_load(partial(send, url, get_bytes("/")), clients=2, seconds=0.2)

    tally = asyncio.run(scenario())
    answered, refused = len(tally.of(200)), len(tally.of(503))
    assert abs(answered - refused) <= 1
    assert 2 <= answered + refused <= 2 * (0.2 / DELAY_S + 1)
    assert tally.goodput == pytest.approx(answered / tally.seconds)
    assert min(reply.seconds for reply in tally.replies) >= DELAY_S
    assert {reply.body for reply in tally.replies} == {b"body"}


def test_open_load_sends_at_its_rate_and_clients_give_up() -> None:
    async def scenario() -> Tally:
        async with fake_server(lambda _, count: (200 if count <= 5 else 0, b"")) as url:
            ask = patient(partial(send, url, get_bytes("/")), 0.3)
            return await open_load(ask, rate=40, seconds=0.25)

    tally = asyncio.run(scenario())
    assert tally.statuses == {200: 5, GIVEN_UP: 5}
    assert tally.goodput == 20


def test_a_port_where_no_one_listens_is_a_refusal() -> None:
    reply = asyncio.run(send(f"http://127.0.0.1:{free_port()}", get_bytes("/")))
    assert reply.status == REFUSED


def test_gradio_is_asked_until_the_resulting_file() -> None:
    asked = []

    def answer(path: str, _: int) -> tuple[int, bytes]:
        asked.append(path)
        return 200, {
            "/gradio_api/upload": b'["/tmp/in.jpg"]',
            "/gradio_api/call/depth": b'{"event_id": "7"}',
            "/gradio_api/call/depth/7": b'event: complete\ndata: [{"path": "/tmp/out.png"}]\n\n',
            "/gradio_api/file=/tmp/out.png": b"heatmap",
        }[path]

    async def scenario() -> Reply:
        async with fake_server(answer) as url:
            return await by_gradio(url, b"photo")()

    reply = asyncio.run(scenario())
    assert (reply.status, reply.body, len(asked)) == (200, b"heatmap", 4)
    assert reply.seconds >= 4 * DELAY_S


def test_photos_are_jpegs_of_their_size_as_heavy_as_a_cameras() -> None:
    data = photo(640, 480)
    assert opened(data).size == (640, 480)
    assert 1 < 8 * len(data) / (640 * 480) < 5  # bits a pixel


def test_a_server_ends_with_all_its_processes(tmp_path: Path) -> None:
    command = ["sh", "-c", "sleep 600 & sleep 600 & echo up; wait"]
    with started(command, {}, tmp_path / "log") as server:
        until(lambda: "up" in (tmp_path / "log").read_text())
        family = server.family()
        assert len(family) == 3
        assert 0 < server.memory_mb() < 100
    until(lambda: ended(family), longest_s=5)


def test_a_server_that_has_ended_says_why(tmp_path: Path) -> None:
    with started([sys.executable, "-c", "raise SystemExit('no such model')"], {}, tmp_path / "log") as server:
        until(lambda: all(process.status() == psutil.STATUS_ZOMBIE for process in server.family()))
        with pytest.raises(ServerFailed, match=r"^ended with status 1: no such model$"):
            server.check()


_FAKE = """
import io, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from PIL import Image

buffer = io.BytesIO()
Image.new("RGB", (64, 48)).save(buffer, "PNG")

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(buffer.getvalue())))
        self.end_headers()
        self.wfile.write(buffer.getvalue())

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_contenders_compete_and_one_that_fails_is_told(tmp_path: Path) -> None:
    works = Contender("depthsvc", "as it is", lambda port: [sys.executable, "-c", _FAKE, str(port)])
    broken = Contender("naive", "", lambda _: [sys.executable, "-c", "raise SystemExit('cannot be imported')"])
    pace = serving.Pace(rounds=2, lone_s=0.3, busy_s=2, overload_s=0.5, sizes=((64, 48),))
    failures: list[str] = []
    entrants = asyncio.run(serving.compete([works, broken], tmp_path, pace, failures))
    assert failures == ["naive: ended with status 1: cannot be imported"]
    [entrant] = entrants
    assert [len(entrant.main.lone), len(entrant.main.rates), entrant.main.lost] == [2, 2, 0]
    assert entrant.main.rates[0] > 0
    assert entrant.overload.of(200)
    assert entrant.memory_mb > 1
    assert 0 < entrant.main.cpu_s[0] < 1
    assert entrant.server.family() == []
    assert [table.rows[0][0] for table in serving.tables(entrants)] == ["depthsvc"] * 4
    assert serving.targets(entrants) == []


def entrant(name: str, rates: list[float], lone_s: list[float], tmp_path: Path) -> serving.Entrant:
    process = subprocess.Popen(["true"])
    process.wait()
    course = serving.Course(lone=[[seconds] for seconds in lone_s], rates=rates)
    contender = Contender(name, "", lambda _: [])
    return serving.Entrant(contender, Server(process, tmp_path), ExitStack(), "", {(3840, 2160): course})


def test_targets_are_ratios_within_a_round(tmp_path: Path) -> None:
    entrants = [
        entrant("depthsvc", [8.0, 4.0, 6.0], [0.2, 0.4, 0.3], tmp_path),
        entrant("naive", [2.0, 1.0, 1.0], [0.5, 1.0, 0.5], tmp_path),
        entrant("LitServe", [4.0, 1.0, 2.0], [0.5, 0.5, 0.5], tmp_path),
        entrant("Gradio", [3.0, 4.0, 6.0], [0.5, 0.5, 0.5], tmp_path),
    ]
    four_times, best, lone = serving.targets(entrants)
    assert (four_times.measured, four_times.reached) == ("4.00 (4.00 to 6.00)", True)
    assert (best.measured, best.reached) == ("1.00 (1.00 to 2.67)", False)
    assert "Gradio" in best.name
    assert (lone.measured, lone.reached) == ("0.40 (0.40 to 0.60)", True)


def test_the_hop_is_what_the_pipeline_does_not_account_for() -> None:
    timing = {"server-timing": "queue;dur=7.0, decode;dur=10.0, infer;dur=60.0, render;dur=30.0"}
    replies = [Reply(200, 0.106, timing), Reply(200, 0.104, timing), Reply(200, 0.102, timing)]
    assert hop.pipeline_s(replies[0]) == pytest.approx(0.1)
    part, milliseconds = hop.targets(replies, replies)
    assert (part.measured, part.reached) == ("4.0%", True)
    assert (milliseconds.measured, milliseconds.reached) == ("4.0 ms", False)


_ANSWERING = """
import sys, time
from benchmarks.answering import answer_lines

def answer():
    if sys.argv[1] == "ends" and answers:
        raise SystemExit("out of memory")
    answers.append(time.sleep(float(sys.argv[2])))
    return 518, 686

answers = []
answer_lines(answer)
"""


def program(name: str, seconds: float, *, doubled: bool = False) -> Program:
    """A program that answers a photo in this time."""
    return Program(name, [sys.executable, "-c", _ANSWERING, name, str(seconds)], doubled=doubled)


def test_programs_take_turns_with_the_one_that_stays(tmp_path: Path) -> None:
    failures: list[str] = []
    coming = [program("slow", 0.1, doubled=True), program("ends", 0)]
    measured = compete(program("stays", 0.2), coming, 2, 3, tmp_path, failures)
    assert failures == ["ends: ended with status 1: out of memory"] * 2
    assert list(measured) == ["stays", "slow"]
    slow = measured["slow"]
    assert len(slow.answers) == len(slow.others) == 6
    assert len(measured["stays"].answers) == 8  # beside `ends` as well, once a round
    assert min(answer.seconds for answer in slow.answers) >= 0.1
    assert min(slow.ready_s) >= 0.1
    assert len(slow.ready_s) == len(slow.doubled) == 2
    assert max(answer.cpu_s for answer in slow.answers) < 0.1
    assert 5 < slow.peak_mb < 100
    assert {(answer.height, answer.width) for answer in slow.answers} == {(518, 686)}


def test_programs_are_measured_without_one_that_stays(tmp_path: Path) -> None:
    measured = compete(None, [program("alone", 0)], 1, 2, tmp_path, [])
    assert len(measured["alone"].answers) == 2
    assert measured["alone"].speed_ups == []
    assert zoo.targets("dpt_large", measured) == []
    [row] = zoo.table("dpt_large", measured).rows
    assert [row[column] for column in (0, 2, 4, 6, 8, 9)] == ["alone", "", "", "", "", ""]


def figures(seconds: list[float], others: list[float], ready_s: float, peak_mb: float) -> Figures:
    """Of a program that computes half of its time."""

    def answers(times: list[float]) -> list[Answer]:
        return [Answer(time, time / 2, int(peak_mb * 1e6), 384, 384) for time in times]

    return Figures([ready_s], answers(seconds), answers(others), doubled=[1.5, 1.9, 2.0], doubled_cpu=[1.9])


def test_targets_of_the_zoo_are_ratios_within_a_turn() -> None:
    others = [4.0, 8.0, 6.0]
    measured = {
        zoo.TRANSFORMERS: figures(others, [], 10.0, 1000.0),
        zoo.DEFAULT: figures([5.0, 8.0, 6.0], others, 6.0, 800.0),
        "depthsvc, openvino": figures([2.0, 4.0, 4.0], others, 4.0, 700.0),
    }
    slowest, fastest, ready, peak, two = zoo.targets("dpt_large", measured)
    assert (slowest.measured, slowest.reached) == ("1.00", True)
    assert "torchscript" in slowest.name
    assert (fastest.measured, fastest.reached) == ("2.00", True)
    assert "openvino" in fastest.name
    assert (ready.measured, ready.reached) == ("0.60", False)
    assert (peak.measured, peak.reached) == ("0.80", True)
    assert (two.measured, two.reached) == ("1.90", True)
    rows = zoo.table("dpt_large", measured).rows
    assert [row[2] for row in rows] == ["", "1.00 (0.80 to 1.00)", "2.00 (1.50 to 2.00)"]
    assert [row[4] for row in rows] == ["", "1.00 (1.00 to 1.25)", "0.50 (0.50 to 0.67)"]
    assert [row[6] for row in rows] == ["1.00", "0.60", "0.40"]
    assert rows[1][9] == "1.90 (1.50 to 2.00); 1.90"


def test_spread_tells_the_median_and_the_range() -> None:
    assert spread([3.0, 1.0, 2.0]) == "2.0 (1.0 to 3.0)"
    assert spread([1.5], 2) == "1.50"


def a_part(title: str) -> Part:
    return Part(
        title=title,
        tables=[Table("Table", ["a", "b"], [["1", "2"]])],
        targets=[Target(name="speed", wanted=">= 4", measured="3.9", reached=False)],
        panels=[Panel(title="photos & seconds", values={"depthsvc": 4.0, "<other>": 1.0})],
        failures=["Gradio: died"],
        machine="a machine",
        load=0.25,
    )


def test_parts_of_several_runs_make_one_report(tmp_path: Path) -> None:
    order = ["serving", "hop"]
    keep_part(tmp_path, "hop", a_part("Second"), order)
    keep_part(tmp_path, "serving", a_part("Old"), order)
    keep_part(tmp_path, "serving", a_part("First"), order)
    report = (tmp_path / results.REPORT).read_text()
    assert report.count("| speed | >= 4 | 3.9 | **no** |") == 2
    assert "Old" not in report
    assert 0 < report.index("## First") < report.index("## Second")
    assert "a machine. Processors busy before: 0.2." in report
    assert "Failed: Gradio: died" in report
    assert "| 1 | 2 |" in report
    assert results.kept(tmp_path)["hop"] == a_part("Second")
    assert ElementTree.parse(tmp_path / results.PLOT).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_only_what_an_idle_machine_measured_is_published_and_only_if_asked(tmp_path: Path) -> None:
    idle, disturbed = (a_part("Part").model_copy(update={"load": load}) for load in (0.0, 1e3))
    published = set(folders_for(idle, tmp_path, publish=True)) - {tmp_path}
    assert [folder.name for folder in published] == ["results"]
    for part, publish in ((idle, False), (disturbed, True), (disturbed, False)):
        assert folders_for(part, tmp_path, publish=publish) == [tmp_path]
    assert "**Disturbed" in results.markdown([disturbed])
    assert "**Disturbed" not in results.markdown([idle])


def test_bars_are_as_long_as_their_values() -> None:
    picture = ElementTree.fromstring(
        svg([Panel(title="t", values={"depthsvc": 4000.0, "<other>": 1000.0})], "depthsvc")
    )
    _, own, other = (element for element in picture if element.tag.endswith("rect"))
    assert float(own.attrib["width"]) == pytest.approx(4 * float(other.attrib["width"]), abs=0.5)
    assert own.attrib["fill"] != other.attrib["fill"]
    texts = [element.text for element in picture if element.tag.endswith("text")]
    assert texts == ["t", "depthsvc", "4000", "<other>", "1000"]


def test_without_a_gpu_nothing_is_measured_and_one_line_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gpu, "find_gpus", lambda: Gpus((), "PyTorch finds no GPU", "Buy one."))
    gpu.main(["--json", str(tmp_path / "gpu.json")])
    out = capsys.readouterr().out
    assert out == "Nothing is measured: device cuda:0 is not available: PyTorch finds no GPU. Buy one.\n"
    assert list(tmp_path.iterdir()) == []


def test_what_a_gpu_does_is_kept_network_by_network(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def measure(model: RegisteredModel, *_: object) -> Iterator[gpu.Figures]:
        if model.name == "midas_v21":
            raise MemoryError("too large")
        rates = dict.fromkeys(gpu.BATCHES, 70.06)
        yield gpu.Figures(model.name, "fp16", (256, 192), 1.3e-3, rates, 12.345, 700 * 10**6)

    monkeypatch.setattr(gpu, "measure", measure)
    path = tmp_path / "gpu.json"
    gpu.main(["--device", "cpu", "--json", str(path), "--models", "embedded", "midas_v21"])
    out = capsys.readouterr().out
    assert "| embedded | 256 x 192 | fp16 | 1.3e-03 | 70.1 | 70.1 | 70.1 | 70.1 | 12.3 | 700 |" in out
    assert "| midas_v21 |  | MemoryError: too large |" in out
    kept = json.loads(path.read_text())
    assert [(figures["model"], figures["failure"]) for figures in kept["figures"]] == [
        ("embedded", ""),
        ("midas_v21", "MemoryError: too large"),
    ]
    gpu.main(["--device", "cpu", "--json", str(path), "--models", "embedded", "--budget-s", "0"])
    assert "Not measured within 0 s: embedded. Name them with --models." in capsys.readouterr().out
