"""How long networks take for one photo on one thread, side by side in one run: the small ones, or those named.

    python -m benchmarks.latency [--model NAME ...] [--width PIXELS] [--height PIXELS] [--rounds N]

"network" is the forward pass alone; "depth" is everything from a decoded photo to its depth on the network's grid:
also the resizing before it and, for models that follow edges, the sharpening after it. The weights are random: that
does not change the time, and none need to be installed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from depthsvc.imaging.photo.pixels import Photo
from depthsvc.imaging.resize import network_size, to_network_input
from depthsvc.model.choice import EngineChoice, Precision
from depthsvc.model.engines.kinds import TORCHSCRIPT
from depthsvc.model.loaded import open_model
from depthsvc.model.networks.base import build
from depthsvc.model.registry import registered
from depthsvc.model.spec import PreparedModel, RegisteredModel, VerifiedFile
from depthsvc.model.weights.files import sha256_of
from depthsvc.pipeline.stages import Pipeline
from depthsvc.pool.heap import bound_heap

_REFERENCE = "midas_small"


def _pipeline(model: RegisteredModel, folder: Path) -> Pipeline:
    path = folder / f"{model.name}.ts"
    TORCHSCRIPT.write(build(model.architecture).eval(), model.spec.input, path, Precision.FP32)
    prepared = PreparedModel(model.spec, VerifiedFile(path, sha256_of(path)), EngineChoice())
    return Pipeline(open_model(prepared), max_pixels=100_000_000, max_input_size=1024)


def _ways(model: RegisteredModel, photo: Photo, folder: Path) -> dict[str, Callable[[], object]]:
    pipeline = _pipeline(model, folder)
    planes = to_network_input(
        photo.pixels, *network_size(photo.width, photo.height, model.spec.input), model.spec.input
    )
    return {
        "network": lambda: pipeline.model.depth(planes),
        "depth": lambda: pipeline.infer(photo),
    }


def measure(names: Sequence[str], width: int, height: int, rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds of each model's network and depth, for a photo of this size at the model's own input size."""
    pixels = cv2.resize(np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8), (width, height))
    photo = Photo(np.asarray(pixels, np.uint8), width, height)
    seconds: dict[str, dict[str, list[float]]] = {name: {"network": [], "depth": []} for name in names}
    with tempfile.TemporaryDirectory() as folder:
        ways = {name: _ways(registered(name), photo, Path(folder)) for name in names}
        for turn in range(-3, rounds):
            for name, calls in ways.items():
                for way, call in calls.items():
                    start = time.perf_counter()
                    call()
                    if turn >= 0:
                        seconds[name][way].append(time.perf_counter() - start)
    return {name: {way: median(values) for way, values in taken.items()} for name, taken in seconds.items()}


def main() -> None:
    """Print the median times of MiDaS_small and other models, and their ratios to those of MiDaS_small."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", action="append", default=[], help="a registered name; repeatable")
    parser.add_argument("--width", type=int, default=1280, help="pixels of the photo")
    parser.add_argument("--height", type=int, default=960)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    bound_heap()  # as in a worker
    cv2.setNumThreads(1)
    names = dict.fromkeys([_REFERENCE, *(arguments.model or ["embedded"])])
    seconds = measure(list(names), arguments.width, arguments.height, arguments.rounds)
    for name, taken in seconds.items():
        for way, value in taken.items():
            print(f"{name}, {way}: {1000 * value:.1f} ms, {value / seconds[_REFERENCE][way]:.3f} of {_REFERENCE}")


if __name__ == "__main__":
    main()
