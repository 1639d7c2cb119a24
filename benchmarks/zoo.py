"""Part "zoo": networks from a photo's file to a 16-bit PNG, beside what a user would run instead."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from PIL import Image

from benchmarks.machine import versions, versions_of_alternatives
from benchmarks.material import Material, photo
from benchmarks.results import Part, Target, spread
from benchmarks.servers import ServerFailed
from benchmarks.turns import ROOT, Contender, Figures, compete
from depthsvc.evaluation.table import Table
from depthsvc.imaging.resize import network_size
from depthsvc.model.choice import EngineName
from depthsvc.model.engines.kinds import KINDS
from depthsvc.model.networks.base import build
from depthsvc.model.registry import registered
from depthsvc.model.weights.files import sha256_of
from tests.zoo import filled

TRANSFORMERS = "transformers"
_ONE_RUN = "transformers, one run"
EAGER = "MiDaS's README"
"""For MiDaS_small, which transformers does not have."""
DEFAULT = "depthsvc, torchscript"
_ENGINES = {
    DEFAULT: EngineName.TORCHSCRIPT,
    "depthsvc, openvino": EngineName.OPENVINO,
    "depthsvc, onnxruntime": EngineName.ONNXRUNTIME,
    "depthsvc, ncnn": EngineName.NCNN,
}
"""Names of depthsvc's programs."""


@dataclass(frozen=True)
class Case:
    """One network, and how often it is measured."""

    model: str
    size: tuple[int, int]
    """Width and height of the photo."""
    rounds: int
    """How often each program is started."""
    photos: int
    """Turns in each round, after a first photo."""


_CASES = (
    Case("midas_small", (1920, 1440), rounds=2, photos=15),
    Case("depth_anything_v2_small", (1920, 1440), rounds=2, photos=4),
    Case("dpt_large", (1440, 1440), rounds=1, photos=3),  # transformers' DPT-Large takes square inputs only
    Case("zoedepth_n", (1920, 1440), rounds=1, photos=2),
)
_QUICK_CASES = (Case("midas_small", (1920, 1440), rounds=1, photos=5),)
_EXPLANATION = """\
From a photo's file to a 16-bit PNG of the photo's size: depthsvc's Python API with each of its engines, and \
`transformers.pipeline("depth-estimation")`, whose result OpenCV writes; for MiDaS_small, which it does not have, the \
lines of MiDaS's README. fp32, one thread, the same input of the network, random weights on both sides, which take as \
long as trained ones. Speed-up and CPU are to the first row in the same turn; ready is from the start of the process \
to its first result, with everything prepared and in the page cache; peak is the process's highest resident memory; \
two is the throughput of two processes to that of one, and behind it what their processor time would allow if no other \
program ran. ZoeDepth runs on the photo and on its mirror image, as published; `one run` is what transformers' \
pipeline does by itself."""


def measure(material: Material, *, alternatives: Path) -> Part:
    """`alternatives`: the Python that has transformers; if it does not exist, only depthsvc is measured."""
    libraries = ", ".join(filter(None, (versions(), versions_of_alternatives(alternatives))))
    part = Part(title="Zoo", explanation=_EXPLANATION, versions=libraries)
    measured: dict[str, Mapping[str, Figures]] = {}
    for case in _QUICK_CASES if material.quick else _CASES:
        folder = material.folder / case.model
        folder.mkdir()
        try:
            measured[case.model] = _measure(case, folder, alternatives, part)
        except ServerFailed as failure:  # the other networks are still worth measuring
            part.failures.append(f"{case.model}: {failure}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # the largest needs 7 GB
    part.tables.insert(0, per_core(measured))
    return part


def _measure(case: Case, folder: Path, alternatives: Path, part: Part) -> Mapping[str, Figures]:
    """Add a network's table and targets; returns what was measured."""
    (folder / "photo.jpg").write_bytes(photo(*case.size))
    width, height = network_size(*case.size, registered(case.model).spec.input)
    own, others = _own(case.model, folder), _others(case.model, folder, alternatives)
    staying = others[0] if others else None
    measured = compete(staying, [*others[1:], *own], case.rounds, case.photos, folder, part.failures)
    for name, figures in measured.items():
        if {(answer.width, answer.height) for answer in figures.answers} != {(width, height)}:
            raise ServerFailed(f"{name} has another input than {width} x {height}")
    _check_results(folder, case.size)
    title = "{}, photo {} x {}, input {} x {}".format(case.model, *case.size, width, height)
    part.tables.append(table(title, measured))
    part.targets += targets(case.model, measured)
    return measured


def _own(model: str, folder: Path) -> list[Contender]:
    """depthsvc with each of its engines, prepared."""
    weights = folder / "weights.pt"
    with torch.device("meta"):
        network = build(registered(model).architecture)
    torch.save(filled(network.state_dict()), weights)
    environment = {"DEPTHSVC_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    program = [sys.executable, "-m", "benchmarks.own_depth"]
    files = [str(folder / "photo.jpg"), str(folder / "own.png")]
    contenders = []
    architecture = registered(model).architecture
    for name, engine in _ENGINES.items():
        if not KINDS[engine].suits(architecture):
            continue
        chosen = [model, str(weights), sha256_of(weights), engine]
        _run([*program, "prepare", *chosen], environment)
        contenders.append(Contender(name, [*program, "answer", *chosen, *files], environment, name == DEFAULT))
    return contenders


def _others(model: str, folder: Path, python: Path) -> list[Contender]:
    """What does the same, prepared; the first does as much work as depthsvc."""
    if not python.exists():
        return []
    if model == "midas_small":
        environment = {"WEIGHTS": str(folder / "weights.pt"), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        files = [str(folder / "photo.jpg"), str(folder / "other.png")]
        return [Contender(EAGER, [str(python), "-m", "benchmarks.alternatives.eager_midas", *files], environment)]
    saved = str(folder / "saved")
    environment = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    program = [str(python), "-m", "benchmarks.alternatives.transformers_depth"]
    _run([*program, "prepare", model, saved], environment)
    mirrored = registered(model).spec.mirrored
    files = [str(folder / "photo.jpg"), str(folder / "other.png")]
    return [
        Contender(name, [*program, "answer", saved, runs, *files], environment)
        for name, runs in ({TRANSFORMERS: "mirrored", _ONE_RUN: "once"} if mirrored else {TRANSFORMERS: "once"}).items()
    ]


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    result = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)
    if result.returncode:
        raise ServerFailed(f"{' '.join(command[2:5])}: {' / '.join(result.stderr.strip().splitlines()[-2:])}")


def _check_results(folder: Path, size: tuple[int, int]) -> None:
    """Raises ServerFailed if a result is not a 16-bit grey PNG of this size."""
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            if (image.format, image.mode, image.size) != ("PNG", "I;16", size):
                raise ServerFailed(f"{path.name} is {image.format} {image.mode} of {image.size}")


def table(title: str, measured: Mapping[str, Figures]) -> Table:
    """A row for each contender; ratios are to what a user would run instead, where it was measured."""
    heads = ["program", "s a photo", "speed-up", "CPU s", "CPU", "ready s", "ready", "peak MB", "peak", "two"]
    return Table(title, heads, [_row(name, figures, _other(measured)) for name, figures in measured.items()])


def per_core(measured: Mapping[str, Mapping[str, Figures]]) -> Table:
    """What one core processes, by network and program, beside what a user would run instead."""
    rows = [
        [model, name, f"{1 / median(answer.cpu_s for answer in figures.answers):.2f}", _times_as_many(figures)]
        for model, programs in measured.items()
        for name, figures in programs.items()
    ]
    return Table("Photos a second of one core", ["network", "program", "photos/s", "times as many"], rows)


def _times_as_many(figures: Figures) -> str:
    return spread([1 / ratio for ratio in figures.cpu_ratios], 2) if figures.cpu_ratios else ""


def _other(measured: Mapping[str, Figures]) -> Figures | None:
    """The program that stayed, if there was one."""
    return measured.get(TRANSFORMERS) or measured.get(EAGER)


def _row(name: str, figures: Figures, other: Figures | None) -> list[str]:
    return [
        name,
        spread([answer.seconds for answer in figures.answers], 2),
        spread(figures.speed_ups, 2) if figures.speed_ups else "",
        spread([answer.cpu_s for answer in figures.answers], 2),
        spread(figures.cpu_ratios, 2) if figures.cpu_ratios else "",
        spread(figures.ready_s),
        f"{_ready(figures, other):.2f}" if other else "",
        f"{figures.peak_mb:.0f}",
        f"{_peak(figures, other):.2f}" if other else "",
        f"{spread(figures.doubled, 2)}; {median(figures.doubled_cpu):.2f}" if figures.doubled else "",
    ]


def _ready(figures: Figures, other: Figures) -> float:
    return median(figures.ready_s) / median(other.ready_s)


def _peak(figures: Figures, other: Figures) -> float:
    return figures.peak_mb / other.peak_mb


def targets(model: str, measured: Mapping[str, Figures]) -> list[Target]:
    """What depthsvc promises of a network beside the alternative; nothing if one of them was not measured."""
    other, default = _other(measured), measured.get(DEFAULT)
    if other is None or default is None:
        return []
    speed = {name: median(measured[name].speed_ups) for name in _ENGINES if name in measured}
    slowest, fastest = min(speed, key=speed.__getitem__), max(speed, key=speed.__getitem__)
    found = [
        _at_least(f"{model}: slowest engine's speed to the other's ({_engine(slowest)})", 1.0, speed[slowest]),
        _at_least(f"{model}: fastest engine's ({_engine(fastest)})", 1.15, speed[fastest]),
        _at_most(f"{model}: time until the first result to the other's, torchscript", 0.5, _ready(default, other)),
        _at_most(f"{model}: peak memory to the other's, torchscript", 0.8, _peak(default, other)),
    ]
    if default.doubled:
        found.append(_at_least(f"{model}: throughput of two processes to one's", 1.8, median(default.doubled)))
    return found


def _engine(name: str) -> str:
    return name.removeprefix("depthsvc, ")


def _at_least(name: str, wanted: float, measured: float) -> Target:
    return Target(name=name, wanted=f">= {wanted:g}", measured=f"{measured:.2f}", reached=measured >= wanted)


def _at_most(name: str, wanted: float, measured: float) -> Target:
    return Target(name=name, wanted=f"<= {wanted:g}", measured=f"{measured:.2f}", reached=measured <= wanted)
