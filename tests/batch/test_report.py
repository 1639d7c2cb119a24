from __future__ import annotations

import json
import resource
from contextlib import closing
from pathlib import Path

import pytest

from depthsvc.batch.report import Report, ReportLine, Status
from depthsvc.errors import ConfigurationError

DONE = ReportLine(
    "a.jpg", "out/a.jpg.depth.png", Status.OK, model="m", kind="inverse_depth", min=0.5, max=9.0, seconds=0.25
)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_line_for_each_photo_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    for outcome in (DONE, ReportLine("b\udce9.jpg", "out/b", Status.FAILED, "broken_image", "It is damaged.")):
        with closing(Report(path)) as report:
            report.add(outcome)
    first, second = lines(path)
    assert first == {
        "path": "a.jpg",
        "output": "out/a.jpg.depth.png",
        "status": "ok",
        "code": None,
        "reason": None,
        "model": "m",
        "kind": "inverse_depth",
        "min": 0.5,
        "max": 9.0,
        "seconds": 0.25,
    }
    assert second["path"] == "b\udce9.jpg"
    assert (second["status"], second["code"], second["reason"]) == ("failed", "broken_image", "It is damaged.")


@pytest.mark.parametrize("whole", [0, 1, 3])
@pytest.mark.parametrize("torn", ['{"path": "b', '{"path": "' + 200_000 * "x"])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, whole: int, torn: str) -> None:
    path = tmp_path / "report.jsonl"
    path.write_text(whole * '{"path": "before"}\n' + torn)
    with closing(Report(path)) as report:
        report.add(DONE)
    assert [line["path"] for line in lines(path)] == whole * ["before"] + ["a.jpg"]


def test_a_line_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    """What follows, once there is room again, is not appended to half a line."""
    path = tmp_path / "report.jsonl"
    with closing(Report(path)) as report:
        report.add(DONE)
        size = path.stat().st_size
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
        try:
            with pytest.raises(OSError, match=r"too large.*report\.jsonl"):
                report.add(DONE)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert path.stat().st_size == size
        report.add(DONE)
    assert [line["path"] for line in lines(path)] == ["a.jpg", "a.jpg"]


@pytest.mark.parametrize("content", [b"\xff\xd8\xff photo", b'{"important": [1, 2]}', b'{\n  "path": 1\n}'])
def test_a_file_that_is_no_report_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"photo\.jpg is not the report of a batch"):
        Report(path)
    assert path.read_bytes() == content
