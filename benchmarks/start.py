"""Part "start": from starting the program to its first use, with warm caches."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median

from benchmarks.machine import versions
from benchmarks.material import LARGE, Material, photo
from benchmarks.results import Part, Target, spread
from benchmarks.servers import seconds_until_ready
from depthsvc.evaluation.table import Table

_READY_S, _PREDICT_S = 5.0, 4.0


def measure(material: Material) -> Part:
    rounds = 2 if material.quick else 6
    _ready_s(material), _predict_s(material)  # warms the caches
    times = [(_ready_s(material), _predict_s(material)) for _ in range(rounds)]
    ready, predict = ([pair[index] for pair in times] for index in (0, 1))
    rows = [
        ["`depthsvc serve` until it says that it is ready", spread(ready, 2)],
        ["`depthsvc predict` of a 3840 x 2160 JPEG", spread(predict, 2)],
    ]
    return Part(
        title="Start",
        explanation="From starting the program, default settings, everything cached by a run before.",
        versions=versions(),
        tables=[Table("Start", ["what", "seconds"], rows)],
        targets=[
            _target("ready after", ready, _READY_S),
            _target("depthsvc predict of one photo", predict, _PREDICT_S),
        ],
    )


def _ready_s(material: Material) -> float:
    return seconds_until_ready(material.service_command(sys.executable, "--port", "0"), material)


def _predict_s(material: Material) -> float:
    source, output = material.folder / "photo.jpg", material.folder / "depth.png"
    source.write_bytes(photo(*LARGE))
    output.unlink(missing_ok=True)
    command = [sys.executable, "-m", "depthsvc", "predict", str(source), "-o", str(output), *material.model_options()]
    begun = time.perf_counter()
    subprocess.run(command, env={**os.environ, **material.environment}, check=True, capture_output=True)
    seconds = time.perf_counter() - begun
    if not output.exists():
        raise RuntimeError("depthsvc predict wrote nothing")
    return seconds


def _target(name: str, seconds: list[float], most: float) -> Target:
    measured = f"{spread(seconds, 2)} s"
    return Target(name=name, wanted=f"<= {most:g} s", measured=measured, reached=median(seconds) <= most)
