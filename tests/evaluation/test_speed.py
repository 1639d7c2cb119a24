"""The measurement gives figures that mean what their heads say."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from depthsvc.cli import main
from depthsvc.errors import ConfigurationError
from depthsvc.evaluation import speed as bench
from depthsvc.evaluation.speed import forward, times_in_turns
from depthsvc.evaluation.table import Table
from depthsvc.model.choice import EngineName, Precision, WeightsLocations
from depthsvc.model.resolve import resolve
from tests import parity
from tests.conftest import encoded


def test_calls_take_turns_and_have_a_time_for_each() -> None:
    calls: list[str] = []
    times = times_in_turns([lambda: calls.append("a"), lambda: calls.append("b")], rounds=2)
    assert calls == ["a", "a", "b", "b"] * 2
    assert [(len(taken.seconds), len(taken.cpu_s)) for taken in times] == [(2, 2)] * 2
    assert min(min(taken.seconds + taken.cpu_s) for taken in times) >= 0


def test_every_combination_has_a_row_that_is_compared_with_the_first_of_its_size(cache_dir: Path) -> None:
    model = resolve("embedded", WeightsLocations(cache_dir))
    engines = (EngineName.TORCHSCRIPT, EngineName.ONNXRUNTIME)
    report = forward(
        model, cache_dir, engines=engines, precisions=(Precision.FP32,), threads=(1,), sizes=(64, 96), rounds=2
    )
    assert report.heads == ["input size", "engine", "precision", "threads", "median ms", "ratio", "CPU ms", "CPU ratio"]
    names = [row[:4] for row in report.rows]
    assert names == [[size, engine, "fp32", "1"] for size in ("64", "96") for engine in ("torchscript", "onnxruntime")]
    assert [row[5::2] for row in report.rows if row[1:4] == ["torchscript", "fp32", "1"]] == [["1.00", "1.00"]] * 2
    assert all(float(row[4]) > 0 for row in report.rows)


def test_errors_are_measured_on_photos(cache_dir: Path) -> None:
    model = resolve("embedded", WeightsLocations(cache_dir))
    photos = [encoded(parity.photo(48, 64)), encoded(parity.photo(64, 48))]
    precisions = (Precision.FP32, Precision.BF16)
    engines = (EngineName.TORCHSCRIPT,)
    report = forward(
        model,
        cache_dir,
        engines=engines,
        precisions=precisions,
        threads=(1,),
        sizes=(64,),
        rounds=1,
        photos=photos,
    )
    exact, rounded = report.rows
    assert exact[8:] == ["0.00/255", "0.00/255"]
    mean, worst = (float(figure.removesuffix("/255")) for figure in rounded[8:])
    assert 0 < mean < worst < 50


def test_what_cannot_be_measured_is_explained(cache_dir: Path) -> None:
    model = resolve("embedded", WeightsLocations(cache_dir))
    with pytest.raises(ConfigurationError, match="None of these engines supports any of these precisions"):
        forward(model, cache_dir, engines=(EngineName.ONNXRUNTIME,), precisions=(Precision.BF16,), rounds=1)


def test_report_is_markdown_and_a_table() -> None:
    report = Table("title", ["a", "b"], [["1", "2"]])
    assert report.markdown() == "**title**\n\n| a | b |\n| --- | --- |\n| 1 | 2 |"
    with Console(file=io.StringIO()) as console, console.capture() as captured:
        console.print(report.rich())
    assert re.search(r"title.*a.*b.*1.*2", captured.get(), re.DOTALL)


def test_command_names_the_machine_and_prints_both_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "PHOTO_SIZES", ((64, 48), (128, 96)))
    arguments = ["bench", "--model", "embedded", "--engine", "torchscript", "--threads", "1", "--input-size", "64"]
    result = CliRunner().invoke(main, [*arguments, "--rounds", "1", "--markdown"])
    assert result.exit_code == 0, result.output
    assert re.match(r".+, \d+ CPUs; torch \d", result.output)
    for text in (
        "**embedded, forward pass",
        "| 64 | torchscript | fp32 | 1 |",
        "| photo | decode JPEG |",
        "| 128 x 96 |",
    ):
        assert text in result.output


def test_folder_without_photos_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["bench", "--model", "embedded", "--photos", str(tmp_path)])
    assert result.exit_code == 1
    assert (
        f"{tmp_path}: no JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP or GIF file. Choose a folder with photos."
        in result.output
    )
