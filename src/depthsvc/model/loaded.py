"""A network loaded into this process, ready to run."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from depthsvc.errors import DeviceLost, ModelError
from depthsvc.imaging.resize import network_size
from depthsvc.imaging.spec import ResizeRule
from depthsvc.model.custom import ONNX_SUFFIXES
from depthsvc.model.engines.base import Engine
from depthsvc.model.engines.kinds import KINDS
from depthsvc.model.onnx_file import refuse_external_data
from depthsvc.model.spec import OutputKind, PreparedModel, VerifiedFile
from depthsvc.model.weights.files import check_unchanged, read_unchanged

_COMMON_ASPECTS = ((4, 3), (3, 4), (1, 1))

_ONE_SIZE = ' (a network for one size of input needs "rule": "stretch" in its description)'
_WARM_S = 2.0
"""Seconds that warming may take."""
_MIN_DEPTH = 1e-3
"""Depth below this fraction of the map's largest depth is clipped before it is inverted."""


class Model:
    """A loaded network that returns inverse depth or metres, whichever kind of depth it was trained for."""

    def __init__(self, prepared: PreparedModel, engine: Engine) -> None:
        self.spec = prepared.spec
        self._path = prepared.file.path
        self._engine = engine
        takes_any = not prepared.custom or prepared.spec.input.rule is ResizeRule.STRETCH
        self._advice = "" if takes_any else _ONE_SIZE

    def depth(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (1, 3, h, w), normalised -> depth of the kind that `spec.output` stands for, float32 (h', w').

        h' and w' are the network's own, for most networks h and w. Raises ModelError if the network fails, or if its
        output is not such a map, and DeviceLost if this process has lost its GPU.
        """
        try:
            output = self._engine.infer(planes)
        except DeviceLost:
            raise
        except Exception as error:  # whatever an engine raises, the model is at fault
            raise ModelError(
                f"{self._path} is refused: it fails on input {planes.shape}: {error}{self._advice}"
            ) from error
        if output.ndim < 2 or output.size == 0 or output.size != output.shape[-1] * output.shape[-2]:
            raise ModelError(
                f"{self._path} is refused: for input {planes.shape} it returns {output.shape}, not an (h, w) map."
            )
        values = output.reshape(output.shape[-2:])
        if self.spec.output is OutputKind.DEPTH:
            return _invert(values)
        return _in_front_of_farthest(values) if self.spec.output is OutputKind.AFFINE_DEPTH else values

    def specialise(self, shape: tuple[int, ...]) -> None:
        """Prepare for many inputs of this shape (1, 3, h, w)."""
        self._engine.specialise(shape)

    def rehearse(self) -> float:
        """Run the network once, on its smallest input; returns the seconds that took.

        TorchScript records its first run and meanwhile keeps what it computes: with a photo, a fifth more memory at
        the peak. Raises ModelError if the network does not run.
        """
        return self._seconds(np.zeros(self.spec.input.example_shape, np.float32))

    def warm(self) -> None:
        """Run the network on its smallest and then the commonest input sizes, as far as _WARM_S allows.

        So no photo has to wait for its slow first runs: TorchScript optimises during its first two runs, and most
        engines prepare for each new size. Large networks start without: their photos take seconds anyway. Raises
        ModelError if the network does not run.
        """
        ends = time.perf_counter() + _WARM_S
        if self.rehearse() > _WARM_S / 4 or not self._engine.learns_shapes:
            return
        seconds_per_value = self.rehearse() / math.prod(self.spec.input.example_shape)
        for aspect in (_COMMON_ASPECTS[0], *_COMMON_ASPECTS):
            planes = self._black(*aspect)
            if time.perf_counter() + seconds_per_value * planes.size > ends:
                return
            seconds_per_value = self._seconds(planes) / planes.size

    def seconds(self) -> float:
        """Seconds for one photo of the commonest shape, with warm caches."""
        planes = self._black(*_COMMON_ASPECTS[0])
        self.depth(planes)
        return self._seconds(planes)

    def _seconds(self, planes: NDArray[np.float32]) -> float:
        """Seconds that one run takes."""
        started = time.perf_counter()
        self.depth(planes)
        return time.perf_counter() - started

    def _black(self, across: int, down: int) -> NDArray[np.float32]:
        """The network's input for a black photo of this aspect ratio."""
        width, height = network_size(100 * across, 100 * down, self.spec.input)
        return np.zeros((1, 3, height, width), np.float32)


def _invert(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / depth; 0 (infinitely far) where depth is not positive or not finite."""
    valid = np.isfinite(depth) & (depth > 0)
    if not valid.any():
        return np.zeros_like(depth)
    floor = float(depth[valid].max()) * _MIN_DEPTH
    return np.where(valid, 1 / np.maximum(np.where(valid, depth, 1), floor), 0).astype(np.float32)


def _in_front_of_farthest(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far each point is in front of the farthest; 0 where depth is not finite."""
    finite = np.isfinite(depth)
    farthest = float(depth[finite].max()) if finite.any() else 0.0
    return np.where(finite, farthest - depth, 0).astype(np.float32)


def open_model(prepared: PreparedModel) -> Model:
    """Load a prepared model into this process, unless its file has changed in the meantime.

    A custom model is loaded from the bytes that were verified, so nobody can exchange the file in between. An artefact
    is verified and then loaded by its path: from bytes it would need its size in memory once or twice more, and who can
    write to the cache decides what is loaded anyway.

    Raises WeightsChanged or another ModelError, and ConfigurationError if a package is missing.
    """
    file = prepared.file
    content: bytes | None = None
    if prepared.custom:
        content = _read_custom(file)
    else:
        check_unchanged(file)
    return Model(prepared, _opened(prepared, content))


def _opened(prepared: PreparedModel, content: bytes | None) -> Engine:
    choice = prepared.choice
    return KINDS[choice.engine].open(prepared.file.path, choice.threads, choice.precision, content, choice.device)


def _read_custom(file: VerifiedFile) -> bytes:
    content = read_unchanged(file)
    if file.path.suffix.lower() in ONNX_SUFFIXES:
        refuse_external_data(file.path, content)
    return content
