"""Which engine and precision a person gets for what they ask, on which machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from depthsvc.errors import ConfigurationError, ModelError
from depthsvc.model.choice import EngineChoice, EngineName, Precision, WeightsLocations
from depthsvc.model.engines import selection
from depthsvc.model.engines.kinds import KINDS, ONNXRUNTIME, OPENVINO, TORCHSCRIPT
from depthsvc.model.engines.selection import AUTO_ERROR, engines_for, precision_for
from depthsvc.model.prepare import prepare
from depthsvc.model.registry import registered
from depthsvc.model.resolve import resolve
from depthsvc.model.spec import ModelSpec, OutputKind, ResolvedModel, VerifiedFile


@pytest.fixture
def embedded_files(cache_dir: Path) -> ResolvedModel:
    return resolve("embedded", WeightsLocations(cache_dir))


def own(name: str) -> ResolvedModel:
    """A user's own model in a file of this name."""
    spec = ModelSpec("own", registered("embedded").spec.input, OutputKind.DEPTH)
    return ResolvedModel(spec, VerifiedFile(Path(name), "0" * 64), architecture=None)


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Makes this a machine whose processor has bf16, or has not."""

    def make(has_bf16: bool) -> None:
        monkeypatch.setattr(selection, "has_bf16", lambda: has_bf16)

    return make


@pytest.mark.parametrize("engine", list(KINDS))
def test_the_chosen_engine_is_used(engine: EngineName, embedded_files: ResolvedModel) -> None:
    assert engines_for(embedded_files, EngineChoice(engine)) == [KINDS[engine]]


def test_auto_considers_what_is_installed(embedded_files: ResolvedModel, without: Callable[[str], None]) -> None:
    auto = EngineChoice(EngineName.AUTO)
    assert engines_for(embedded_files, auto) == [TORCHSCRIPT, OPENVINO, ONNXRUNTIME]
    without("onnx")
    assert engines_for(embedded_files, auto) == [TORCHSCRIPT, OPENVINO]
    without("openvino")
    assert engines_for(embedded_files, auto) == [TORCHSCRIPT]


def test_auto_with_bf16_considers_what_has_it(embedded_files: ResolvedModel) -> None:
    assert engines_for(embedded_files, EngineChoice(EngineName.AUTO, Precision.BF16)) == [TORCHSCRIPT, OPENVINO]


@pytest.mark.parametrize(
    ("file", "engine", "kinds"),
    [
        ("own.pt", EngineName.OPENVINO, [TORCHSCRIPT]),
        ("own.pt", EngineName.AUTO, [TORCHSCRIPT]),
        ("own.onnx", EngineName.TORCHSCRIPT, [ONNXRUNTIME]),
        ("own.onnx", EngineName.OPENVINO, [OPENVINO]),
        ("own.onnx", EngineName.AUTO, [ONNXRUNTIME, OPENVINO]),
    ],
)
def test_a_users_file_is_run_by_what_can_run_it(file: str, engine: EngineName, kinds: list[object]) -> None:
    assert engines_for(own(file), EngineChoice(engine)) == kinds


def test_bf16_is_refused_where_the_processor_has_none(
    embedded_files: ResolvedModel, processor: Callable[[bool], None]
) -> None:
    processor(False)
    with pytest.raises(ConfigurationError, match="this processor has no bf16"):
        precision_for(embedded_files, TORCHSCRIPT, Precision.BF16)
    assert precision_for(embedded_files, TORCHSCRIPT, Precision.AUTO) is Precision.FP32


def test_bf16_is_taken_where_the_processor_has_it(
    embedded_files: ResolvedModel, processor: Callable[[bool], None]
) -> None:
    processor(True)
    assert precision_for(embedded_files, OPENVINO, Precision.BF16) is Precision.BF16
    with pytest.raises(ConfigurationError, match="onnxruntime has no bf16"):
        precision_for(embedded_files, ONNXRUNTIME, Precision.BF16)
    with pytest.raises(ConfigurationError, match="own is a TorchScript file with its own precision"):
        precision_for(own("own.pt"), TORCHSCRIPT, Precision.BF16)


@pytest.mark.parametrize(
    ("error", "precision"),
    [(AUTO_ERROR / 2, Precision.BF16), (AUTO_ERROR * 1.01, Precision.FP32), (None, Precision.FP32)],
)
def test_auto_takes_bf16_only_where_it_is_known_to_be_exact(
    embedded_files: ResolvedModel,
    processor: Callable[[bool], None],
    error: float | None,
    precision: Precision,
) -> None:
    processor(True)
    model = replace(embedded_files, bf16_error=error)
    assert precision_for(model, TORCHSCRIPT, Precision.AUTO) is precision
    assert precision_for(model, ONNXRUNTIME, Precision.AUTO) is Precision.FP32


def test_the_error_of_the_embedded_models_weights_is_known(embedded_files: ResolvedModel) -> None:
    assert embedded_files.bf16_error, "measure it as docs/engines.md tells"


def test_auto_measures_and_takes_the_fastest(embedded_files: ResolvedModel, cache_dir: Path) -> None:
    prepared = prepare(embedded_files, cache_dir, EngineChoice(EngineName.AUTO, Precision.AUTO))
    installed = {name for name, kind in KINDS.items() if kind.can_write()}
    assert prepared.measured.keys() == installed
    assert list(prepared.measured.values()) == sorted(prepared.measured.values())
    assert prepared.choice.engine == next(iter(prepared.measured))
    assert prepared.file.path.suffix == KINDS[prepared.choice.engine].suffix


def test_auto_goes_on_without_an_engine_that_cannot_be_imported(
    embedded_files: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module in ("depthsvc.model.engines.openvino", "depthsvc.model.engines.onnxruntime"):
        monkeypatch.setitem(sys.modules, module, None)
    prepared = prepare(embedded_files, tmp_path, EngineChoice(EngineName.AUTO))
    assert list(prepared.measured) == [EngineName.TORCHSCRIPT]
    assert any(
        said.startswith("engine auto skips openvino: The engine openvino is installed but") for said in caplog.messages
    )
    with pytest.raises(ModelError, match="cannot be imported"):
        prepare(embedded_files, tmp_path, EngineChoice(EngineName.OPENVINO))


def test_auto_goes_on_without_an_engine_that_fails(
    embedded_files: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from depthsvc.model.engines import openvino

    def fail(*_: object) -> None:
        raise RuntimeError("this processor is too old")

    monkeypatch.setattr(openvino, "write", fail)
    prepared = prepare(embedded_files, tmp_path, EngineChoice(EngineName.AUTO))
    assert EngineName.OPENVINO not in prepared.measured
    assert "engine auto skips openvino: this processor is too old" in caplog.messages
