"""Workers and deadlines that fit the models and this machine, where the settings leave them open."""

from __future__ import annotations

import math
from dataclasses import replace

from depthsvc.errors import ConfigurationError
from depthsvc.machine.capacity import available_cpus, available_memory_bytes
from depthsvc.model.choice import EngineName
from depthsvc.model.engines.kinds import KINDS
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
_COPIES = {
    EngineName.TORCHSCRIPT: 1.1,
    EngineName.OPENVINO: 2.0,
    EngineName.ONNXRUNTIME: 2.0,
    EngineName.NCNN: 2.5,
}
"""How many times its file's size a loaded model takes: engines rearrange weights for the processor."""
_USABLE = 0.9
"""Fraction of the memory that workers are planned for where nobody has asked for a number of them."""
_PHOTOS = 15
"""A deadline is at least so many times the time that a worker needs for a normal photo."""


def workers_that_fit(settings: Settings, models: tuple[PreparedModel, ...]) -> int:
    """The workers that have been set, or as many as there are CPUs and the memory holds.

    Raises ConfigurationError if the workers that have been set, or even one, do not fit.
    """
    memory, each = available_memory_bytes(), worker_bytes(settings, models)
    least = settings.workers if settings.has_workers else 1
    once = _SERVER_BYTES + shared_bytes(models)
    if once + least * each > memory:
        names = " and ".join(model.name for model in models)
        fewer = int((memory - once) // each)
        advice = f"Use --workers {fewer}." if 0 < fewer < least else "Use a smaller model, or fewer at a time."
        raise ConfigurationError(
            f"{least} worker(s) with {names} need about {(once + least * each) / 1e9:.1f} GB of memory, and "
            f"this machine has {memory / 1e9:.1f} GB. {advice}"
        )
    fit = int((_USABLE * memory - once) // each)
    return settings.workers if settings.has_workers else max(1, min(settings.workers, fit))


def deadline_s(settings: Settings, models: tuple[PreparedModel, ...]) -> float:
    """The deadline that has been set, or one that gives the slowest model time."""
    if "deadline_s" in settings.model_fields_set:
        return settings.deadline_s
    return max(settings.deadline_s, math.ceil(_PHOTOS * _slowest_s(settings, models)))


def with_threads(models: tuple[PreparedModel, ...], threads: int) -> tuple[PreparedModel, ...]:
    """The models with this many threads in each worker."""
    return tuple(replace(model, choice=replace(model.choice, threads=threads)) for model in models)


def with_idle_cpus(models: tuple[PreparedModel, ...]) -> tuple[PreparedModel, ...]:
    """The models with more threads where a photo that comes alone is faster then, and others hardly slower."""
    return tuple(
        replace(model, choice=replace(model.choice, threads=max(model.choice.threads, _threads_alone(model))))
        for model in models
    )


def _threads_alone(model: PreparedModel) -> int:
    return min(KINDS[model.choice.engine].threads_alone, available_cpus())


def worker_bytes(settings: Settings, models: tuple[PreparedModel, ...]) -> float:
    """Memory of a worker alone that holds these models and works on a normal photo, in bytes."""
    loaded = sum(_file_bytes(model) * _COPIES[model.choice.engine] for model in models if not _is_shared(model))
    largest = max(Prices().peak_bytes(_normal(settings, model)) for model in models)
    return _PROCESS_BYTES + loaded + largest


def shared_bytes(models: tuple[PreparedModel, ...]) -> float:
    """Memory of what all workers of these models share, in bytes."""
    return sum(_file_bytes(model) for model in models if _is_shared(model))


def _is_shared(model: PreparedModel) -> bool:
    """Whether its weights are mapped, so that they are in memory once, however many workers there are."""
    return model.choice.engine is EngineName.TORCHSCRIPT and not model.custom


def _file_bytes(model: PreparedModel) -> int:
    return sum(file.path.stat().st_size for file in (model.file, *model.file.beside))


def _slowest_s(settings: Settings, models: tuple[PreparedModel, ...]) -> float:
    """Listed processor time of a normal photo by the slowest of the models."""
    return max(sum(Prices().listed_s(_normal(settings, model)).values()) for model in models)


def _normal(settings: Settings, model: PreparedModel) -> Works:
    limits = Limits(model.spec, settings.max_pixels, settings.max_input_size)
    return works_of(NORMAL, HeatmapOptions(), limits)
