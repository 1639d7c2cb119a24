"""A batch writes to its output folder and nowhere else, whatever links others have put into it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from depthsvc.batch.outputs import Outputs
from depthsvc.cli import main
from tests.conftest import encoded
from tests.parity import photo

pytestmark = pytest.mark.usefixtures("light")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that the batch has nothing to do with."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / ".depthsvc-0123456789abcdef.part").write_bytes(b"another batch is writing this")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos, one of them in a folder."""
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    (folder / "a.png").write_bytes(encoded(photo(60, 80)))
    (folder / "deeper/b.png").write_bytes(encoded(photo(60, 80, 1)))
    return folder


def batch(photos: Path, out: Path, *options: str) -> Result:
    local = ("--model", "embedded", "--workers", "1", "--worker-threads", "1")
    return CliRunner().invoke(main, ["batch", str(photos), str(out), *local, *options])


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_link_in_the_output_folder_costs_only_the_photos_behind_it(photos: Path, out: Path, elsewhere: Path) -> None:
    (out / "deeper").symlink_to(elsewhere)
    result = batch(photos, out)
    assert result.exit_code == 1
    assert files(elsewhere) == {".depthsvc-0123456789abcdef.part"}
    lines = [json.loads(line) for line in (out / "report.jsonl").read_text().splitlines()]
    reasons = {Path(line["path"]).name: (line["code"], line["reason"]) for line in lines}
    assert reasons == {
        "a.png": (None, None),
        "b.png": (
            "unwritable",
            f"{out / 'deeper/b.png.depth.png'}: deeper is a link, which may lead out of the output folder. "
            "Replace it with a folder.",
        ),
    }
    assert (out / "a.png.depth.png").read_bytes().startswith(b"\x89PNG")


def test_the_output_folder_may_be_a_link_itself(photos: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(out)
    assert batch(photos, tmp_path / "link").exit_code == 0
    assert files(out) >= {"a.png.depth.png", "deeper/b.png.depth.png"}


@pytest.mark.parametrize(
    ("exchange", "reason"),
    [
        (lambda path, target: path.symlink_to(target), "x is a link, which may lead out of the output folder"),
        (lambda path, _: path.touch(), "Not a directory"),
    ],
    ids=["link", "file"],
)
def test_a_folder_that_becomes_something_else_during_the_batch_is_not_written_to(
    out: Path, elsewhere: Path, exchange: Callable[[Path, Path], None], reason: str
) -> None:
    with Outputs(out, "png") as outputs:
        outputs.write(out / "x/a.png", b"first")
        (out / "x").rename(out / "y")
        exchange(out / "x", elsewhere)
        with pytest.raises(OSError, match=reason):
            outputs.write(out / "x/b.png", b"second")
        outputs.tidy()
    assert files(elsewhere) == {".depthsvc-0123456789abcdef.part"}


def test_a_result_takes_the_place_of_a_link_not_of_its_target(out: Path, elsewhere: Path) -> None:
    (out / "a.png").symlink_to(elsewhere / "target")
    with Outputs(out, "png") as outputs:
        outputs.write(out / "a.png", b"result")
    assert (out / "a.png").read_bytes() == b"result"
    assert not (out / "a.png").is_symlink()
    assert not (elsewhere / "target").exists()


def test_a_name_with_dots_does_not_leave_the_output_folder(out: Path) -> None:
    with Outputs(out, "png") as outputs, pytest.raises(OSError, match="outside the output folder"):
        outputs.write(out / "x/../../a.png", b"result")
    assert files(out.parent) == {"out/.depthsvc-batch.lock"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("report.jsonl", "report.jsonl is a link. Remove it, or name its target with --report."),
        (".depthsvc-batch.lock", "out cannot be used as the output folder: "),
    ],
)
def test_neither_report_nor_lock_are_written_through_a_link(
    photos: Path, out: Path, elsewhere: Path, name: str, reason: str
) -> None:
    (out / name).symlink_to(elsewhere / "target")
    result = batch(photos, out)
    assert result.exit_code == 2
    assert reason in result.output
    assert not (elsewhere / "target").exists()


def test_a_report_that_is_asked_for_may_be_a_link(photos: Path, out: Path, elsewhere: Path) -> None:
    (out / "report.jsonl").symlink_to(elsewhere / "target")
    assert batch(photos, out, "--report", str(out / "report.jsonl")).exit_code == 0
    assert len((elsewhere / "target").read_text().splitlines()) == 2
