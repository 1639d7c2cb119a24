"""Part "video": a clip's heatmaps by `depthsvc video`, beside the loop that a tutorial has."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from statistics import median

import av
import numpy as np

from benchmarks.machine import versions, versions_of_alternatives
from benchmarks.material import MIDDLE, Material, photo
from benchmarks.results import Part, spread
from benchmarks.servers import ServerFailed
from benchmarks.turns import ROOT
from depthsvc.evaluation.speed import Times
from depthsvc.evaluation.table import Table
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.pixels import Bounds
from depthsvc.model.choice import EngineName
from depthsvc.model.engines.kinds import KINDS

_SIZE = (1280, 720)
_RATE = 25
_LOOP = "loop of OpenCV and PyTorch"
_EXPLANATION = """\
A clip of {frames} frames of 1280 x 720, H.264, to a video of its heatmaps, from the start of the command to its end, \
default settings: all processors on both sides. depthsvc also steadies depth from frame to frame, which the loop does \
not. Ratios are to the loop in the same turn; CPU is the processor time of all processes."""


@dataclass
class _Command:
    """One way to make the video, and what it took."""

    name: str
    arguments: Sequence[str]
    environment: dict[str, str]
    times: Times = field(default_factory=Times)

    def run(self) -> None:
        """Raises ServerFailed."""
        before, begun = _children_cpu_s(), time.perf_counter()
        done = subprocess.run(
            self.arguments, cwd=ROOT, env={**os.environ, **self.environment}, capture_output=True, text=True
        )
        if done.returncode:
            raise ServerFailed(f"{self.name}: {' / '.join(done.stderr.strip().splitlines()[-2:])}")
        self.times.seconds.append(time.perf_counter() - begun)
        self.times.cpu_s.append(_children_cpu_s() - before)


def measure(material: Material, *, alternatives: Path) -> Part:
    """`alternatives`: the Python of their environment; if it does not exist, only depthsvc is measured."""
    frames, rounds = (25, 1) if material.quick else (150, 3)
    clip = material.folder / "clip.mp4"
    _write_clip(clip, frames)
    libraries = ", ".join(filter(None, (versions(), versions_of_alternatives(alternatives))))
    part = Part(title="Video", explanation=_EXPLANATION.format(frames=frames), versions=libraries)
    commands = [*_loop(material, alternatives, clip), *_own(material, clip)]
    for turn in range(-1, rounds):
        for command in list(commands):
            try:
                command.run()
            except ServerFailed as failure:
                part.failures.append(str(failure))
                commands.remove(command)
                continue
            if turn < 0:  # filled caches
                command.times = Times()
    part.tables.append(_table(commands, frames))
    return part


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write_clip(path: Path, frames: int) -> None:
    """A window that wanders over a photo."""
    picture = decode(photo(*MIDDLE), Bounds(MIDDLE[0] * MIDDLE[1])).pixels
    (width, height), (across, down) = _SIZE, (MIDDLE[0] - _SIZE[0], MIDDLE[1] - _SIZE[1])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(_RATE))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            left, top = across * number // frames, down * number // frames
            window = np.ascontiguousarray(picture[top : top + height, left : left + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(window, format="rgb24")))
        container.mux(stream.encode())


def _loop(material: Material, python: Path, clip: Path) -> list[_Command]:
    if not python.exists():
        return []
    arguments = [str(python), "-m", "benchmarks.alternatives.naive_video", str(clip), str(material.folder / "loop.mp4")]
    return [_Command(_LOOP, arguments, material.environment | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"})]


def _own(material: Material, clip: Path) -> list[_Command]:
    target = str(material.folder / "heat.mp4")
    command = [sys.executable, "-m", "depthsvc", "video", *material.model_options(), "--overwrite"]
    ways: dict[str, list[str]] = {"depthsvc": []}
    if not material.quick:
        ways["depthsvc, --every auto"] = ["--every", "auto"]
        if KINDS[EngineName.NCNN].can_run():
            ways["depthsvc, ncnn"] = ["--engine", "ncnn"]
    return [
        _Command(name, [*command, *options, str(clip), target], material.environment) for name, options in ways.items()
    ]


def _table(commands: Sequence[_Command], frames: int) -> Table:
    loop = next((command for command in commands if command.name == _LOOP), None)
    heads = ["command", "frames/s", "times as fast", "CPU ms a frame", "CPU"]
    return Table("Heatmaps of a clip", heads, [_row(command, loop, frames) for command in commands])


def _row(command: _Command, loop: _Command | None, frames: int) -> list[str]:
    return [
        command.name,
        spread([frames / seconds for seconds in command.times.seconds], 2),
        spread(_ratios(loop.times.seconds, command.times.seconds), 2) if loop else "",
        f"{1000 * median(command.times.cpu_s) / frames:.0f}",
        spread(_ratios(command.times.cpu_s, loop.times.cpu_s), 2) if loop else "",
    ]


def _ratios(one: Sequence[float], other: Sequence[float]) -> list[float]:
    return [mine / its for mine, its in zip(one, other, strict=True)]
