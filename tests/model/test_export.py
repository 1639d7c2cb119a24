"""What is exported can be served as a user's own model, and gives the same depth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from depthsvc import DepthEstimator
from depthsvc.cli import main
from depthsvc.imaging.resize import network_size, to_network_input
from depthsvc.model.choice import Precision
from depthsvc.model.engines.kinds import OPENVINO
from depthsvc.model.registry import registered
from tests import parity


def export(*arguments: object) -> list[str]:
    result = CliRunner().invoke(main, ["export", "--model", "embedded", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout.split()


@pytest.mark.parametrize("format", ["torchscript", "onnx"])
def test_exported_model_is_served_as_ones_own(format: str, tmp_path: Path, embedded: DepthEstimator) -> None:
    path = tmp_path / f"own.{'ts' if format == 'torchscript' else 'onnx'}"
    assert export("--format", format, "-o", path) == [str(path), str(path.with_suffix(".json"))]
    estimator = DepthEstimator(str(path), worker_threads=1)
    for height, width in ((240, 320), (320, 240), (100, 400)):
        photo = parity.photo(height, width)
        expected = embedded.predict(photo)
        depth = estimator.predict(photo)
        assert depth.model == "embedded"
        assert np.abs(depth.values - expected.values).max() <= 1e-3 * (expected.max - expected.min)


def test_exported_openvino_model_is_whole(tmp_path: Path, embedded: DepthEstimator) -> None:
    if not OPENVINO.can_run():
        pytest.skip("openvino is not installed")
    path = tmp_path / "own.xml"
    assert export("--format", "openvino", "-o", path) == [str(path.with_suffix(s)) for s in (".xml", ".bin", ".json")]
    spec = registered("embedded").spec.input
    photo = parity.photo(240, 320)
    planes = to_network_input(photo, *network_size(320, 240, spec), spec)
    values = OPENVINO.open(path, 1, Precision.FP32).infer(planes)[0]
    expected = embedded.pipeline.model.depth(planes)
    assert np.abs(values - expected).max() <= 1e-3 * (expected.max() - expected.min())


def test_description_is_that_of_the_registry(tmp_path: Path) -> None:
    export("-o", tmp_path / "own.ts")
    spec = registered("embedded").spec.input
    description = json.loads((tmp_path / "own.json").read_text())
    assert (description["name"], description["output"]) == ("embedded", "inverse_depth")
    assert description["follows_edges"] is True
    assert description["input"] == {
        "size": spec.size,
        "rule": "lower_bound",
        "multiple": 32,
        "mean": list(spec.mean),
        "std": list(spec.std),
        "interpolation": "area",
        "width": None,
        "padded": False,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "onnx", "-o", "own.ts"], "own.ts: wrong extension. Use .onnx for this format."),
        (["-o", "no/such/own.ts"], "the folder no/such does not exist"),
        (["--format", "onnx", "--precision", "bf16"], "With onnx, choose the precision when you run the file."),
        (["--model", "nonesuch"], "Unknown model 'nonesuch'"),
    ],
)
def test_what_cannot_be_exported_is_explained(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["export", "--model", "embedded", *arguments])
    assert result.exit_code == 1
    assert message in result.output
