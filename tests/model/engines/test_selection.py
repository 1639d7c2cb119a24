"""Which engine and precision a person gets for what they ask, on which machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from depthsvc.errors import ConfigurationError, ModelError
from depthsvc.model.choice import AUTO_DEVICE, Device, EngineChoice, EngineName, Precision, WeightsLocations
from depthsvc.model.engines import selection
from depthsvc.model.engines.devices import Gpus
from depthsvc.model.engines.kinds import KINDS, NCNN, ONNXRUNTIME, OPENVINO, TORCHSCRIPT
from depthsvc.model.engines.selection import AUTO_ERROR, engines_for, on_this_machine, precision_for
from depthsvc.model.prepare import prepare
from depthsvc.model.registry import registered
from depthsvc.model.resolve import resolve
from depthsvc.model.spec import ModelSpec, OutputKind, ResolvedModel, VerifiedFile
from tests.model.gpus import gpu


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
    assert engines_for(embedded_files, auto) == [TORCHSCRIPT, OPENVINO, ONNXRUNTIME, NCNN]
    without("ncnn")
    assert engines_for(embedded_files, auto) == [TORCHSCRIPT, OPENVINO, ONNXRUNTIME]
    without("onnx")
    assert engines_for(embedded_files, auto) == [TORCHSCRIPT, OPENVINO]
    without("openvino")
    assert engines_for(embedded_files, auto) == [TORCHSCRIPT]


@pytest.mark.parametrize("engine", [EngineName.NCNN, EngineName.AUTO])
def test_a_transformer_is_not_given_to_an_engine_for_convolutions(engine: EngineName) -> None:
    transformer = registered("depth_anything_v2_small")
    files = ResolvedModel(transformer.spec, VerifiedFile(Path("weights"), "0" * 64), transformer.architecture)
    assert NCNN not in engines_for(files, EngineChoice(engine))


def test_a_model_that_runs_on_another_engine_than_the_chosen_one_is_told(
    embedded_files: ResolvedModel,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(KINDS, EngineName.NCNN, replace(NCNN, families=()))
    prepared = prepare(embedded_files, cache_dir, EngineChoice(EngineName.NCNN))
    assert prepared.choice.engine is EngineName.TORCHSCRIPT
    assert caplog.messages == ["embedded cannot run on the engine ncnn; using torchscript."]


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
    for name in (EngineName.OPENVINO, EngineName.ONNXRUNTIME, EngineName.NCNN):
        monkeypatch.setitem(sys.modules, f"depthsvc.model.engines.{name}", None)
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

    def fail(*_: object, **_options: object) -> None:
        raise RuntimeError("this processor is too old")

    monkeypatch.setattr(openvino, "write", fail)
    prepared = prepare(embedded_files, tmp_path, EngineChoice(EngineName.AUTO))
    assert EngineName.OPENVINO not in prepared.measured
    assert "engine auto skips openvino: this processor is too old" in caplog.messages


CUDA = Device("cuda")
ONE_GPU = Gpus((gpu(0),))


def never() -> Gpus:
    raise AssertionError("nobody has to look for GPUs")


def test_nobody_looks_for_gpus_if_the_cpu_is_chosen(embedded_files: ResolvedModel) -> None:
    choice = EngineChoice(EngineName.AUTO, Precision.AUTO, threads=3)
    assert on_this_machine(embedded_files, choice, never) is choice


@pytest.mark.parametrize("device", [CUDA, AUTO_DEVICE])
@pytest.mark.parametrize("engine", [EngineName.TORCHSCRIPT, EngineName.AUTO])
def test_on_a_gpu_the_engine_is_torchscript(engine: EngineName, device: Device, embedded_files: ResolvedModel) -> None:
    chosen = on_this_machine(embedded_files, EngineChoice(engine, threads=2, device=device), lambda: ONE_GPU)
    assert chosen == EngineChoice(EngineName.TORCHSCRIPT, Precision.FP32, 2, Device("cuda:0"))


def test_auto_without_a_gpu_is_the_cpu_with_every_engine(embedded_files: ResolvedModel) -> None:
    wanted = EngineChoice(EngineName.AUTO, device=AUTO_DEVICE)
    assert on_this_machine(embedded_files, wanted, Gpus) == EngineChoice(EngineName.AUTO)


@pytest.mark.parametrize("engine", [EngineName.OPENVINO, EngineName.ONNXRUNTIME])
def test_other_engines_run_on_the_cpu_only(engine: EngineName, embedded_files: ResolvedModel) -> None:
    wanted = EngineChoice(engine, device=CUDA)
    with pytest.raises(ConfigurationError, match=f"the engine {engine} runs on the CPU only. Choose the engine torch"):
        on_this_machine(embedded_files, wanted, never)
    assert on_this_machine(embedded_files, replace(wanted, device=AUTO_DEVICE), never) == EngineChoice(engine)


def test_an_onnx_file_runs_on_the_cpu_only() -> None:
    with pytest.raises(ConfigurationError, match=r"own.onnx is an ONNX file, which runs on the CPU only"):
        on_this_machine(own("own.onnx"), EngineChoice(device=CUDA), never)
    assert on_this_machine(own("own.onnx"), EngineChoice(device=AUTO_DEVICE), never) == EngineChoice()


@pytest.mark.parametrize(
    ("error", "wanted", "precision"),
    [
        (None, Precision.AUTO, Precision.FP32),
        (AUTO_ERROR / 2, Precision.AUTO, Precision.BF16),
        (AUTO_ERROR * 1.01, Precision.AUTO, Precision.FP32),
        (None, Precision.FP16, Precision.FP16),
        (None, Precision.BF16, Precision.BF16),
    ],
)
def test_precision_on_a_gpu_does_not_ask_the_processor(
    error: float | None,
    wanted: Precision,
    precision: Precision,
    embedded_files: ResolvedModel,
    processor: Callable[[bool], None],
) -> None:
    processor(False)
    model = replace(embedded_files, bf16_error=error)
    assert precision_for(model, TORCHSCRIPT, wanted, CUDA) is precision


def test_a_gpu_without_bf16_computes_in_fp32_unless_bf16_is_asked_for(embedded_files: ResolvedModel) -> None:
    old = Gpus((gpu(0, has_bf16=False),))
    for asked, got in ((Precision.AUTO, Precision.FP32), (Precision.FP16, Precision.FP16)):
        choice = on_this_machine(embedded_files, EngineChoice(precision=asked, device=CUDA), lambda: old)
        assert choice.precision is got
    with pytest.raises(ConfigurationError, match=r"cuda:0 \(Fake 0\) has no bf16. Choose fp32 or fp16"):
        on_this_machine(embedded_files, EngineChoice(precision=Precision.BF16, device=CUDA), lambda: old)


def test_fp16_needs_a_gpu(embedded_files: ResolvedModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"fp16 is not available: it needs a GPU. Choose fp32, or device cuda"):
        prepare(embedded_files, tmp_path, EngineChoice(precision=Precision.FP16))


def test_a_torchscript_file_has_its_own_precision_on_a_gpu_too() -> None:
    with pytest.raises(ConfigurationError, match="own is a TorchScript file with its own precision"):
        precision_for(own("own.pt"), TORCHSCRIPT, Precision.FP16, CUDA)
    assert precision_for(own("own.pt"), TORCHSCRIPT, Precision.AUTO, CUDA) is Precision.FP32


def test_a_device_that_is_absent_is_reported_before_anything_is_prepared(
    embedded_files: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(ConfigurationError, match=r"this PyTorch has no CUDA. Install a build .* --index-url https"):
        prepare(embedded_files, tmp_path, EngineChoice(device=CUDA))
    assert prepare(embedded_files, tmp_path, EngineChoice(device=AUTO_DEVICE)).choice == EngineChoice()
