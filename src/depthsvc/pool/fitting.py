"""Workers and deadlines that fit the models and this machine, where the settings leave them open."""

from __future__ import annotations

import math
from dataclasses import replace

from depthsvc.errors import ConfigurationError
from depthsvc.machine.capacity import available_memory_bytes
from depthsvc.model.choice import EngineName
from depthsvc.model.spec import PreparedModel
from depthsvc.options import HeatmapOptions
from depthsvc.pipeline.cost import NORMAL, works_of
from depthsvc.pipeline.limits import Limits
from depthsvc.pipeline.prices import Prices, Works
from depthsvc.settings import Settings

_PROCESS_BYTES = 110e6
"""Memory of a worker without a model."""
_SERVER_BYTES = 200e6
"""Memory of everything but the workers."""
_COPIES = {EngineName.TORCHSCRIPT: 1.1, EngineName.OPENVINO: 2.0, EngineName.ONNXRUNTIME: 2.0}
"""How many times its file's size a loaded model takes: engines rearrange weights for the processor."""
_USABLE = 0.9
"""Fraction of the memory that workers are planned for where nobody has asked for a number of them."""
_PHOTOS = 15
"""A deadline is at least so many times the time that a worker needs for a normal photo."""


def fitted(settings: Settings, models: tuple[PreparedModel, ...]) -> Settings:
    """Settings whose workers fit into the memory, and whose deadline gives the slowest model time.

    What has been set stays. Raises ConfigurationError if the workers that have been set, or even one, do not fit.
    """
    fields: dict[str, object] = {"workers": _workers(settings, models)}
    if "deadline_s" not in settings.model_fields_set:
        fields["deadline_s"] = max(settings.deadline_s, math.ceil(_PHOTOS * _slowest_s(settings, models)))
    return settings.model_copy(update=fields)


def with_threads(models: tuple[PreparedModel, ...], threads: int) -> tuple[PreparedModel, ...]:
    """The models with so many threads in each worker."""
    return tuple(replace(model, choice=replace(model.choice, threads=threads)) for model in models)


def worker_bytes(settings: Settings, models: tuple[PreparedModel, ...]) -> float:
    """Memory of a worker that holds these models and works on a normal photo, in bytes."""
    loaded = sum(_file_bytes(model) * _COPIES[model.choice.engine] for model in models)
    largest = max(Prices().peak_bytes(_normal(settings, model)) for model in models)
    return _PROCESS_BYTES + loaded + largest


def _workers(settings: Settings, models: tuple[PreparedModel, ...]) -> int:
    memory, each = available_memory_bytes(), worker_bytes(settings, models)
    asked = settings.workers if "workers" in settings.model_fields_set else None
    if _SERVER_BYTES + (asked or 1) * each > memory:
        names = " and ".join(model.name for model in models)
        fewer = int((memory - _SERVER_BYTES) // each)
        advice = f"Use --workers {fewer}." if asked and fewer > 0 else "Use a smaller model, or fewer at a time."
        raise ConfigurationError(
            f"{asked or 1} worker(s) with {names} need about {(_SERVER_BYTES + (asked or 1) * each) / 1e9:.1f} GB of "
            f"memory, and this machine has {memory / 1e9:.1f} GB. {advice}"
        )
    return asked or max(1, min(settings.workers, int((_USABLE * memory - _SERVER_BYTES) // each)))


def _file_bytes(model: PreparedModel) -> int:
    return sum(file.path.stat().st_size for file in (model.file, *model.file.beside))


def _slowest_s(settings: Settings, models: tuple[PreparedModel, ...]) -> float:
    """Listed processor time of a normal photo by the slowest of the models."""
    return max(sum(Prices().listed_s(_normal(settings, model)).values()) for model in models)


def _normal(settings: Settings, model: PreparedModel) -> Works:
    limits = Limits(model.spec, settings.max_pixels, settings.max_input_size)
    return works_of(NORMAL, HeatmapOptions(), limits)
