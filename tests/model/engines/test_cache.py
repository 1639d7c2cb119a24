"""An engine's file is made once for each weights, and a cache that fails costs time, never the start."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from depthsvc.errors import ConfigurationError
from depthsvc.model.architecture import COMPACT
from depthsvc.model.cached import entries, foreign
from depthsvc.model.choice import Device, Precision
from depthsvc.model.engines import cache, kinds, torchscript
from depthsvc.model.engines.cache import ARTEFACT_FORMAT, artefact, is_made
from depthsvc.model.engines.kinds import ONNXRUNTIME, TORCHSCRIPT
from depthsvc.model.networks.checkpoint import load_network
from depthsvc.model.networks.midas import DepthNetwork
from depthsvc.model.registry import registered
from depthsvc.model.spec import ResolvedModel, VerifiedFile
from depthsvc.model.weights.files import sha256_of


def _weights(path: Path, seed: int) -> VerifiedFile:
    torch.manual_seed(seed)
    network = DepthNetwork(COMPACT)
    last = network.scratch.output_conv[4]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    nn.init.ones_(last.bias)
    safetensors.torch.save_file(network.state_dict(), path)
    return VerifiedFile(path, sha256_of(path))


def _resolved(weights: VerifiedFile) -> ResolvedModel:
    return ResolvedModel(registered("embedded").spec, weights, COMPACT)


def _cached(weights: VerifiedFile, cache_dir: Path) -> Path:
    return artefact(_resolved(weights), TORCHSCRIPT, Precision.FP32, cache_dir).path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> VerifiedFile:
    return _weights(tmp_path_factory.mktemp("weights") / "first.safetensors", seed=0)


@pytest.fixture(scope="module")
def made(weights: VerifiedFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artefact in a cache of its own; not to be changed."""
    return _cached(weights, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def filled_cache(made: Path, tmp_path: Path) -> Path:
    """A cache with the artefact in it."""
    cache = tmp_path / "cache"
    shutil.copytree(made.parent, cache / "engines" / made.parent.name)
    return cache


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def unwritable_cache(tmp_path: Path) -> Path:
    """A folder that nobody, not even root, can make."""
    (tmp_path / "file").touch()
    return tmp_path / "file" / "cache"


def _forbid_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    def trace(*_: object) -> NoReturn:
        raise AssertionError("traced again")

    monkeypatch.setattr(torchscript, "trace", trace)


def test_trace_in_the_cache_computes_what_the_network_does(made: Path, weights: VerifiedFile) -> None:
    planes = np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)
    with torch.inference_mode():
        expected = load_network(COMPACT, weights)(torch.from_numpy(planes)).numpy()
    assert expected.max() > 0
    np.testing.assert_allclose(TORCHSCRIPT.open(made, 1, Precision.FP32).infer(planes), expected, rtol=0, atol=1e-4)


def test_file_is_made_once(filled_cache: Path, weights: VerifiedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    _forbid_tracing(monkeypatch)
    assert _cached(weights, filled_cache).is_relative_to(filled_cache)


def test_what_a_killed_process_left_is_removed(weights: VerifiedFile, tmp_path: Path, made: Path) -> None:
    cache = tmp_path / "cache"
    left, other = (cache / "engines" / name for name in (f"{made.parent.name}abc.part", "another.part"))
    for folder in (left, other):
        folder.mkdir(parents=True)
    _cached(weights, cache)
    assert not left.exists()
    assert other.exists()


def test_processes_that_start_together_make_it_once(weights: VerifiedFile, tmp_path: Path) -> None:
    counter = tmp_path / "written"
    code = f"""
from pathlib import Path
from depthsvc.errors import ConfigurationError
from depthsvc.model.architecture import COMPACT
from depthsvc.model.engines.cache import artefact
from depthsvc.model.choice import Precision
from depthsvc.model.engines import cache, torchscript
from depthsvc.model.engines.kinds import ONNXRUNTIME, TORCHSCRIPT
from depthsvc.model.registry import registered
from depthsvc.model.spec import ResolvedModel, VerifiedFile
trace = torchscript.trace
def counted(*arguments):
    with open({str(counter)!r}, "a") as file:
        file.write("x")
    return trace(*arguments)
torchscript.trace = counted
weights = VerifiedFile(Path({str(weights.path)!r}), {weights.sha256!r})
model = ResolvedModel(registered("embedded").spec, weights, COMPACT)
print(artefact(model, TORCHSCRIPT, Precision.FP32, Path({str(tmp_path / "cache")!r})).path)
"""
    command = [sys.executable, "-c", "from depthsvc.model.engines import torchscript\n" + code]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {process.communicate(timeout=120)[0].strip() for process in processes}
    assert len(paths) == 1
    assert counter.read_text() == "x"
    TORCHSCRIPT.open(Path(paths.pop()), 1, Precision.FP32)


def test_artefact_can_be_read_by_another_user_than_the_one_who_made_it(made: Path) -> None:
    assert made.stat().st_mode & 0o777 == 0o644
    assert made.parent.stat().st_mode & 0o777 == 0o755


def test_cache_holds_nothing_but_the_artefact_and_its_lock(made: Path) -> None:
    assert {path.name for path in made.parent.parent.iterdir()} == {made.parent.name, f"{made.parent.name}.lock"}
    assert {path.name for path in made.parent.iterdir()} == {"compact.ts", "compact.pt", "sha256.json"}


def test_other_weights_have_another_artefact(weights: VerifiedFile, filled_cache: Path, tmp_path: Path) -> None:
    others = _weights(tmp_path / "second.safetensors", seed=1)
    first, second = (_cached(file, filled_cache) for file in (weights, others))
    assert first.with_suffix(".pt").read_bytes() != second.with_suffix(".pt").read_bytes()
    assert _cached(weights, filled_cache) == first


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _change_weights(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def _break_sums(path: Path) -> None:
    (path.parent / "sha256.json").write_text("{")


def _make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _make_sums_a_pipe(path: Path) -> None:
    _make_pipe(path.with_name("sha256.json"))


@pytest.mark.parametrize(
    ("damage", "suffix"),
    [
        (_cut_off, ".ts"),
        (_change_weights, ".pt"),
        (_break_sums, ".ts"),
        (Path.unlink, ".pt"),
        (_make_pipe, ".pt"),
        (_make_sums_a_pipe, ".ts"),
    ],
)
def test_damaged_artefact_is_replaced(
    weights: VerifiedFile, filled_cache: Path, made: Path, damage: Callable[[Path], None], suffix: str
) -> None:
    damaged = filled_cache / "engines" / made.parent.name / made.name
    damage(damaged.with_suffix(suffix))
    assert _cached(weights, filled_cache) == damaged
    planes = np.zeros((1, 3, 32, 32), np.float32)
    expected = TORCHSCRIPT.open(made, 1, Precision.FP32).infer(planes)
    assert np.array_equal(TORCHSCRIPT.open(damaged, 1, Precision.FP32).infer(planes), expected)


def test_cache_that_cannot_be_written_is_replaced_by_a_temporary_folder(
    weights: VerifiedFile,
    unwritable_cache: Path,
    temporary: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = _cached(weights, unwritable_cache)
    assert path.parents[2] == temporary
    assert f"{unwritable_cache} cannot be written (Not a directory); using a temporary folder." in caplog.messages
    _forbid_tracing(monkeypatch)
    assert _cached(weights, unwritable_cache) == path


def test_temporary_folder_that_others_can_write_to_is_not_used(
    weights: VerifiedFile, made: Path, unwritable_cache: Path, temporary: Path
) -> None:
    shared = temporary / f"depthsvc-{os.getuid()}"
    shared.mkdir()
    shared.chmod(0o777)
    shutil.copytree(made.parent, shared / made.parent.name)
    path = _cached(weights, unwritable_cache)
    assert not path.is_relative_to(shared)
    assert path.parents[1].stat().st_mode & 0o077 == 0


@pytest.fixture
def full_disk() -> Iterator[None]:
    """A limit on the size of files stands for it."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("full_disk")
def test_trace_that_does_not_fit_on_the_disk_is_an_error_and_leaves_no_part(
    weights: VerifiedFile, tmp_path: Path, temporary: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be written \(File too large\)\. Set DEPTHSVC_CACHE_DIR to a"):
        _cached(weights, tmp_path / "cache")
    assert [
        path
        for folder in (tmp_path / "cache", temporary)
        for path in folder.rglob("*")
        if path.stat().st_size and path.is_file()
    ] == []


@pytest.mark.parametrize("is_filled", [True, False], ids=["filled", "empty"])
def test_cache_in_order_needs_no_temporary_folder(
    weights: VerifiedFile,
    filled_cache: Path,
    tmp_path: Path,
    unwritable_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_filled: bool,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(unwritable_cache))
    cache = filled_cache if is_filled else tmp_path / "empty"
    assert _cached(weights, cache).is_relative_to(cache)


def test_a_disk_without_room_is_noticed_before_anything_is_computed(
    weights: VerifiedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    monkeypatch.setattr(cache, "_make", lambda *_: pytest.fail("the model was prepared"))
    with pytest.raises(ConfigurationError, match=r"No space left on device.*folder with \d+ MB of free space"):
        _cached(weights, tmp_path / "cache")


def test_a_prepared_file_belongs_to_its_device_and_those_for_the_cpu_keep_their_names(
    weights: VerifiedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def write(network: object, spec: object, path: Path, precision: Precision, device: Device) -> None:
        written.append(device)
        path.write_bytes(b"trace")

    monkeypatch.setattr(kinds.EngineKind, "write", lambda _, *arguments: write(*arguments))
    monkeypatch.setattr(cache, "has_avx512", lambda: False)
    model, name = _resolved(weights), f"compact-{weights.sha256[:16]}-torchscript"
    cache_dir = tmp_path / "cache"
    made_by = f"torch{version('torch')}-v{ARTEFACT_FORMAT}"
    assert _cached(weights, cache_dir).parent.name == f"{name}-fp32-{made_by}"
    for device in ("cuda:0", "cuda:1"):
        assert not is_made(model, TORCHSCRIPT, Precision.FP16, cache_dir, Device(device))
        made = artefact(model, TORCHSCRIPT, Precision.FP16, cache_dir, Device(device))
        assert made.path.parent.name == f"{name}-fp16-{made_by}-{device.replace(':', '')}"
        assert is_made(model, TORCHSCRIPT, Precision.FP16, cache_dir, Device(device))
    assert written == ["cpu", "cuda:0", "cuda:1"]
    assert len([entry for entry in entries(cache_dir) if entry.is_dir()]) == 3
    assert foreign(cache_dir) == []


def test_a_cache_that_moves_to_another_kind_of_processor_gets_a_file_for_it(
    weights: VerifiedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds.EngineKind, "write", lambda _, *arguments: arguments[2].write_bytes(b"trace"))
    model, made = _resolved(weights), []
    for has_it in (True, False):
        monkeypatch.setattr(cache, "has_avx512", lambda has_it=has_it: has_it)
        assert not is_made(model, TORCHSCRIPT, Precision.FP32, tmp_path)
        made.append(artefact(model, TORCHSCRIPT, Precision.FP32, tmp_path).path)
    assert made[0].parent.name == f"{made[1].parent.name}-avx512"
    assert all(path.exists() for path in made)
    onnx = []
    for has_it in (True, False):
        monkeypatch.setattr(cache, "has_avx512", lambda has_it=has_it: has_it)
        onnx.append(artefact(model, ONNXRUNTIME, Precision.FP32, tmp_path).path)
    assert onnx[0] == onnx[1]
