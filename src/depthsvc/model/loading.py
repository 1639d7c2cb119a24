"""From what a user asks for to a network that runs: resolve, prepare, open.

`resolve` finds the files and decides whether to trust them, without torch. `prepare` makes a file that an
engine can run, once for a whole service. `open_model` loads it, in every worker.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from depthsvc.errors import ConfigurationError, ModelError, WeightsError
from depthsvc.imaging.resize import InputSpec, network_size
from depthsvc.model.architecture import Architecture
from depthsvc.model.custom import ONNX_SUFFIXES, default_name, is_model_path, read_description
from depthsvc.model.engine import Engine, OnnxEngine, TorchScriptEngine
from depthsvc.model.locations import WeightsLocations
from depthsvc.model.registry import AUTO, OutputKind, RegisteredModel, registered
from depthsvc.model.weights import VerifiedFile, obtain, sha256_of, verify

logger = logging.getLogger(__name__)

AUTO_FIRST_BYTE_S = 4.0
"""How long `auto` waits for a server to answer before it makes do with the embedded model."""

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
    degraded: bool = False
    """Whether it stands in for a better model that could not be had."""


@dataclass(frozen=True)
class PreparedModel:
    """A model that an engine can load at once. Small and picklable: workers are given this."""

    name: str
    input: InputSpec
    output: OutputKind
    path: Path
    engine: Literal["torchscript", "onnxruntime"]
    degraded: bool


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
    return ResolvedModel(model.name, model.input, model.output, weights, model.architecture)


def _resolve_custom(path: Path, locations: WeightsLocations) -> ResolvedModel:
    if locations.explicit is not None:
        raise ConfigurationError(f"{path} holds its own weights; weights={locations.explicit} cannot be used.")
    description = read_description(path)
    file = verify(path, locations.sha256) if locations.sha256 else VerifiedFile(path, sha256_of(path))
    name = description.name or default_name(path)
    return ResolvedModel(name, description.input_spec, description.output, file, architecture=None)


def prepare(model: ResolvedModel, cache_dir: Path) -> PreparedModel:
    """Make, or find in the cache, the file that an engine loads, and prove that a user's own model runs.

    Imports torch. Raises WeightsError or ModelError, naming the file and the reason.
    """
    if model.architecture is not None:
        from depthsvc.model.torchscript import cached_trace

        path = cached_trace(model.architecture, model.file, cache_dir)
        return PreparedModel(model.name, model.input, model.output, path, "torchscript", model.degraded)
    path = model.file.path
    if sha256_of(path) != model.file.sha256:
        raise WeightsError(f"{path} is refused: it has changed since its SHA-256 was checked.")
    is_onnx = path.suffix.lower() in ONNX_SUFFIXES
    engine: Literal["onnxruntime", "torchscript"] = "onnxruntime" if is_onnx else "torchscript"
    prepared = PreparedModel(model.name, model.input, model.output, path.resolve(), engine, model.degraded)
    open_model(prepared, threads=1).warm()
    return prepared


class Model:
    """A loaded network that speaks inverse depth, whatever it was trained to give."""

    def __init__(self, prepared: PreparedModel, engine: Engine) -> None:
        self.name = prepared.name
        self.input = prepared.input
        self._path = prepared.path
        self._output = prepared.output
        self._engine = engine

    def inverse_depth(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (1, 3, h, w), normalised -> relative inverse depth, float32 (h', w'), as the network gives it.

        h' and w' are the network's own, for most networks h and w. Raises ModelError if the network's answer is no
        such map.
        """
        output = self._engine.infer(planes)
        if output.ndim < 2 or output.size == 0 or output.size != output.shape[-1] * output.shape[-2]:
            raise ModelError(
                f"{self._path} is refused: for input {planes.shape} it gives {output.shape}, which is no (h, w) map."
            )
        values = output.reshape(output.shape[-2:])
        return _inverted(values) if self._output is OutputKind.DEPTH else values

    def warm(self) -> None:
        """Run the network on the commonest input sizes until it has settled on its fastest way.

        TorchScript optimises during its first two runs. Raises ModelError if the network does not run.
        """
        for aspect in ((4, 3), (3, 4), (1, 1)):
            width, height = network_size(100 * aspect[0], 100 * aspect[1], self.input)
            planes = np.zeros((1, 3, height, width), np.float32)
            try:
                for _ in range(2):
                    self.inverse_depth(planes)
            except ModelError:
                raise
            except Exception as error:  # whatever an engine raises, the model is what is at fault
                raise ModelError(f"{self._path} is refused: it fails on input {planes.shape}: {error}") from error


def _inverted(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / depth, and 0 (infinitely far) where depth is not positive or not finite."""
    valid = np.isfinite(depth) & (depth > 0)
    if not valid.any():
        return np.zeros_like(depth)
    floor = float(depth[valid].max()) * _MIN_DEPTH
    return np.where(valid, 1 / np.maximum(np.where(valid, depth, 1), floor), 0).astype(np.float32)


def open_model(prepared: PreparedModel, threads: int) -> Model:
    """Load a prepared model into this process, to compute with this many threads."""
    engine = OnnxEngine if prepared.engine == "onnxruntime" else TorchScriptEngine
    return Model(prepared, engine(prepared.path, threads))
