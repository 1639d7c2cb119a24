"""A network is traced once for each weights, and a cache that fails costs time, never the start."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import safetensors.torch
import torch

from depthsvc.model import torchscript
from depthsvc.model.architecture import COMPACT
from depthsvc.model.checkpoint import load_network
from depthsvc.model.engine import TorchScriptEngine
from depthsvc.model.network import DepthNetwork
from depthsvc.model.torchscript import cached_trace
from depthsvc.model.weights import VerifiedFile, sha256_of


def _weights(path: Path, seed: int) -> VerifiedFile:
    torch.manual_seed(seed)
    network = DepthNetwork(COMPACT)
    torch.nn.init.ones_(network.scratch.output_conv[4].bias)
    safetensors.torch.save_file(network.state_dict(), path)
    return VerifiedFile(path, sha256_of(path))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> VerifiedFile:
    return _weights(tmp_path_factory.mktemp("weights") / "first.safetensors", seed=0)


@pytest.fixture(scope="module")
def made(weights: VerifiedFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace in a cache of its own; not to be changed."""
    return cached_trace(COMPACT, weights, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def filled_cache(made: Path, tmp_path: Path) -> Path:
    """A cache with the trace in it."""
    cache = tmp_path / "cache"
    (cache / "traces").mkdir(parents=True)
    (cache / "traces" / made.name).write_bytes(made.read_bytes())
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
    def trace(_: object) -> NoReturn:
        raise AssertionError("traced again")

    monkeypatch.setattr(torchscript, "trace", trace)


def test_trace_in_the_cache_computes_what_the_network_does(made: Path, weights: VerifiedFile) -> None:
    planes = np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)
    with torch.inference_mode():
        expected = load_network(COMPACT, weights)(torch.from_numpy(planes)).numpy()
    assert expected.max() > 0
    np.testing.assert_allclose(TorchScriptEngine(made, threads=1).infer(planes), expected, rtol=0, atol=1e-4)


def test_network_is_traced_once(filled_cache: Path, weights: VerifiedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    _forbid_tracing(monkeypatch)
    assert cached_trace(COMPACT, weights, filled_cache).parent == filled_cache / "traces"


def test_trace_can_be_read_by_another_user_than_the_one_who_made_it(made: Path) -> None:
    assert made.stat().st_mode & 0o777 == 0o644


def test_cache_holds_the_trace_alone(made: Path) -> None:
    assert list(made.parent.parent.rglob("*")) == [made.parent, made]


def test_other_weights_have_another_trace(weights: VerifiedFile, filled_cache: Path, tmp_path: Path) -> None:
    others = _weights(tmp_path / "second.safetensors", seed=1)
    paths = [cached_trace(COMPACT, file, filled_cache) for file in (weights, others)]
    assert sorted((filled_cache / "traces").iterdir()) == sorted(paths)
    assert paths[0].read_bytes() != paths[1].read_bytes()


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _change_weights(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def _break_compressed_code(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        entry = next(entry for entry in archive.infolist() if entry.compress_type == zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    name_length, extra_length = struct.unpack_from("<HH", data, entry.header_offset + 26)
    data[entry.header_offset + 30 + name_length + extra_length] = 0xFF  # no such type of block
    path.write_bytes(data)


def _break_directory(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 10] = 99  # no such compression
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [_cut_off, _change_weights, _break_compressed_code, _break_directory])
def test_damaged_trace_is_replaced(
    weights: VerifiedFile, filled_cache: Path, made: Path, damage: Callable[[Path], None]
) -> None:
    damaged = filled_cache / "traces" / made.name
    damage(damaged)
    assert cached_trace(COMPACT, weights, filled_cache) == damaged
    with zipfile.ZipFile(damaged) as archive:
        assert archive.testzip() is None


def test_cache_that_cannot_be_written_is_replaced_by_a_temporary_folder(
    weights: VerifiedFile,
    unwritable_cache: Path,
    temporary: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = cached_trace(COMPACT, weights, unwritable_cache)
    assert path.parent.parent == temporary
    assert f"{unwritable_cache} cannot be written (Not a directory); using a temporary folder." in caplog.messages
    _forbid_tracing(monkeypatch)
    assert cached_trace(COMPACT, weights, unwritable_cache) == path


def test_temporary_folder_that_others_can_write_to_is_not_used(
    weights: VerifiedFile, made: Path, unwritable_cache: Path, temporary: Path
) -> None:
    shared = temporary / f"depthsvc-{os.getuid()}"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / made.name).write_bytes(made.read_bytes())
    path = cached_trace(COMPACT, weights, unwritable_cache)
    assert path.parent != shared
    assert path.parent.stat().st_mode & 0o077 == 0


def test_trace_that_does_not_fit_on_the_disk_is_an_error_and_leaves_no_part(
    weights: VerifiedFile, tmp_path: Path, temporary: Path
) -> None:
    """A limit on the size of files stands for the full disk."""
    code = f"""
import resource, signal
from pathlib import Path
from depthsvc.model.architecture import COMPACT
from depthsvc.model.torchscript import cached_trace
from depthsvc.model.weights import VerifiedFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
cached_trace(COMPACT, VerifiedFile(Path({str(weights.path)!r}), {weights.sha256!r}), Path({str(tmp_path / "cache")!r}))
"""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert process.stderr.endswith("OSError: [Errno 27] File too large\n")
    assert process.returncode == 1
    assert [path for folder in (tmp_path / "cache", temporary) for path in folder.rglob("*") if path.is_file()] == []


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
    assert cached_trace(COMPACT, weights, cache).parent == cache / "traces"
