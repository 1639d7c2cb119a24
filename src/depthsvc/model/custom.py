"""Custom models: a TorchScript or ONNX file with a JSON description next to it. Does not import torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from depthsvc.errors import ModelError, problem_reason
from depthsvc.imaging.spec import Enlargement, InputSpec, Interpolation, ResizeRule
from depthsvc.model.spec import ModelSpec, OutputKind

TORCHSCRIPT_SUFFIXES = (".pt", ".ts", ".torchscript")
ONNX_SUFFIXES = (".onnx",)

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _InputDescription(BaseModel):
    """How a photo becomes the network's input, float32 (1, 3, h, w) of RGB."""

    model_config = ConfigDict(extra="forbid")

    size: int = Field(ge=8, le=4096, description="Input size in pixels.")
    rule: ResizeRule = Field(ResizeRule.UPPER_BOUND, description="How the photo's sides are sized for the input.")
    multiple: int = Field(32, ge=1, description="Both sides become multiples of this.")
    mean: tuple[_Finite, _Finite, _Finite] = Field(description="Subtracted from RGB in 0..1.")
    std: tuple[_Positive, _Positive, _Positive] = Field(description="Divides RGB after the mean is subtracted.")
    interpolation: Interpolation = Field(Interpolation.BICUBIC, description="How the photo is resized.")
    width: int | None = Field(None, ge=8, le=4096, description="Input size of the width where it differs.")
    padded: bool = Field(False, description="Whether the photo is extended by its reflection, as for ZoeDepth.")


class ModelDescription(BaseModel):
    """The JSON file next to a custom model."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.+-]+$")
    input: _InputDescription
    output: OutputKind
    follows_edges: bool = Field(False, description="Whether to sharpen the map along the photo's edges.")
    enlargement: Enlargement = Field(Enlargement.BICUBIC, description="How the map is upsampled to the photo's size.")
    mirrored: bool = Field(False, description="Whether to return the mean with the mirrored photo's map.")
    farthest_m: float | None = Field(None, gt=0, allow_inf_nan=False, description="Largest distance in metres.")

    @classmethod
    def of(cls, spec: ModelSpec) -> ModelDescription:
        """The description of an existing model."""
        return cls.model_validate(asdict(spec))

    def spec(self, default_name: str) -> ModelSpec:
        """The described model, named `default_name` if the description has no name."""
        fields = {**dict(self), "name": self.name or default_name, "input": InputSpec(**dict(self.input))}
        return ModelSpec(**fields)


def is_model_path(model: str) -> bool:
    """Whether `model` is the path of a custom model rather than a registered name."""
    return Path(model).suffix.lower() in TORCHSCRIPT_SUFFIXES + ONNX_SUFFIXES


def default_name(model_file: Path) -> str:
    """The name of a model whose description has none: its file's, reduced to characters that a header can carry."""
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", model_file.stem).strip("-") or "model"


def read_description(model_file: Path) -> ModelDescription:
    """The description of a custom model: `model.json` next to `model.pt`.

    Raises ModelError if the model or the description is missing, or the description is invalid.
    """
    if not model_file.is_file():
        raise ModelError(f"{model_file} does not exist or is not a file.")
    path = model_file.with_suffix(".json")
    try:
        return ModelDescription.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelError(
            f"{model_file} needs a description in {path}, which cannot be read: {error.strerror}. Example: "
            '{"input": {"size": 256, "rule": "upper_bound", "multiple": 32, "mean": [0.485, 0.456, 0.406], '
            '"std": [0.229, 0.224, 0.225]}, "output": "inverse_depth"}'
        ) from error
    except ValidationError as error:
        problems = "; ".join(map(_in_words, error.errors()))
        raise ModelError(f"{path} is not a valid model description: {problems}.") from error


def _in_words(problem: Mapping[str, Any]) -> str:
    where = ".".join(map(str, problem["loc"]))
    return f"{where}: {problem_reason(problem, 'field')}" if where else problem_reason(problem, "field")
