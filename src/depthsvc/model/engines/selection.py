"""The engines that can run a model, in which precision and on which device. Imports none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from depthsvc.errors import ConfigurationError
from depthsvc.model.choice import CPU, Device, EngineChoice, EngineName, Precision
from depthsvc.model.custom import ONNX_SUFFIXES
from depthsvc.model.engines.devices import Gpus, has_bf16
from depthsvc.model.engines.kinds import KINDS, ONNXRUNTIME, OPENVINO, TORCHSCRIPT, EngineKind
from depthsvc.model.spec import ResolvedModel

AUTO_ERROR = 1 / 255
"""`precision=auto` chooses bf16 only if 99 % of every photo's pixels differ from fp32 by no more than this fraction of
the photo's range of inverse depth."""


def on_this_machine(model: ResolvedModel, choice: EngineChoice, gpus: Callable[[], Gpus]) -> EngineChoice:
    """The choice with a device that this machine has, instead of `auto`. On a GPU its engine is TorchScript.

    `gpus` is called if the choice depends on them. Raises ConfigurationError if the device is not available, or if it
    does not suit the model, the engine or the precision.
    """
    if choice.device == CPU:
        return choice
    if problem := _only_on_cpu(model, choice):
        if choice.device.is_cuda:
            raise ConfigurationError(f"device {choice.device} is not available: {problem}")
        return replace(choice, device=CPU)
    found = gpus()
    device = found.chosen(choice.device)
    if device == CPU:
        return replace(choice, device=CPU)
    return replace(choice, engine=EngineName.TORCHSCRIPT, device=device, precision=_on_gpu(choice, found, device))


def _only_on_cpu(model: ResolvedModel, choice: EngineChoice) -> str:
    """Why this model in this engine cannot run on a GPU, and what to do, in a sentence; empty if it can."""
    if TORCHSCRIPT in engines_for(model, choice):
        return ""
    if TORCHSCRIPT in _able(model):
        return f"the engine {choice.engine} runs on the CPU only. Choose the engine torchscript, or device cpu."
    return f"{model.file.path} is an ONNX file, which runs on the CPU only. Choose device cpu, or a TorchScript file."


def _on_gpu(choice: EngineChoice, gpus: Gpus, device: Device) -> Precision:
    """The precision to ask for on a GPU, which may have no bf16."""
    gpu = gpus.gpu(device)
    if gpu.has_bf16 or choice.precision not in (Precision.BF16, Precision.AUTO):
        return choice.precision
    if choice.precision is Precision.BF16:
        raise ConfigurationError(
            f"precision bf16 is not available: {device} ({gpu.name}) has no bf16. Choose fp32 or fp16."
        )
    return Precision.FP32


def engines_for(model: ResolvedModel, choice: EngineChoice) -> list[EngineKind]:
    """The engines to try for a model: the chosen one, or with `auto` all that can run it."""
    able = _able(model)
    if choice.engine is not EngineName.AUTO:
        chosen = KINDS[choice.engine]
        return [chosen if chosen in able else able[0]]
    ready = [kind for kind in able if (kind.can_write() if model.architecture else kind.can_run())]
    precise = [kind for kind in ready if choice.precision is not Precision.BF16 or Precision.BF16 in kind.precisions]
    return precise or able[:1]


def precision_for(model: ResolvedModel, kind: EngineKind, wanted: Precision, device: Device = CPU) -> Precision:
    """The precision to use for this model and engine. Raises ConfigurationError if `wanted` is not available.

    A GPU is assumed to have bf16, which `on_this_machine` checks.
    """
    fixed = model.architecture is None and kind is TORCHSCRIPT
    has_numbers = device.is_cuda or has_bf16()
    if wanted is Precision.AUTO:
        offered = Precision.BF16 in kind.precisions_on(device) and not fixed
        exact = model.bf16_error is not None and model.bf16_error <= AUTO_ERROR
        return Precision.BF16 if offered and exact and has_numbers else Precision.FP32
    if wanted is Precision.FP32:
        return wanted
    if wanted is Precision.FP16 and not device.is_cuda:
        raise ConfigurationError("precision fp16 is not available: it needs a GPU. Choose fp32, or device cuda.")
    if fixed or wanted not in kind.precisions_on(device):
        what = f"{model.name} is a TorchScript file with its own precision" if fixed else f"{kind.name} has no bf16"
        raise ConfigurationError(f"precision {wanted} is not available: {what}. Choose fp32, or another engine.")
    if not has_numbers:
        raise ConfigurationError("precision bf16 is not available: this processor has no bf16. Choose fp32 or auto.")
    return wanted


def _able(model: ResolvedModel) -> list[EngineKind]:
    """All engines that can run a model, the default first."""
    if model.architecture is None:
        return _engines_for_file(model.file.path)
    return [kind for kind in KINDS.values() if kind.suits(model.architecture)]


def _engines_for_file(path: Path) -> list[EngineKind]:
    """The engines that run a custom model's file, the default first."""
    return [ONNXRUNTIME, OPENVINO] if path.suffix.lower() in ONNX_SUFFIXES else [TORCHSCRIPT]
