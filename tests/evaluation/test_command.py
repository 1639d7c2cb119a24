"""`depthsvc eval` and `depthsvc compare`, with a model that is part of the package."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy import stats
from sklearn import metrics
from sklearn.linear_model import LinearRegression

from depthsvc import DepthEstimator
from depthsvc.cli import main
from depthsvc.cli.eval import LAYOUTS as NAMED
from depthsvc.evaluation.layouts.registry import LAYOUTS
from tests.conftest import LIGHT, RunningService, opened, until
from tests.evaluation.making import make_data

pytestmark = pytest.mark.usefixtures("light")


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def _evaluate(data: Path, output: Path, *arguments: object) -> Result:
    return _run("eval", data, "-o", output, "--model", "embedded", "--workers", "2", *arguments)


def _scores(printed: str) -> dict[str, tuple[float, ...]]:
    """Mean and confidence by metric, without what it cost."""
    rows = csv.DictReader(io.StringIO(printed))
    return {row["metric"]: tuple(float(row[name]) for name in ("mean", "low", "high", "images")) for row in rows}


def test_the_command_knows_every_layout() -> None:
    assert set(NAMED) == set(LAYOUTS)


def test_a_model_is_scored_as_a_table_json_and_csv(tmp_path: Path) -> None:
    data, out = make_data(tmp_path / "data", 4), tmp_path / "out"
    table = _evaluate(data, out)
    assert table.exit_code == 0, table.output
    assert "| data | embedded | 4 |" in table.stdout
    report = json.loads(_evaluate(data, out, "--json").stdout)
    [row] = report["rows"]
    assert report["protocol"]["fit"] == "midas"
    assert report["models"]["embedded"]["engine asked for"] == LIGHT["DEPTHSVC_ENGINE"]
    assert row["seconds"] > 0
    assert row["peak_memory"] > 50e6
    assert 0 < row["means"]["abs_rel"]["value"] < 1
    assert _scores(_evaluate(data, out, "--csv").stdout)["abs_rel"][0] == row["means"]["abs_rel"]["value"]
    assert (out / "report.html").read_text().count("data:image/jpeg") == 3


def test_scores_equal_those_of_an_independent_script(tmp_path: Path) -> None:
    """It gets the depth from Python and knows the field's formulas from scikit-learn."""
    data = make_data(tmp_path / "data", 3)
    engine = {"engine": "torchscript", "precision": "fp32", "worker_threads": 1}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in engine.items()]
    found = _scores(_evaluate(data, tmp_path / "out", "--csv", *options).stdout)
    estimator = DepthEstimator("embedded", engine="torchscript", precision="fp32", worker_threads=1)
    expected: dict[str, list[float]] = {"abs_rel": [], "rmse": [], "log10": [], "delta1": [], "rank": []}
    for photo in sorted((data / "rgb").iterdir()):
        inverse = estimator.depth(photo).values.astype(float).ravel()
        truth = np.asarray(cv2.imread(str(data / "depth" / photo.name), cv2.IMREAD_UNCHANGED)).ravel() / 1000
        fitted = LinearRegression().fit(inverse[:, None], 1 / truth).predict(inverse[:, None])
        depth = 1 / np.maximum(fitted, 1 / 80)
        expected["abs_rel"].append(metrics.mean_absolute_percentage_error(truth, depth))
        expected["rmse"].append(metrics.root_mean_squared_error(truth, depth))
        expected["log10"].append(metrics.mean_absolute_error(np.log10(truth), np.log10(depth)))
        expected["delta1"].append(float(np.mean(np.maximum(depth / truth, truth / depth) < 1.25)))
        expected["rank"].append(stats.spearmanr(inverse, 1 / truth).statistic)
    for name, values in expected.items():
        assert found[name][0] == pytest.approx(np.mean(values), rel=1e-6), name


def test_failures_are_named_and_the_status_says_so(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", 3)
    (data / "depth/001.png").unlink()
    result = _evaluate(data, tmp_path / "out", "--json")
    assert result.exit_code == 1
    assert "001" in result.stderr
    [failure] = json.loads(result.stdout)["failures"]
    assert (failure["pair"], failure["code"]) == ("001", "broken_pair")


def test_it_is_killed_and_resumes_with_the_same_result(tmp_path: Path) -> None:
    data, out = make_data(tmp_path / "data", 40), tmp_path / "out"
    whole = _evaluate(data, tmp_path / "whole", "--csv")
    command = [sys.executable, "-m", "depthsvc", "eval", str(data), "-o", str(out), "--model", "embedded", "--csv"]
    scores = out / "scores.jsonl"
    with subprocess.Popen(command, env=os.environ | LIGHT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until(lambda: scores.exists() and scores.read_bytes().count(b"\n") > 6)
        process.send_signal(signal.SIGKILL)
    done = scores.read_bytes().count(b"\n") - 2
    resumed = _evaluate(data, out, "--csv")
    assert done > 4
    assert len(set(scores.read_text().splitlines())) == 2 + 40  # each photo once
    assert _scores(resumed.stdout) == _scores(whole.stdout)


def test_an_interrupted_evaluation_says_how_to_resume(tmp_path: Path) -> None:
    data, out = make_data(tmp_path / "data", 120), tmp_path / "out"
    command = [sys.executable, "-m", "depthsvc", "eval", str(data), "-o", str(out), "--model", "embedded"]
    scores = out / "scores.jsonl"
    with subprocess.Popen(command, env=os.environ | LIGHT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until(lambda: scores.exists() and scores.read_bytes().count(b"\n") > 4)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert b"Run the same command again to resume." in said


def test_a_service_scores_the_same_as_this_machine(tmp_path: Path, embedded_service: RunningService) -> None:
    data = make_data(tmp_path / "data", 4)
    here = _evaluate(data, tmp_path / "here", "--csv", "--engine", "torchscript", "--precision", "fp32")
    there = _run("eval", data, "-o", tmp_path / "there", "--url", embedded_service.url, "--csv")
    assert there.exit_code == 0, there.output
    assert "embedded at 127.0.0.1:" in there.stdout
    assert _scores(there.stdout)["abs_rel"] == pytest.approx(_scores(here.stdout)["abs_rel"], rel=1e-4)
    unknown = _run("eval", data, "-o", tmp_path / "there", "--url", embedded_service.url, "--model", "midas_small")
    assert unknown.exit_code == 1
    assert "does not serve midas_small" in unknown.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--json", "--csv"], "cannot be combined"),
        (["--protocol", "none"], "embedded: depth without a unit"),
        (["--layout", "tum"], "no photo with depth"),
        (["--url", "http://127.0.0.1:9", "--workers", "3"], "the service decides that"),
        (["--min-depth", "9", "--max-depth", "3"], "No depth is beyond 9 and within 3 m"),
    ],
)
def test_what_cannot_work_is_refused_with_a_reason(tmp_path: Path, arguments: list[str], reason: str) -> None:
    data = make_data(tmp_path / "data", 1)
    result = _run("eval", data, "-o", tmp_path / "out", "--model", "embedded", *arguments)
    assert result.exit_code != 0
    assert reason in result.output


def test_a_model_that_cannot_be_started_is_left_out(tmp_path: Path) -> None:
    data, junk = make_data(tmp_path / "data", 2), tmp_path / "junk.onnx"
    junk.write_bytes(b"junk")
    spec = {"input": {"size": 32, "rule": "lower_bound", "multiple": 32, "mean": [0, 0, 0], "std": [1, 1, 1]}}
    junk.with_suffix(".json").write_text(json.dumps({**spec, "output": "inverse_depth"}))
    result = _run("eval", data, "-o", tmp_path / "out", "--model", junk, "--model", "embedded", "--json")
    assert result.exit_code == 1
    assert "(junk.onnx) is left out: " in result.stderr
    assert [row["model"] for row in json.loads(result.stdout)["rows"]] == ["embedded"]
    assert (tmp_path / "out/report.html").exists()
    alone = _run("eval", data, "-o", tmp_path / "alone", "--model", junk)
    assert alone.exit_code == 1
    assert "junk.onnx" in alone.stderr
    assert not (tmp_path / "alone/report.html").exists()


def test_two_input_sizes_are_two_models(tmp_path: Path) -> None:
    data, out = make_data(tmp_path / "data", 2), tmp_path / "out"
    _evaluate(data, out)
    rows = json.loads(_evaluate(data, out, "--input-size", "128", "--json").stdout)["rows"]
    assert [row["model"] for row in rows] == ["embedded", "embedded, 128 px"]


def test_models_are_compared_in_one_picture(tmp_path: Path, embedded_service: RunningService) -> None:
    photos = sorted((make_data(tmp_path / "data", 2) / "rgb").iterdir())
    picture = tmp_path / "compared.jpg"
    result = _run("compare", *photos, "-o", picture, "--model", "embedded")
    assert result.exit_code == 0, result.output
    assert opened(picture).size == (2 * (480 + 8) + 8, 2 * (360 + 30 + 8) + 8)
    remote = _run("compare", photos[0], "-o", tmp_path / "remote.png", "--url", embedded_service.url)
    assert remote.exit_code == 0, remote.output
    assert "embedded at 127.0.0.1:" in remote.stderr
    refused = _run("compare", photos[0], "-o", tmp_path / "a.gif", "--model", "embedded")
    assert refused.exit_code == 1
    assert "unknown kind of picture" in refused.output


def test_compare_refuses_before_it_computes_and_names_the_photo(tmp_path: Path) -> None:
    [photo] = (make_data(tmp_path / "data", 1) / "rgb").iterdir()
    (tmp_path / "junk.jpg").write_bytes(b"junk")
    for arguments, reason in (
        ([photo, "-o", tmp_path / "nowhere/a.png"], "nowhere does not exist"),
        ([photo, "-o", photo], "is one of the photos"),
        ([photo, tmp_path / "junk.jpg", "-o", tmp_path / "a.png"], "junk.jpg: This does not look like"),
    ):
        result = _run("compare", *arguments, "--model", "embedded")
        assert result.exit_code == 1
        assert reason in result.output
    assert opened(photo).size == (64, 48)
