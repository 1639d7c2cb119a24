"""Making the file that an engine loads from a resolved model, once for the whole service."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from depthsvc.errors import DepthServiceError
from depthsvc.model.choice import EngineChoice, EngineName
from depthsvc.model.engines.cache import artefact, is_made
from depthsvc.model.engines.kinds import EngineKind
from depthsvc.model.engines.selection import engines_for, on_this_machine, precision_for
from depthsvc.model.gpus import find_gpus
from depthsvc.model.loaded import Model, open_model
from depthsvc.model.spec import PreparedModel, ResolvedModel

logger = logging.getLogger(__name__)

AUTO_MEASURE_S = 1.5
"""Seconds that `engine=auto` measures, after loading and warming each engine."""

DEFAULT_CHOICE = EngineChoice()


def prepare(model: ResolvedModel, cache_dir: Path, choice: EngineChoice = DEFAULT_CHOICE) -> PreparedModel:
    """Make the file that an engine loads, or find it in the cache, and check that a custom model runs.

    With the engine `auto`, do so for every installed engine and choose the fastest. With the device `auto`, choose one.
    Imports torch unless everything is in the cache and another engine is chosen. Raises WeightsError or ModelError,
    naming the file and the reason, and ConfigurationError if the engine is not installed or does not support this
    precision, or if the device is not available.
    """
    choice = on_this_machine(model, choice, find_gpus)
    kinds = engines_for(model, choice)
    if model.architecture and choice.engine not in (EngineName.AUTO, kinds[0].name):
        logger.warning("%s cannot run on the engine %s; using %s.", model.name, choice.engine, kinds[0].name)
    if len(kinds) == 1:
        return _prepare_with(model, kinds[0], cache_dir, choice)
    return _fastest(_all_opened(model, kinds, cache_dir, choice))


def is_prepared(model: ResolvedModel, cache_dir: Path, choice: EngineChoice) -> bool:
    """Whether `prepare` would find every file in the cache, and so be quick. Raises ConfigurationError as it does.

    The choice's device is one of this machine, not `auto`.
    """
    return model.architecture is None or all(
        is_made(model, kind, precision_for(model, kind, choice.precision, choice.device), cache_dir, choice.device)
        for kind in engines_for(model, choice)
    )


def _prepare_with(model: ResolvedModel, kind: EngineKind, cache_dir: Path, wanted: EngineChoice) -> PreparedModel:
    precision = precision_for(model, kind, wanted.precision, wanted.device)
    custom = model.architecture is None
    file = (
        replace(model.file, path=model.file.path.resolve())
        if custom
        else artefact(model, kind, precision, cache_dir, wanted.device)
    )
    choice = replace(wanted, engine=kind.name, precision=precision)
    prepared = PreparedModel(model.spec, file, choice, custom, model.degraded)
    if custom:
        open_model(prepared).warm()
    return prepared


def _all_opened(
    model: ResolvedModel, kinds: list[EngineKind], cache_dir: Path, choice: EngineChoice
) -> list[tuple[PreparedModel, Model]]:
    """The warm model in each engine that can run it; if none can, raises the last one's error."""
    opened: list[tuple[PreparedModel, Model]] = []
    for kind in kinds:
        try:
            prepared = _prepare_with(model, kind, cache_dir, choice)
            candidate = open_model(prepared)
            candidate.warm()
        except (DepthServiceError, OSError, RuntimeError) as error:
            if kind is kinds[-1] and not opened:
                raise
            logger.warning("engine auto skips %s: %s", kind.name, error)
        else:
            opened.append((prepared, candidate))
    return opened


def _fastest(candidates: list[tuple[PreparedModel, Model]]) -> PreparedModel:
    """The candidate with the lowest median time for a photo, measured in turns."""
    seconds: dict[EngineName, list[float]] = {prepared.choice.engine: [] for prepared, _ in candidates}
    end = time.perf_counter() + AUTO_MEASURE_S
    while time.perf_counter() < end or not all(seconds.values()):
        for prepared, model in candidates:
            seconds[prepared.choice.engine].append(model.seconds())
    medians = sorted((median(values), name) for name, values in seconds.items())
    fastest = next(prepared for prepared, _ in candidates if prepared.choice.engine is medians[0][1])
    return replace(fastest, measured={name: value for value, name in medians})
