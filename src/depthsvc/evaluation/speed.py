"""`depthsvc bench`: how long a photo's stages take on this machine, side by side in one run.

The rows of a table are measured in turns, because a machine's speed drifts: trust the ratios more than the times.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from depthsvc.depth import DepthMap
from depthsvc.errors import ConfigurationError
from depthsvc.evaluation.table import Table
from depthsvc.imaging import encode
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.formats import ACCEPTED_NAMES, SUFFIXES
from depthsvc.imaging.photo.pixels import Bounds, at_least
from depthsvc.imaging.resize import network_size, to_network_input, upsample
from depthsvc.imaging.spec import InputSpec
from depthsvc.machine.capacity import available_cpus
from depthsvc.model.choice import EngineName, Precision
from depthsvc.model.engines.base import Engine
from depthsvc.model.engines.cache import artefact
from depthsvc.model.engines.devices import has_bf16, processor_name
from depthsvc.model.engines.kinds import KINDS, TORCHSCRIPT, EngineKind
from depthsvc.model.spec import ResolvedModel
from depthsvc.pool.heap import bound_heap

PHOTO_SIZES = ((640, 480), (1920, 1080), (3840, 2160))
_LIBRARIES = ("torch", "openvino", "onnxruntime", "ncnn", "opencv-python-headless", "pillow", "isal")


@dataclass(frozen=True)
class Case:
    """One way to run a network."""

    kind: EngineKind
    precision: Precision
    threads: int
    size: int
    """Input size in pixels."""


def machine() -> str:
    """The processor, the number of available CPUs, and the versions of the libraries."""
    return f"{processor_name()}, {available_cpus()} CPUs; {', '.join(filter(None, map(_with_version, _LIBRARIES)))}"


def _with_version(library: str) -> str:
    try:
        return f"{library} {version(library)}"
    except PackageNotFoundError:
        return ""


@dataclass(frozen=True)
class Times:
    """What a call took, turn by turn."""

    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    """Processor time of this process. Other programs change it least."""


def times_in_turns(calls: Sequence[Callable[[], object]], rounds: int) -> list[Times]:
    """The times of each call, `rounds` for each. A call runs twice per turn: the first run warms the caches."""
    times = [Times() for _ in calls]
    for _ in range(rounds):
        for call, taken in zip(calls, times, strict=True):
            call()
            started, used = time.perf_counter(), time.process_time()
            call()
            taken.seconds.append(time.perf_counter() - started)
            taken.cpu_s.append(time.process_time() - used)
    return times


def forward(
    model: ResolvedModel,
    cache_dir: Path,
    *,
    engines: Sequence[EngineName] = (),
    precisions: Sequence[Precision] = (),
    threads: Sequence[int] = (),
    sizes: Sequence[int] = (),
    rounds: int,
    photos: Sequence[bytes] = (),
) -> Table:
    """The network alone, on a 4:3 photo: each engine in each precision with each number of threads.

    Defaults: every installed engine, the processor's precisions, one thread and one per CPU, and the model's own input
    size. With `photos`, also the error of each depth against the first row of its size, in 255ths of the photo's range:
    the mean, and the 99th percentile of the worst photo. OpenVINO's bf16 is left out if the processor has none;
    PyTorch's is slow there, but gives the errors.
    """
    if model.architecture is None:
        raise ConfigurationError("Only registered models can be measured. Choose one from: depthsvc weights list")
    bound_heap()  # as in a worker; otherwise the system clears pages for each of PyTorch's arrays
    opened = _open_engines(model, cache_dir, engines, precisions, threads)
    cases = [Case(*key, size) for size in sizes or [model.spec.input.size] for key in opened]
    computing = [opened[case.kind, case.precision, case.threads] for case in cases]
    calls = [_call(engine, case.size, model.spec.input) for case, engine in zip(cases, computing, strict=True)]
    for call in calls:
        call()
    times = times_in_turns(calls, rounds)
    rows = []
    for index, case in enumerate(cases):
        first = next(number for number, other in enumerate(cases) if other.size == case.size)
        row = [str(case.size), str(case.kind.name), str(case.precision), str(case.threads)]
        row += _figures(times[index].seconds, times[first].seconds)
        row += _figures(times[index].cpu_s, times[first].cpu_s)
        if photos:
            row += _errors(computing[index], computing[first], photos, case.size, model.spec.input)
        rows.append(row)
    heads = ["input size", "engine", "precision", "threads", "median ms", "ratio", "CPU ms", "CPU ratio"]
    heads += ["mean error", "99 % error"] if photos else []
    return Table(f"{model.name}, forward pass of a 4:3 photo", heads, rows)


def _open_engines(
    model: ResolvedModel,
    cache_dir: Path,
    engines: Sequence[EngineName],
    precisions: Sequence[Precision],
    threads: Sequence[int],
) -> dict[tuple[EngineKind, Precision, int], Engine]:
    """The network in each combination of engine, precision and threads that works on this machine."""
    assert model.architecture is not None
    suited = [kind for kind in KINDS.values() if kind.suits(model.architecture)]
    engines = engines or [kind.name for kind in suited if kind.can_write()]
    precisions = precisions or [Precision.FP32, *([Precision.BF16] if has_bf16() else [])]
    opened: dict[tuple[EngineKind, Precision, int], Engine] = {}
    for name, precision, count in product(engines, precisions, threads or sorted({1, available_cpus()})):
        kind = KINDS[name]
        if precision is Precision.FP32 or (precision in kind.precisions and (kind is TORCHSCRIPT or has_bf16())):
            file = artefact(model, kind, precision, cache_dir)
            opened[kind, precision, count] = kind.open(file.path, count, precision)
    if not opened:
        raise ConfigurationError(
            "None of these engines supports any of these precisions on this machine. Choose others."
        )
    return opened


def _figures(seconds: Sequence[float], first: Sequence[float]) -> list[str]:
    """The median in ms, and the median of the ratios to another row within one turn."""
    ratio = median(mine / other for mine, other in zip(seconds, first, strict=True))
    return [f"{1000 * median(seconds):.1f}", f"{ratio:.2f}"]


def _call(engine: Engine, size: int, spec: InputSpec) -> Callable[[], object]:
    planes = to_network_input(_photo_pixels(640, 480), *network_size(640, 480, spec, size), spec)
    return lambda: engine.infer(planes)


def _errors(engine: Engine, exact: Engine, photos: Sequence[bytes], size: int, spec: InputSpec) -> list[str]:
    """Mean error, and 99th percentile of the worst photo, in 255ths of the photo's range."""
    differences = []
    for data in photos:
        pixels = decode(data, Bounds(200_000_000, at_least(2 * size))).pixels
        planes = to_network_input(pixels, *network_size(pixels.shape[1], pixels.shape[0], spec, size), spec)
        expected = exact.infer(planes)
        differences.append(255 * np.abs(engine.infer(planes) - expected) / max(float(np.ptp(expected)), 1e-9))
    mean = np.mean([difference.mean() for difference in differences])
    return [f"{mean:.2f}/255", f"{max(np.percentile(difference, 99) for difference in differences):.2f}/255"]


def photos_in(folder: Path) -> list[bytes]:
    """The photos in a folder. Raises ConfigurationError if there are none."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ConfigurationError(f"{folder}: no {ACCEPTED_NAMES} file. Choose a folder with photos.")
    return [path.read_bytes() for path in files]


def pixels(spec: InputSpec, rounds: int) -> Table:
    """Everything except the network: decoding, scaling up and encoding, for photos of several sizes."""
    rows = []
    for width, height in PHOTO_SIZES:
        stages = _pixel_stages(width, height, spec)
        times = times_in_turns(list(stages.values()), rounds)
        rows.append([f"{width} x {height}", *(f"{1000 * median(taken.seconds):.1f}" for taken in times)])
    return Table("pixels, median ms", ["photo", *stages], rows)


def _pixel_stages(width: int, height: int, spec: InputSpec) -> dict[str, Callable[[], object]]:
    data = _jpeg(width, height)
    small = _photo_pixels(spec.size, spec.size)[..., 0].astype(np.float32)
    depth = DepthMap.of(upsample(small, width, height), "measured")
    return {
        "decode JPEG": lambda: decode(data, Bounds(width * height, at_least(2 * spec.size))),
        "scale up": lambda: upsample(small, width, height),
        "heatmap": lambda: encode.heatmap_png(depth.values),
        "palette": lambda: encode.heatmap_png(depth.values, palette=True),
        "f16": lambda: encode.f16(depth.values),
        "png16": lambda: encode.png16(depth.values),
    }


def _photo_pixels(width: int, height: int) -> NDArray[np.uint8]:
    """RGB (height, width, 3): smooth shapes with some noise."""
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(width, height)
    waves = np.stack([np.sin(14 * x + channel) * np.cos(18 * y - channel) for channel in range(3)], axis=2)
    noise = np.random.default_rng(0).normal(0, 6, waves.shape)
    return (128 + 90 * waves + noise).clip(0, 255).astype(np.uint8)


def _jpeg(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(_photo_pixels(width, height)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
