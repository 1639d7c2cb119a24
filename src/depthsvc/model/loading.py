"""From what a user asks for to a network that runs: resolve, prepare, open.

`resolve` finds the files and decides whether to trust them, without torch. `prepare` makes a file that an
engine can run, once for a whole service. `open_model` loads it, in every worker.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from depthsvc.errors import ConfigurationError, DepthServiceError, ModelError, WeightsError
from depthsvc.imaging.resize import network_size
from depthsvc.imaging.spec import InputSpec
from depthsvc.model.architecture import Architecture
from depthsvc.model.artefacts import artefact
from depthsvc.model.custom import default_name, is_model_path, read_description
from depthsvc.model.engine import Engine, EngineChoice, EngineName, Precision
from depthsvc.model.engines import KINDS, EngineKind
from depthsvc.model.locations import WeightsLocations
from depthsvc.model.registry import AUTO, OutputKind, RegisteredModel, registered
from depthsvc.model.selection import engines_for, precision_for
from depthsvc.model.weights import VerifiedFile, obtain, sha256_of, verify

logger = logging.getLogger(__name__)

AUTO_FIRST_BYTE_S = 4.0
"""How long `auto` waits for a server to answer before it makes do with the embedded model."""

AUTO_MEASURE_S = 1.5
"""How long `engine=auto` measures, after loading and warming each engine."""

DEFAULT_CHOICE = EngineChoice()

_COMMON_ASPECTS = ((4, 3), (3, 4), (1, 1))

_MIN_DEPTH = 1e-3
"""A network that gives depth is not trusted below this part of its largest depth."""


@dataclass(frozen=True)
class ResolvedModel:
    """A model whose files are on this machine and trusted."""

    name: str
    input: InputSpec
    output: OutputKind
    file: VerifiedFile
    architecture: Architecture | None
    """None: the file is a network by itself, a user's own model. Otherwise it is a checkpoint of this."""
    follows_edges: bool = False
    """Whether its map is given the photo's edges."""
    degraded: bool = False
    """Whether it stands in for a better model that could not be had."""


@dataclass(frozen=True)
class PreparedModel:
    """A model that an engine can load at once. Small and picklable: workers are given this."""

    name: str
    input: InputSpec
    output: OutputKind
    path: Path
    engine: EngineName
    precision: Precision
    degraded: bool
    follows_edges: bool = False
    measured: dict[EngineName, float] = field(default_factory=dict)
    """Seconds that each engine took for one photo, fastest first, where the engine was chosen by that."""


def resolve(model: str, locations: WeightsLocations) -> ResolvedModel:
    """Find, or download, the files of `model`: `auto`, a registered name, or the path of a user's own model.

    Raises ModelError, WeightsError or ConfigurationError, with a message for the person who asked.
    """
    if is_model_path(model):
        return _resolve_custom(Path(model), locations)
    if model == AUTO:
        return _resolve_auto(locations)
    entry = registered(model)
    return _resolved(entry, obtain(entry, locations))


def _resolve_auto(locations: WeightsLocations) -> ResolvedModel:
    if locations.explicit is not None:
        raise ConfigurationError(f"{locations.explicit}: say which model it belongs to: --model midas_small")
    midas, embedded = registered("midas_small"), registered("embedded")
    try:
        return _resolved(midas, obtain(midas, locations, first_byte_s=AUTO_FIRST_BYTE_S))
    except (WeightsError, OSError) as error:
        logger.warning(
            "MiDaS_small cannot be had: %s\nFALLING BACK to the embedded model, which is smaller, less accurate "
            "and not MiDaS. --model midas_small insists on it, --model embedded chooses this one.",
            error,
        )
    weights = obtain(embedded, replace(locations, sha256=None))
    return replace(_resolved(embedded, weights), degraded=True)


def _resolved(model: RegisteredModel, weights: VerifiedFile) -> ResolvedModel:
    return ResolvedModel(model.name, model.input, model.output, weights, model.architecture, model.follows_edges)


def _resolve_custom(path: Path, locations: WeightsLocations) -> ResolvedModel:
    if locations.explicit is not None:
        raise ConfigurationError(f"{path} holds its own weights; weights={locations.explicit} cannot be used.")
    description = read_description(path)
    file = verify(path, locations.sha256) if locations.sha256 else VerifiedFile(path, sha256_of(path))
    name = description.name or default_name(path)
    return ResolvedModel(name, description.input_spec, description.output, file, None, description.follows_edges)


def prepare(model: ResolvedModel, cache_dir: Path, choice: EngineChoice = DEFAULT_CHOICE) -> PreparedModel:
    """Make, or find in the cache, the file that an engine loads, and prove that a user's own model runs.

    With `auto`, do so for every installed engine and take the fastest. Imports torch unless all is in the cache and
    another engine is chosen. Raises WeightsError or ModelError, naming the file and the reason, and
    ConfigurationError if the engine is not installed or cannot compute in this precision.
    """
    if model.architecture is None and sha256_of(model.file.path) != model.file.sha256:
        raise WeightsError(f"{model.file.path} is refused: it has changed since its SHA-256 was checked.")
    kinds = engines_for(model, choice)
    if len(kinds) == 1:
        return _prepared(model, kinds[0], cache_dir, choice.precision)
    return _fastest(_all_opened(model, kinds, cache_dir, choice))


def _prepared(model: ResolvedModel, kind: EngineKind, cache_dir: Path, wanted: Precision) -> PreparedModel:
    precision = precision_for(model, kind, wanted)
    if model.architecture is not None:
        path = artefact(model.architecture, model.file, kind, precision, cache_dir)
    else:
        path = model.file.path.resolve()
    prepared = PreparedModel(
        model.name, model.input, model.output, path, kind.name, precision, model.degraded, model.follows_edges
    )
    if model.architecture is None:
        open_model(prepared, threads=1).warm()
    return prepared


def _all_opened(
    model: ResolvedModel, kinds: list[EngineKind], cache_dir: Path, choice: EngineChoice
) -> list[tuple[PreparedModel, Model]]:
    """The model, warm, in each engine that does not fail; raises what the last one raises if all do."""
    opened: list[tuple[PreparedModel, Model]] = []
    for kind in kinds:
        try:
            prepared = _prepared(model, kind, cache_dir, choice.precision)
            candidate = open_model(prepared, choice.threads)
            candidate.warm()
        except (DepthServiceError, OSError, RuntimeError) as error:
            if kind is kinds[-1] and not opened:
                raise
            logger.warning("%s is not considered: %s", kind.name, error)
        else:
            opened.append((prepared, candidate))
    return opened


def _fastest(candidates: list[tuple[PreparedModel, Model]]) -> PreparedModel:
    """The candidate that takes the least time for a photo, measured in turns."""
    seconds: dict[EngineName, list[float]] = {prepared.engine: [] for prepared, _ in candidates}
    end = time.perf_counter() + AUTO_MEASURE_S
    while time.perf_counter() < end or not all(seconds.values()):
        for prepared, model in candidates:
            seconds[prepared.engine].append(model.seconds())
    medians = sorted((median(values), name) for name, values in seconds.items())
    fastest = next(prepared for prepared, _ in candidates if prepared.engine is medians[0][1])
    return replace(fastest, measured={name: value for value, name in medians})


class Model:
    """A loaded network that speaks inverse depth, whatever it was trained to give."""

    def __init__(self, prepared: PreparedModel, engine: Engine) -> None:
        self.name = prepared.name
        self.input = prepared.input
        self.follows_edges = prepared.follows_edges
        self._path = prepared.path
        self._output = prepared.output
        self._engine = engine

    def inverse_depth(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (1, 3, h, w), normalised -> relative inverse depth, float32 (h', w'), as the network gives it.

        h' and w' are the network's own, for most networks h and w. Raises ModelError if the network fails, or its
        answer is no such map.
        """
        try:
            output = self._engine.infer(planes)
        except Exception as error:  # whatever an engine raises, the model is what is at fault
            raise ModelError(f"{self._path} is refused: it fails on input {planes.shape}: {error}") from error
        if output.ndim < 2 or output.size == 0 or output.size != output.shape[-1] * output.shape[-2]:
            raise ModelError(
                f"{self._path} is refused: for input {planes.shape} it gives {output.shape}, which is no (h, w) map."
            )
        values = output.reshape(output.shape[-2:])
        return _inverted(values) if self._output is OutputKind.DEPTH else values

    def warm(self) -> None:
        """Run the network on the commonest input sizes, so that no photo has to wait for what first runs do.

        TorchScript optimises during its first two runs, and every engine prepares for each new size. Raises ModelError
        if the network does not run.
        """
        for aspect in (_COMMON_ASPECTS[0], *_COMMON_ASPECTS):
            self.inverse_depth(self._black(*aspect))

    def seconds(self) -> float:
        """Time for one photo of the commonest shape, once the caches hold what this network needs."""
        planes = self._black(*_COMMON_ASPECTS[0])
        self.inverse_depth(planes)
        started = time.perf_counter()
        self.inverse_depth(planes)
        return time.perf_counter() - started

    def _black(self, across: int, down: int) -> NDArray[np.float32]:
        """The network's input for some photo of this aspect."""
        width, height = network_size(100 * across, 100 * down, self.input)
        return np.zeros((1, 3, height, width), np.float32)


def _inverted(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / depth, and 0 (infinitely far) where depth is not positive or not finite."""
    valid = np.isfinite(depth) & (depth > 0)
    if not valid.any():
        return np.zeros_like(depth)
    floor = float(depth[valid].max()) * _MIN_DEPTH
    return np.where(valid, 1 / np.maximum(np.where(valid, depth, 1), floor), 0).astype(np.float32)


def open_model(prepared: PreparedModel, threads: int) -> Model:
    """Load a prepared model into this process, to compute with this many threads."""
    return Model(prepared, KINDS[prepared.engine].open(prepared.path, threads, prepared.precision))
