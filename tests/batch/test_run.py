"""The command as a person runs it: with workers of its own, killed, interrupted, and with a service."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from click.testing import CliRunner, Result

from depthsvc import DepthEstimator
from depthsvc.cli import main
from depthsvc.options import HeatmapOptions
from tests.conftest import LIGHT, RunningService, encoded, ended, opened, until
from tests.parity import photo

LOCAL = ("--model", "embedded", "--workers", "2", "--worker-threads", "1")


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "depthsvc", "batch", *map(str, arguments)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": os.environ | LIGHT, **options}
    return subprocess.Popen(command, text=True, **options)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and standard error."""
    output, errors = process.communicate(timeout=120)
    assert output == ""
    return process.returncode, errors


def report(output: Path) -> list[dict[str, Any]]:
    path = output / "report.jsonl"
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def statuses(output: Path) -> dict[str, str]:
    return {Path(line["path"]).name: line["status"] for line in report(output)}


def in_process(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["batch", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos of one name, a broken one, a PDF that calls itself a photo, an empty file, and something else."""
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(encoded(photo(60, 80), "JPEG"))
    (folder / "a.png").write_bytes(encoded(photo(80, 60, 1)))
    (folder / "deeper/c.webp").write_bytes(encoded(photo(64, 64, 2), "WEBP"))
    (folder / "broken.png").write_bytes(encoded(photo(60, 80))[:-40])
    (folder / "moving.jpg").write_bytes(b"%PDF-1.7 and so on")
    (folder / "nothing.jpg").touch()
    (folder / "notes.txt").write_text("no photo")
    return folder


def test_a_folder_becomes_heatmaps_and_reasons(folder: Path, tmp_path: Path, embedded: DepthEstimator) -> None:
    out = tmp_path / "out"
    status, errors = finish(start(folder, out, *LOCAL, "--colormap", "viridis"))
    assert status == 1
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == {
        "a.jpg.depth.png",
        "a.png.depth.png",
        "deeper/c.webp.depth.png",
        "report.jsonl",
        ".depthsvc-batch.lock",
    }
    for name in ("a.jpg", "a.png", "deeper/c.webp"):
        options = HeatmapOptions(colormap="viridis")
        expected = opened(embedded.pipeline.answer((folder / name).read_bytes(), options).body)
        given = opened(out / f"{name}.depth.png").convert("RGB")
        assert np.abs(np.asarray(given, np.int16) - np.asarray(expected)).max() <= 3, (
            "another engine rounds differently"
        )
    lines = {Path(line["path"]).name: line for line in report(out)}
    assert {name: line["code"] for name, line in lines.items()} == {
        "a.jpg": None,
        "a.png": None,
        "c.webp": None,
        "broken.png": "broken_image",
        "moving.jpg": "unsupported_media_type",
        "nothing.jpg": "missing_image",
    }
    assert lines["c.webp"]["output"] == str(out / "deeper/c.webp.depth.png")
    assert lines["c.webp"]["model"] == "embedded"
    assert 0 < lines["c.webp"]["seconds"] < 60
    assert "3 done in" in errors
    assert "3 failed (" in errors
    for code in ("broken_image", "unsupported_media_type", "missing_image"):
        assert f"{code} 1" in errors
    assert f"{folder / 'moving.jpg'}: This is a PDF file. Convert it to JPEG, PNG, WebP, " in errors
    assert "Traceback" not in errors


def wait_for_lines(process: subprocess.Popen[str], out: Path, count: int) -> None:
    written = out / "report.jsonl"
    until(lambda: process.poll() is not None or (written.exists() and len(report(out)) >= count), longest_s=90)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
    return children


def check_whole(out: Path) -> dict[Path, int]:
    """Every result can be decoded; their modification times."""
    results = list(out.rglob("*.npy"))
    for path in results:
        assert np.load(path).shape == (240, 320)
    return {path: path.stat().st_mtime_ns for path in results}


def test_killed_interrupted_and_run_again_every_photo_is_done_once(tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    data = encoded(photo(240, 320), "JPEG")
    for number in range(24):
        (folder / f"{number:02}.jpg").write_bytes(data)
    arguments = (folder, out, *LOCAL, "--format", "npy", "--input-size", 384)

    killed = start(*arguments)
    wait_for_lines(killed, out, 5)
    children = family(killed)
    killed.kill()
    killed.communicate()
    until(lambda: ended(children), longest_s=10)
    after_kill = check_whole(out)
    assert 5 <= len(after_kill) < 24
    with (out / "report.jsonl").open("a") as torn:
        torn.write('{"path": "tor')

    interrupted = start(*arguments)
    until(lambda: interrupted.poll() is not None or len(list(out.rglob("*.npy"))) > len(after_kill), longest_s=90)
    children = family(interrupted)
    interrupted.send_signal(signal.SIGINT)
    status, errors = finish(interrupted)
    assert status == 130
    assert "Interrupted. Run the same command again to resume." in errors
    assert "Traceback" not in errors
    until(lambda: ended(children), longest_s=10)
    after_interrupt = check_whole(out)
    assert len(after_kill) < len(after_interrupt) < 24

    status, errors = finish(start(*arguments))
    assert status == 0
    done = check_whole(out)
    assert len(done) == 24
    assert {path: done[path] for path in after_interrupt} == after_interrupt  # and so not made again
    assert {path: done[path] for path in after_kill} == after_kill
    times_done = Counter(line["path"] for line in report(out) if line["status"] == "ok")
    assert set(times_done.values()) == {1}
    assert {line["path"] for line in report(out)} == {str(path) for path in folder.iterdir()}
    assert [path for path in out.iterdir() if path.name.endswith(".part")] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_workers_start_is_quiet_and_leaves_nothing(
    folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    process = start(folder, tmp_path / "out", *LOCAL, start_new_session=True)
    until(lambda: len(family(process)) >= 2)  # the fork server is there, and is importing
    children = family(process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    status, errors = finish(process)
    assert status == 128 + number
    assert "Traceback" not in errors
    until(lambda: ended(children), longest_s=10)


def test_a_service_computes_the_same(folder: Path, tmp_path: Path, embedded_service: RunningService) -> None:
    out = tmp_path / "out"
    result = in_process(folder, out, "--url", embedded_service.url, "--side-by-side")
    assert result.exit_code == 1, result.output
    assert statuses(out) == {
        "a.jpg": "ok",
        "a.png": "ok",
        "c.webp": "ok",
        "broken.png": "failed",
        "moving.jpg": "failed",
        "nothing.jpg": "failed",
    }
    pair = opened(out / "a.png.depth.pair.png")
    assert pair.size == (120, 80)
    assert np.array_equal(np.asarray(pair)[:, :60], photo(80, 60, 1))
    assert {line["model"] for line in report(out) if line["status"] == "ok"} == {"embedded"}
    assert all(line["seconds"] > 0 for line in report(out) if line["status"] == "ok")


def test_what_exists_is_skipped_unless_it_is_to_be_made_anew(
    folder: Path, tmp_path: Path, embedded_service: RunningService
) -> None:
    out = tmp_path / "out"
    remote = ("--url", embedded_service.url)
    (out).mkdir()
    (out / "a.jpg.depth.png").write_bytes(b"mine")
    assert in_process(folder / "a.jpg", folder / "a.png", out, *remote).exit_code == 0
    assert statuses(out) == {"a.jpg": "skipped", "a.png": "ok"}
    assert (out / "a.jpg.depth.png").read_bytes() == b"mine"
    result = in_process(folder / "a.jpg", out, *remote, "--overwrite", "--report", tmp_path / "other.jsonl")
    assert result.exit_code == 0, result.output
    assert opened(out / "a.jpg.depth.png").size == (80, 60)
    assert len(report(out)) == 2
    assert len((tmp_path / "other.jsonl").read_text().splitlines()) == 1


def test_a_list_is_tried_whatever_is_in_it(
    folder: Path, tmp_path: Path, embedded_service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.jpg")
    lines = "photos/a.jpg\nphotos/notes.txt\nphotos\nmissing.jpg\npipe.jpg\nphotos/a.jpg\n"
    Path("list.txt").write_text(lines)
    assert in_process("--list", "list.txt", "out", "--url", embedded_service.url).exit_code == 1
    outcomes = {line["path"]: (line["status"], line["code"], line["reason"]) for line in report(Path("out"))}
    assert outcomes["photos/a.jpg"] == ("ok", None, None)
    assert outcomes["photos/notes.txt"][:2] == ("failed", "not_an_image")
    assert outcomes["photos"] == ("failed", "unreadable", "not a regular file")
    assert outcomes["missing.jpg"] == ("failed", "unreadable", "No such file or directory")
    assert outcomes["pipe.jpg"] == ("failed", "unreadable", "not a regular file")
    assert len(report(Path("out"))) == 5
    assert opened(Path("out/photos/a.jpg.depth.png")).size == (80, 60)
    piped = CliRunner().invoke(main, ["batch", "-", "piped", "--url", embedded_service.url], input=lines)
    assert piped.exit_code == 1
    assert statuses(Path("piped")) == statuses(Path("out"))


def test_results_that_would_share_a_name_or_cannot_be_written_are_failures(
    folder: Path, tmp_path: Path, embedded_service: RunningService
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    other.mkdir()
    (other / "a.jpg").write_bytes(encoded(photo(9, 9), "JPEG"))
    (out / "a.png.depth.png").mkdir(parents=True)
    arguments = (folder / "a.jpg", other / "a.jpg", folder / "a.png", out)
    assert in_process(*arguments, "--url", embedded_service.url, "--overwrite").exit_code == 1
    codes = {line["path"]: line["code"] for line in report(out)}
    assert codes == {
        str(folder / "a.jpg"): None,
        str(other / "a.jpg"): "name_taken",
        str(folder / "a.png"): "unwritable",
    }
    assert opened(out / "a.jpg.depth.png").size == (80, 60)


def test_a_watched_folder_is_served_until_ctrl_c(tmp_path: Path, embedded_service: RunningService) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    data = encoded(photo(60, 80), "JPEG")
    (folder / "first.jpg").write_bytes(data)
    watching = start(folder, out, "--watch", "--settle-s", 0.9, "--url", embedded_service.url)
    until(lambda: (out / "first.jpg.depth.png").exists())
    with (folder / "second.jpg").open("wb") as slow:
        rest = iter(data)

        def third_is_done() -> bool:
            slow.write(bytes(islice(rest, 1)))
            slow.flush()
            return (out / "third.jpg.depth.png").exists()

        assert not third_is_done()
        (folder / "third.jpg").write_bytes(data)
        until(third_is_done)  # a copy that takes longer than a poll
        assert not (out / "second.jpg.depth.png").exists()
        slow.write(bytes(rest))
    until(lambda: (out / "second.jpg.depth.png").exists())
    watching.send_signal(signal.SIGINT)
    status, errors = finish(watching)
    assert status == 0, errors
    assert statuses(out) == {"first.jpg": "ok", "second.jpg": "ok", "third.jpg": "ok"}
    assert "3 done" in errors


class FakeService(ThreadingHTTPServer):
    """Answers /models, and photos as it is told."""

    def __init__(self, refusals: int, media_type: str, key: str | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = key
        self.media_type = media_type
        self.refusals = refusals
        self.arrivals: list[float] = []
        self.keys: set[str | None] = set()


class _Handler(BaseHTTPRequestHandler):
    server: FakeService

    def do_GET(self) -> None:
        if self.server.key not in (None, self.headers["Authorization"]):
            self.reply(401, b'{"code": "unauthorized", "detail": "no key"}', {})
            return
        body = b'{"in_use": "fake", "degraded": false, "engine": "none", "precision": "fp32", "models": []}'
        self.reply(200, body, {"Content-Type": "application/json"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.arrivals.append(time.monotonic())
        self.server.keys.add(self.headers["Authorization"])
        if len(self.server.arrivals) <= self.server.refusals:
            self.reply(503, b'{"code": "queue_full", "detail": "busy"}', {"Retry-After": "1"})
        else:
            self.reply(200, b"a heatmap", {"Content-Type": self.server.media_type, "X-Depth-Model": "fake"})

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def fake_service(refusals: int = 0, media_type: str = "image/png", key: str | None = None) -> Iterator[FakeService]:
    with FakeService(refusals, media_type, key) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_busy_service_is_asked_again_when_it_says(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with fake_service(refusals=2) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        result = in_process(folder / "a.jpg", out, "--url", url, "--api-key", "secret")
        assert result.exit_code == 0, result.output
        assert len(server.arrivals) == 3
        assert min(np.diff(server.arrivals)) >= 1.0
        assert server.keys == {"Bearer secret"}
    assert (out / "a.jpg.depth.png").read_bytes() == b"a heatmap"
    assert report(out)[0]["model"] == "fake"


@pytest.mark.parametrize("given", [(), ("--api-key", "another")])
def test_without_the_services_key_nothing_begins(folder: Path, tmp_path: Path, given: tuple[str, ...]) -> None:
    with fake_service(key="Bearer secret") as server:
        result = in_process(folder, tmp_path / "out", "--url", f"http://127.0.0.1:{server.server_address[1]}", *given)
        assert result.exit_code == 2, result.output
        assert "needs a valid API key. Give it with --api-key or DEPTHSVC_API_KEY." in result.output
        assert server.arrivals == []


def test_a_name_cannot_command_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/\x1b[2Jgone\r.jpg").write_bytes(b"no photo")
    with fake_service() as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        result = in_process(tmp_path / "photos", tmp_path / "out", "--url", url)
    assert result.exit_code == 1
    assert "\N{REPLACEMENT CHARACTER}[2Jgone\N{REPLACEMENT CHARACTER}.jpg" in result.output
    assert "\x1b" not in result.output
    assert report(tmp_path / "out")[0]["path"].endswith("/\x1b[2Jgone\r.jpg")


def test_what_is_no_heatmap_is_no_result(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with fake_service(media_type="text/html") as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        assert in_process(folder / "a.jpg", out, "--url", url).exit_code == 1
    assert report(out)[0]["code"] == "unreachable"
    assert not (out / "a.jpg.depth.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{photos}"], "Give IN and OUT"),
        (["{photos}/no.jpg", "{out}"], "no such photo or folder"),
        (["https://example.org/a.jpg", "{out}"], "https://example.org/a.jpg is a URL. Download the photo"),
        (["http://example.org/a.jpg", "{out}", "--ray"], "http://example.org/a.jpg is a URL. Download the photo"),
        (["file:///photos", "{out}"], "file:///photos is a URL. Give the path instead: /photos"),
        (["{photos}", "{out}", "--bokeh", "--side-by-side"], "--side-by-side and --bokeh cannot be combined"),
        (["{photos}", "{out}", "--bokeh", "--format", "png"], "--bokeh cannot be used with this format"),
        (["{photos}", "{out}", "--focus", "0.5,0.5"], "--focus cannot be used with this format"),
        (["{photos}", "{out}", "--url", "ftp://here"], "'ftp://here' is not the URL of a service"),
        (
            ["{photos}", "{out}", "--url", "http://127.0.0.1:9", "--engine", "openvino"],
            "--engine cannot be combined with --url",
        ),
        (["{photos}", "{out}", "--url", "http://127.0.0.1:9"], "127.0.0.1:9"),
        (["{photos}", "{out}", "--model", "nonesuch"], "Unknown model 'nonesuch'"),
        (["{photos}", "{out}", "--format", "npy", "--side-by-side"], "--side-by-side cannot be used with this format"),
        (["{photos}", "{out}", "--colormap", "rainbow"], "--colormap: 'rainbow' is not one of inferno, magma"),
        (["{photos}/a.jpg", "{out}", "--watch"], "With --watch, IN must be one folder"),
        (["{photos}", "{out}", "--ray", "--watch"], "--watch cannot be combined with --ray"),
        (["{photos}", "{out}", "--ray", "--url", "http://127.0.0.1:9"], "--ray cannot be combined with --url"),
        (["s3://bucket/photos", "{out}"], "s3://bucket/photos: URIs need --ray"),
        (["s3://bucket/photos", "{photos}", "{out}", "--ray"], "With a URI for IN, give no other IN"),
        (["{photos}", "s3://bucket/depth", "--ray"], "choose a file for the report with --report"),
        (["--list", "{photos}/a.jpg", "{photos}", "{out}"], "With --list, give OUT alone"),
        (["--list", "{photos}/nolist", "{out}"], "nolist: No such file or directory"),
        (["{photos}", "{out}", "--report", "{photos}/a.jpg"], "a.jpg is not the report of a batch"),
        (["{photos}", "{out}", "--input-size", "3"], "--input-size: Input should be greater than or equal to 32"),
    ],
)
def test_what_cannot_begin_says_why(folder: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    given = [argument.format(photos=folder, out=tmp_path / "out") for argument in arguments]
    result = in_process(*given)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize("given", ["{photos}", "{photos}/*.cr3", "{photos}/*.jpg"])
def test_where_there_is_no_photo_the_status_is_1_and_nothing_is_made(tmp_path: Path, given: str) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in ("1.CR3", "2.cr3", "3.MOV"):
        (photos / name).touch()
    result = in_process(given.format(photos=photos), out)
    assert result.exit_code == 1
    assert not out.exists()
    [line] = result.output.splitlines()
    if given == "{photos}":
        assert line.startswith("Error: No JPEG, ")
        assert line.endswith(" photo found; 3 ignored: 2 CR3, 1 MOV.")


def test_an_empty_list_has_no_photo() -> None:
    result = CliRunner().invoke(main, ["batch", "-", "out"], input="\n\n")
    assert (result.exit_code, " photo found." in result.output) == (1, True)


def test_a_phones_folder_may_get_its_own_results(tmp_path: Path, embedded_service: RunningService) -> None:
    """A second run takes no result for a photo, and the summary is true both times."""
    folder, remote = tmp_path / "DCIM", ("--url", embedded_service.url)
    folder.mkdir()
    (folder / "IMG_1.JPG").write_bytes(encoded(photo(60, 80), "JPEG"))
    (folder / "IMG_E1.png").write_bytes(encoded(photo(60, 80)))
    for name in ("IMG_1.MOV", "IMG_2.MOV", "IMG_1.AAE", "._IMG_1.JPG", ".DS_Store"):
        (folder / name).write_bytes(b"no photo")
    ignored = "4 ignored: 2 MOV, 1 DS_Store, 1 AAE\n"
    first = in_process(folder, folder, *remote)
    assert re.fullmatch(rf"2 done in .*, 0 skipped, 0 failed, {ignored}", first.output)
    second = in_process(folder, folder, *remote)
    assert second.output == f"0 done, 2 skipped, 0 failed, {ignored}"
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert {path.name for path in folder.glob("*.depth.*")} == {"IMG_1.JPG.depth.png", "IMG_E1.png.depth.png"}


def test_a_batch_of_an_earlier_version_is_resumed(tmp_path: Path, folder: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in (".depthsvc.lock", "a.jpg.png"):
        (out / name).write_bytes(b"of an earlier version")
    with fake_service() as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        assert in_process(folder / "a.jpg", folder / "a.png", out, "--url", url).exit_code == 0
        assert len(server.arrivals) == 1
    assert {(line["status"], Path(line["output"]).name) for line in report(out)} == {
        ("skipped", "a.jpg.png"),
        ("ok", "a.png.depth.png"),
    }


def test_a_name_too_long_for_its_result_fails_alone(tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    longest = 255 - len(".jpg.depth.png")
    names = [f"{letter * length}.jpg" for letter, length in (("a", longest), ("b", longest + 1), ("c", 251))]
    for name in (*names, f"{'é' * 125}.jpg"):
        (folder / name).write_bytes(encoded(photo(9, 9), "JPEG"))
    with fake_service() as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        for more in ((), ("--overwrite",)):
            result = in_process(folder, out, "--url", url, *more)
            assert result.exit_code == 1
            assert "3 failed (unwritable 3;" in result.output
    lines = {line["path"]: line for line in report(out)}
    assert lines[str(folder / names[0])]["status"] == "ok"
    for name in names[1:]:
        assert lines[str(folder / name)]["reason"].endswith("too long. Give the photo a shorter name.")


@pytest.mark.parametrize("link", [Path.hardlink_to, Path.symlink_to, None])
def test_a_photo_is_never_overwritten(tmp_path: Path, link: Callable[[Path, Path], None] | None) -> None:
    """Where one photo is named like another one's result, in one folder or through a link."""
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    photos = [folder / "a.jpg", folder / "a.jpg.depth.png"]
    for path in photos:
        path.write_bytes(encoded(photo(9, 9)))
    if link:
        out.mkdir()
        link(out / "a.jpg.depth.png", photos[1])
    else:
        out.symlink_to(folder)
    with fake_service() as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        for more in ((), ("--overwrite",)):
            in_process(*photos, out, "--url", url, *more)
    assert [path.read_bytes() for path in photos] == [encoded(photo(9, 9))] * 2
    refused = [line for line in report(out) if line["code"]]
    assert [(line["path"], line["code"]) for line in refused] == [(str(photos[0]), "name_taken")]
    assert refused[0]["reason"].endswith("is itself one of the photos. Choose another OUT.")


def test_a_list_from_windows_is_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_bytes("photos/a.jpg\r\nphotos/a.png\r\nhttps://example.org/a.jpg\r\n".encode("utf-16"))
    with fake_service() as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        assert in_process("--list", "list.txt", "out", "--url", url).exit_code == 1
    assert {line["path"]: line["status"] for line in report(Path("out"))} == {
        "photos/a.jpg": "ok",
        "photos/a.png": "ok",
        "https://example.org/a.jpg": "failed",
    }


def test_the_report_says_what_the_numbers_of_a_result_mean(
    folder: Path, tmp_path: Path, embedded: DepthEstimator, embedded_service: RunningService
) -> None:
    depth = embedded.depth(folder / "a.jpg")
    remote, local = tmp_path / "remote", tmp_path / "local"
    assert in_process(folder / "a.jpg", remote, "--url", embedded_service.url, "--format", "png16").exit_code == 0
    assert finish(start(folder / "a.jpg", local, *LOCAL, "--format", "png16"))[0] == 0
    for out in (remote, local):
        [line] = report(out)
        assert (line["model"], line["kind"]) == ("embedded", "inverse_depth")
        assert np.allclose([line["min"], line["max"]], [depth.min, depth.max], rtol=1e-5)


def test_a_photo_that_is_too_large_is_refused_with_the_option_that_allows_it(folder: Path, tmp_path: Path) -> None:
    (folder / "large.jpg").write_bytes(encoded(photo(9, 9), "JPEG") + bytes(2_000_000))
    (folder / "broken.png").unlink()
    arguments = (folder / "a.jpg", folder / "large.jpg", tmp_path / "out", *LOCAL, "--max-megapixels", 0.001)
    status, _ = finish(start(*arguments))
    assert status == 1
    lines = {Path(line["path"]).name: line for line in report(tmp_path / "out")}
    assert (lines["a.jpg"]["code"], lines["large.jpg"]["code"]) == ("too_many_pixels", "body_too_large")
    assert lines["a.jpg"]["reason"] == (
        "The image has 80 x 60 pixels; the limit is 0.001 megapixels. Resize it, or raise --max-megapixels."
    )
    assert lines["large.jpg"]["reason"].endswith("Check that it is a photo, or raise --max-megapixels.")


def test_a_batch_refocuses(folder: Path, tmp_path: Path, embedded_service: RunningService) -> None:
    out = tmp_path / "out"
    options = ("--bokeh", "--focus", "0.5,0.5", "--strength", 0)
    assert in_process(folder / "a.png", out, "--url", embedded_service.url, *options).exit_code == 0
    refocused = np.asarray(opened(out / "a.png.depth.bokeh.jpg"), np.int16)
    assert np.abs(refocused - photo(80, 60, 1)).mean() < 8  # as JPEG is of a photo that nothing blurs
