"""How long each registered network takes for one photo on one thread, side by side in one run.

    python -m benchmarks.latency [--width PIXELS] [--height PIXELS] [--rounds N]

The weights are random: they do not change the time, and none need to be at hand.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from depthsvc.imaging.resize import network_size, to_network_input
from depthsvc.model.engine import Engine, Precision
from depthsvc.model.engines import TORCHSCRIPT
from depthsvc.model.network import DepthNetwork
from depthsvc.model.registry import MODELS, RegisteredModel


def _engine(model: RegisteredModel, folder: Path) -> Engine:
    path = folder / f"{model.name}.ts"
    TORCHSCRIPT.write(DepthNetwork(model.architecture).eval(), path, Precision.FP32)
    return TORCHSCRIPT.open(path, 1, Precision.FP32)


def measure(width: int, height: int, rounds: int) -> dict[str, float]:
    """Median seconds of each model for a photo of this size at the model's own input size, measured in turns."""
    photo = np.zeros((height, width, 3), np.uint8)
    seconds: dict[str, list[float]] = {name: [] for name in MODELS}
    with tempfile.TemporaryDirectory() as folder:
        engines = {name: _engine(model, Path(folder)) for name, model in MODELS.items()}
        planes = {
            name: to_network_input(photo, *network_size(width, height, model.input), model.input)
            for name, model in MODELS.items()
        }
        for turn in range(-3, rounds):
            for name, engine in engines.items():
                start = time.perf_counter()
                engine.infer(planes[name])
                if turn >= 0:
                    seconds[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in seconds.items()}


def main() -> None:
    """Print the median time of each model and its ratio to that of MiDaS_small."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--width", type=int, default=1280, help="pixels of the photo")
    parser.add_argument("--height", type=int, default=960)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    seconds = measure(arguments.width, arguments.height, arguments.rounds)
    for name, value in seconds.items():
        print(f"{name}: {1000 * value:.1f} ms, {value / seconds['midas_small']:.3f} of midas_small")


if __name__ == "__main__":
    main()
