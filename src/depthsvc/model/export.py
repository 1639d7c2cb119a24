"""Exporting a registered model to a file, for other programs or for `--model FILE`. Does not import torch itself."""

from __future__ import annotations

from pathlib import Path

from depthsvc.errors import ConfigurationError
from depthsvc.model.choice import Precision
from depthsvc.model.custom import ModelDescription
from depthsvc.model.engines.kinds import EngineKind
from depthsvc.model.spec import ResolvedModel


def export(model: ResolvedModel, kind: EngineKind, path: Path, precision: Precision = Precision.FP32) -> list[Path]:
    """Write the model's network to `path` and its description next to it; returns the written files.

    Imports torch. Raises ConfigurationError for a custom model, which already is such a file, for a path whose
    extension is not the format's, and for missing packages; OSError if a file cannot be written.
    """
    if model.architecture is None:
        raise ConfigurationError(
            f"{model.file.path} is already a network file. Only registered models can be exported."
        )
    if path.suffix.lower() != kind.suffix:
        raise ConfigurationError(f"{path}: wrong extension. Use {kind.suffix} for this format.")
    kind.require()
    from depthsvc.model.networks.checkpoint import load_network

    kind.write(load_network(model.architecture, model.file), model.spec.input, path, precision, whole=True)
    description = ModelDescription.of(model.spec)
    beside = path.with_suffix(".json")
    beside.write_text(description.model_dump_json(indent=2) + "\n")
    return [path, *([path.with_suffix(".bin")] if kind.suffix == ".xml" else []), beside]
