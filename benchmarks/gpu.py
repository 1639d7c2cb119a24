"""What a GPU does with each registered network: its errors against the CPU, its speed and its memory.

    python -m benchmarks.gpu [--quick] [--models NAME ...] [--device cuda:0] [--json FILE]

Prints Markdown, and writes the same figures as JSON after each network, so that a run that is ended keeps what it has.
The weights are random but deterministic (tests/zoo.py), so no download is needed. Without a GPU it says so and ends.
`--device cpu` rehearses the script on a machine without one.

- error: largest difference from the same network on the CPU in fp32, as a fraction of the largest value there
- forward: inputs a second through the engine, copies to and from the GPU included, for batches of 1, 2, 4 and 8
- photos: photos a second from JPEG of 1280 x 960 to heatmap in one process, as in one worker
- memory: the most that PyTorch has held on the GPU for one input at a time: weights and workspace, without CUDA's own
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.machine import machine, versions
from benchmarks.material import photo
from depthsvc.errors import ConfigurationError, ModelError
from depthsvc.evaluation.table import Table
from depthsvc.imaging.resize import network_size
from depthsvc.machine.capacity import available_cpus
from depthsvc.model.architecture import Architecture
from depthsvc.model.choice import Device, EngineChoice, EngineName, Precision
from depthsvc.model.engines.kinds import TORCHSCRIPT
from depthsvc.model.gpus import find_gpus
from depthsvc.model.loaded import open_model
from depthsvc.model.networks.base import Network, build
from depthsvc.model.registry import MODELS
from depthsvc.model.spec import PreparedModel, RegisteredModel, VerifiedFile
from depthsvc.model.weights.files import sha256_of
from depthsvc.options import HeatmapOptions
from depthsvc.pipeline.stages import Pipeline
from tests.zoo import network_input, run, tensor

PHOTO = 1280, 960
BATCHES = 1, 2, 4, 8
_BUDGET_S = 420
"""No further network is begun after this; the largest takes less than a minute."""
_MEASURE_S, _QUICK_S = 0.5, 0.1
"""Seconds for each figure, after two calls that warm up."""


@dataclass
class Figures:
    """One network in one precision."""

    model: str
    precision: str
    input: tuple[int, int]
    """Width and height in pixels."""
    error: float = 0.0
    forward: dict[int, float] = field(default_factory=dict)
    """Inputs a second by batch size."""
    photos: float = 0.0
    """Photos a second."""
    memory_bytes: int = 0
    failure: str = ""
    """Why the figures are not complete."""


def measure(model: RegisteredModel, device: Device, seconds: float, folder: Path) -> Iterator[Figures]:
    """The figures of a network, one precision after another. A failure is a figure too."""
    spec = model.spec.input
    width, height = network_size(*PHOTO, spec)
    planes = network_input(height, width, 0, spec.mean, spec.std)
    exact = run(_filled(model.architecture), planes)
    for precision in TORCHSCRIPT.precisions_on(device):
        figures = Figures(model.name, precision, (width, height))
        try:
            _measure(figures, _prepared(model, precision, device, folder), planes, exact, seconds)
        except Exception as error:  # the other precisions and networks are still worth measuring
            figures.failure = f"{type(error).__name__}: {error}".splitlines()[0]
        yield figures


def _measure(
    figures: Figures,
    prepared: PreparedModel,
    planes: NDArray[np.float32],
    exact: NDArray[np.float32],
    seconds: float,
) -> None:
    choice = prepared.choice
    if choice.device.is_cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(choice.device)
    _measure_network(figures, prepared, planes, exact, seconds)
    pipeline = Pipeline(open_model(prepared), max_pixels=100_000_000, max_input_size=4096)
    data, options = photo(*PHOTO), HeatmapOptions()
    figures.photos = _rate(lambda: pipeline.answer(data, options), seconds)


def _measure_network(
    figures: Figures,
    prepared: PreparedModel,
    planes: NDArray[np.float32],
    exact: NDArray[np.float32],
    seconds: float,
) -> None:
    choice = prepared.choice
    engine = TORCHSCRIPT.open(prepared.file.path, choice.threads, choice.precision, device=choice.device)
    computed = engine.infer(planes)
    if not np.isfinite(computed).all():
        raise ModelError("the output is not finite")
    figures.error = float(np.abs(computed - exact).max() / np.abs(exact).max())
    for batch in BATCHES:
        inputs = np.repeat(planes, batch, axis=0)
        figures.forward[batch] = batch * _rate(partial(engine.infer, inputs), seconds)
        if batch == 1 and choice.device.is_cuda:
            figures.memory_bytes = torch.cuda.max_memory_reserved(choice.device)


def _rate(call: Callable[[], object], seconds: float) -> float:
    """Calls a second."""
    call()
    call()
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds or not count:
        call()
        count += 1
    return count / (time.perf_counter() - begun)


def _prepared(model: RegisteredModel, precision: Precision, device: Device, folder: Path) -> PreparedModel:
    """The network as a file for this device, in place of the last one."""
    path = folder / "network.ts"
    TORCHSCRIPT.write(_filled(model.architecture), model.spec.input, path, precision, device)
    choice = EngineChoice(EngineName.TORCHSCRIPT, precision, available_cpus(), device)
    return PreparedModel(model.spec, VerifiedFile(path, sha256_of(path)), choice)


def _filled(architecture: Architecture) -> Network:
    """The network with its deterministic weights, on the CPU."""
    with torch.device("meta"):
        network = build(architecture)
    entries = tuple((key, tuple(value.shape)) for key, value in network.state_dict().items())
    network.load_state_dict(_weights(entries), assign=True)  # which leaves the cached tensors as they are
    return network.eval().requires_grad_(requires_grad=False)


@lru_cache(maxsize=1)  # the largest take 1.4 GB
def _weights(entries: tuple[tuple[str, tuple[int, ...]], ...]) -> dict[str, Tensor]:
    """A state dict with these keys and shapes."""
    with ThreadPoolExecutor(available_cpus()) as threads:
        values = threads.map(lambda entry: torch.from_numpy(tensor(*entry)), entries)
        return dict(zip((key for key, _ in entries), values, strict=True))


def tables(measured: Sequence[Figures]) -> list[Table]:
    """The figures as they are printed."""
    heads = ["model", "input", "precision", "error", *(f"forward, batch {batch}" for batch in BATCHES)]
    rows = [_row(figures) for figures in measured if not figures.failure]
    failed = [[figures.model, figures.precision, figures.failure] for figures in measured if figures.failure]
    found = [Table("Networks", [*heads, "photos", "memory MB"], rows)]
    return [*found, Table("Failures", ["model", "precision", "reason"], failed)] if failed else found


def _row(figures: Figures) -> list[str]:
    return [
        figures.model,
        "{} x {}".format(*figures.input),
        figures.precision,
        f"{figures.error:.1e}",
        *(f"{figures.forward[batch]:.1f}" for batch in BATCHES),
        f"{figures.photos:.1f}",
        f"{figures.memory_bytes / 1e6:.0f}",
    ]


def _keep(path: Path, about: dict[str, str], measured: Sequence[Figures], missing: Sequence[str]) -> None:
    document = {"about": about, "figures": [asdict(figures) for figures in measured], "not measured": missing}
    path.write_text(json.dumps(document, indent=2) + "\n")


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS), metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="a fifth of the time for each figure")
    parser.add_argument("--device", type=Device, default=Device("cuda"))
    parser.add_argument("--budget-s", type=float, default=_BUDGET_S, help="begin no further network after this")
    parser.add_argument("--json", type=Path, default=Path("gpu.json"), help="file to write")
    return parser.parse_args(given)


def _about(device: Device) -> dict[str, str]:
    gpu = find_gpus().gpu(device) if device.is_cuda else None
    return {
        "device": f"{device}, {gpu.name}, {gpu.total_bytes / 1e9:.0f} GB" if gpu else str(device),
        "machine": machine(),
        "versions": f"{versions()}, CUDA {torch.version.cuda}",
    }


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    arguments = _arguments(given)
    try:
        about = _about(arguments.device)
    except ConfigurationError as error:
        print(f"Nothing is measured: {error}")
        return
    cv2.setNumThreads(available_cpus())
    begun = time.monotonic()
    measured: list[Figures] = []
    left = list(arguments.models)
    with tempfile.TemporaryDirectory() as folder:
        while left and time.monotonic() - begun < arguments.budget_s:
            name = left.pop(0)
            try:
                seconds = _QUICK_S if arguments.quick else _MEASURE_S
                measured += measure(MODELS[name], arguments.device, seconds, Path(folder))
            except Exception as error:
                measured.append(Figures(name, "", (0, 0), failure=f"{type(error).__name__}: {error}".splitlines()[0]))
            _keep(arguments.json, about, measured, left)
    print("\n".join(f"{key}: {value}" for key, value in about.items()), "\n")
    print("\n\n".join(table.markdown() for table in tables(measured)))
    if left:
        print(f"\nNot measured within {arguments.budget_s:g} s: {', '.join(left)}. Name them with --models.")


if __name__ == "__main__":
    main()
