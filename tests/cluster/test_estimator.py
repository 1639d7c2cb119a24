"""`depthsvc eval --ray`: the same scores from workers on a cluster."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner

from depthsvc.cli import main
from tests.evaluation.making import make_data

pytestmark = pytest.mark.ray


@pytest.mark.usefixtures("light")
def test_a_cluster_scores_the_same_as_this_machine(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", 5)
    (data / "rgb/003.png").write_bytes(b"not a photo")
    printed = []
    for name, options in {"here": [], "there": ["--ray"]}.items():
        command = ["eval", str(data), "-o", str(tmp_path / name), "--model", "embedded", "--workers", "2", "--csv"]
        result = CliRunner().invoke(main, [*command, *options])
        assert result.exit_code == 1, result.output
        assert "003" in result.stderr
        rows = [row | {"seconds": "", "peak_memory": ""} for row in csv.DictReader(result.stdout.splitlines())]
        printed.append(rows)
    assert printed[0] == printed[1]
    assert len(printed[0]) > 10


def test_what_a_cluster_cannot_do_is_refused(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", 1)
    options = ["--model", "embedded", "--ray", "--max-photos-per-worker", "5"]
    result = CliRunner().invoke(main, ["eval", str(data), "-o", str(tmp_path / "out"), *options])
    assert result.exit_code == 1
    assert "--max-photos-per-worker cannot be combined with --ray" in result.output
