"""A description that cannot be used says which file and which of its fields is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from depthsvc.errors import ModelError
from depthsvc.imaging.spec import InputSpec, ResizeRule
from depthsvc.model.custom import is_model_path, read_description
from depthsvc.model.spec import OutputKind

INPUT = {"size": 64, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
DESCRIPTION = {"input": INPUT, "output": "depth"}


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "own.pt"
    path.touch()
    return path


def _describe(model_file: Path, text: str) -> None:
    model_file.with_suffix(".json").write_text(text)


def test_description_is_read_with_its_defaults(model_file: Path) -> None:
    _describe(model_file, json.dumps(DESCRIPTION))
    description = read_description(model_file)
    assert description.spec("own").input == InputSpec(64, ResizeRule.UPPER_BOUND, 32, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    assert description.output is OutputKind.DEPTH
    assert description.name is None


def test_every_field_is_read(model_file: Path) -> None:
    fields = {"name": "my-model.v2", "input": {**INPUT, "rule": "stretch", "multiple": 14}, "output": "inverse_depth"}
    _describe(model_file, json.dumps(fields))
    description = read_description(model_file)
    assert description.name == "my-model.v2"
    assert description.spec("own").input == InputSpec(64, ResizeRule.STRETCH, 14, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    assert description.output is OutputKind.INVERSE_DEPTH


def test_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=re.escape(f"{tmp_path / 'own.pt'} does not exist or is not a file.")):
        read_description(tmp_path / "own.pt")


def test_missing_description_is_told_with_an_example_that_works(model_file: Path) -> None:
    with pytest.raises(ModelError, match="which cannot be read: No such file or directory") as caught:
        read_description(model_file)
    message = str(caught.value)
    assert message.startswith(f"{model_file} needs a description in {model_file.with_suffix('.json')}, ")
    _describe(model_file, message.partition("Example: ")[2])
    assert read_description(model_file).output is OutputKind.INVERSE_DEPTH


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Invalid JSON: EOF"),
        ('{"input": ', "Invalid JSON: EOF"),
        ("[]", "Input should be an object"),
        ("{}", "input: Field required; output: Field required"),
    ],
    ids=["empty", "cut off", "list", "no fields"],
)
def test_text_that_is_no_description_is_refused(model_file: Path, text: str, problem: str) -> None:
    _describe(model_file, text)
    with pytest.raises(ModelError) as caught:
        read_description(model_file)
    path = model_file.with_suffix(".json")
    assert str(caught.value).startswith(f"{path} is not a valid model description: {problem}")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"outptu": "depth"}, "outptu: there is no such field."),
        ({"output": "feet"}, "output: 'feet' is not one of inverse_depth, depth, affine_depth, metres."),
        ({"input": {**INPUT, "colour": "BGR"}}, "input.colour: there is no such field."),
        ({"input": {**INPUT, "std": [1, 0, 1]}}, "input.std.1: Input should be greater than 0."),
        ({"input": {**INPUT, "std": [1, 1]}}, "input.std.2: Field required."),
        ({"input": {**INPUT, "mean": [0, float("nan"), 0]}}, "input.mean.1: Input should be a finite number."),
        ({"input": {**INPUT, "std": [1, 1, float("inf")]}}, "input.std.2: Input should be a finite number."),
        ({"input": {**INPUT, "size": 0}}, "input.size: Input should be greater than or equal to 8."),
        ({"input": {**INPUT, "multiple": 0}}, "input.multiple: Input should be greater than or equal to 1."),
        (
            {"input": {**INPUT, "rule": "crop"}},
            "input.rule: 'crop' is not one of upper_bound, lower_bound, minimal, stretch",
        ),
        ({"name": "two words"}, "name: String should match pattern "),
        ({"name": "深度"}, "name: String should match pattern "),
    ],
)
def test_wrong_field_is_named(model_file: Path, change: dict[str, Any], problem: str) -> None:
    _describe(model_file, json.dumps({**DESCRIPTION, **change}))
    with pytest.raises(ModelError, match=re.escape(f" is not a valid model description: {problem}")):
        read_description(model_file)


def test_every_wrong_field_is_named_at_once(model_file: Path) -> None:
    _describe(model_file, json.dumps({"input": {**INPUT, "std": [0, 0, 1]}, "output": "depth", "scale": 2}))
    with pytest.raises(ModelError) as caught:
        read_description(model_file)
    assert all(f"{field}: " in str(caught.value) for field in ("input.std.0", "input.std.1", "scale"))


@pytest.mark.parametrize("model", ["own.pt", "a/b.ts", "x.torchscript", "own.onnx", "OWN.ONNX"])
def test_file_names_are_models_of_the_user(model: str) -> None:
    assert is_model_path(model)


@pytest.mark.parametrize("model", ["auto", "midas_small", "embedded", "own.json", "own.safetensors", ""])
def test_other_names_are_not(model: str) -> None:
    assert not is_model_path(model)
