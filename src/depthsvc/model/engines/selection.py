"""The engines that can run a model, and in which precision. Imports none of them."""

from __future__ import annotations

from pathlib import Path

from depthsvc.errors import ConfigurationError
from depthsvc.model.choice import EngineChoice, EngineName, Precision
from depthsvc.model.custom import ONNX_SUFFIXES
from depthsvc.model.engines.devices import has_bf16
from depthsvc.model.engines.kinds import KINDS, ONNXRUNTIME, OPENVINO, TORCHSCRIPT, EngineKind
from depthsvc.model.spec import ResolvedModel

AUTO_ERROR = 1 / 255
"""`precision=auto` chooses bf16 only if 99 % of every photo's pixels differ from fp32 by no more than this fraction of
the photo's range of inverse depth."""


def engines_for(model: ResolvedModel, choice: EngineChoice) -> list[EngineKind]:
    """The engines to try for a model: the chosen one, or with `auto` all that can run it."""
    able = [TORCHSCRIPT, OPENVINO, ONNXRUNTIME] if model.architecture else _engines_for_file(model.file.path)
    if choice.engine is not EngineName.AUTO:
        chosen = KINDS[choice.engine]
        return [chosen if chosen in able else able[0]]
    ready = [kind for kind in able if (kind.can_write() if model.architecture else kind.can_run())]
    precise = [kind for kind in ready if choice.precision is not Precision.BF16 or Precision.BF16 in kind.precisions]
    return precise or able[:1]


def precision_for(model: ResolvedModel, kind: EngineKind, wanted: Precision) -> Precision:
    """The precision to use for this model and engine. Raises ConfigurationError if `wanted` is not available."""
    fixed = model.architecture is None and kind is TORCHSCRIPT
    offered = Precision.BF16 in kind.precisions and not fixed
    if wanted is Precision.AUTO:
        exact = model.bf16_error is not None and model.bf16_error <= AUTO_ERROR
        return Precision.BF16 if offered and exact and has_bf16() else Precision.FP32
    if wanted is Precision.BF16 and not offered:
        what = f"{model.name} is a TorchScript file with its own precision" if fixed else f"{kind.name} has no bf16"
        raise ConfigurationError(f"precision bf16 is not available: {what}. Choose fp32, or another engine.")
    if wanted is Precision.BF16 and not has_bf16():
        raise ConfigurationError("precision bf16 is not available: this processor has no bf16. Choose fp32 or auto.")
    return wanted


def _engines_for_file(path: Path) -> list[EngineKind]:
    """The engines that run a custom model's file, the default first."""
    return [ONNXRUNTIME, OPENVINO] if path.suffix.lower() in ONNX_SUFFIXES else [TORCHSCRIPT]
