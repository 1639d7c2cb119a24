"""Every engine gives the depth that the network gives, for every shape of photo, in every process."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from depthsvc.errors import ConfigurationError, ModelError, installation
from depthsvc.model.choice import EngineName, Precision, WeightsLocations
from depthsvc.model.engines import kinds as engines
from depthsvc.model.engines.base import Engine
from depthsvc.model.engines.cache import artefact
from depthsvc.model.engines.kinds import KINDS, NCNN, ONNXRUNTIME, OPENVINO, TORCHSCRIPT, EngineKind
from depthsvc.model.engines.torchscript import TorchScriptEngine
from depthsvc.model.networks.base import Network
from depthsvc.model.networks.checkpoint import load_network
from depthsvc.model.registry import registered
from depthsvc.model.spec import ResolvedModel, VerifiedFile
from depthsvc.model.weights.files import obtain
from tests import parity
from tests.conftest import Checkpoint

SHAPES = [(192, 256), (256, 192), (256, 256), (96, 768), (32, 512)]
"""Height and width: 4:3, 3:4, square, wide, and as flat as a photo can become."""


class _Relu(Network):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.relu()


def _resolved(name: str, file: VerifiedFile) -> ResolvedModel:
    model = registered(name)
    return ResolvedModel(model.spec, file, model.architecture)


@pytest.fixture(scope="module", params=["midas_small", "embedded"])
def weights(request: pytest.FixtureRequest, checkpoint: Checkpoint, cache_dir: Path) -> tuple[str, VerifiedFile]:
    """The name of a model and its weights: deterministic ones of MiDaS_small, trained ones of the embedded model."""
    if request.param == "midas_small":
        return request.param, VerifiedFile(checkpoint.path, checkpoint.sha256)
    return request.param, obtain(registered("embedded"), WeightsLocations(cache_dir))


@pytest.fixture(scope="module")
def network(weights: tuple[str, VerifiedFile]) -> Network:
    name, file = weights
    return load_network(registered(name).architecture, file)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_engine_agrees_with_the_network_for_every_shape(
    kind: EngineKind, weights: tuple[str, VerifiedFile], network: Network, cache_dir: Path
) -> None:
    if not kind.can_write():
        pytest.skip(f"{kind.name} is not installed")
    name, file = weights
    path = artefact(_resolved(name, file), kind, Precision.FP32, cache_dir).path
    engine = kind.open(path, 1, Precision.FP32)
    for height, width in SHAPES:
        planes = parity.network_input(height, width)
        with torch.inference_mode():
            expected = network(torch.from_numpy(planes)).numpy()
        values = engine.infer(planes)
        assert values.dtype == np.float32
        assert values.shape == expected.shape == (1, height, width)
        assert np.ptp(expected) > 0
        assert np.abs(values - expected).max() <= 1e-3 * np.ptp(expected)


def _embedded_file(kind: EngineKind, cache_dir: Path) -> Path:
    """The embedded model, prepared for an engine."""
    if not kind.can_write():
        pytest.skip(f"{kind.name} is not installed")
    model = registered("embedded")
    weights = obtain(model, WeightsLocations(cache_dir))
    return artefact(_resolved(model.name, weights), kind, Precision.FP32, cache_dir).path


def _embedded(kind: EngineKind, cache_dir: Path) -> Engine:
    """The embedded model in an engine."""
    return kind.open(_embedded_file(kind, cache_dir), 1, Precision.FP32)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_an_answer_stays_when_the_next_one_is_computed(kind: EngineKind, cache_dir: Path) -> None:
    engine = _embedded(kind, cache_dir)
    first = engine.infer(parity.network_input(64, 96))
    kept = first.copy()
    assert not np.array_equal(engine.infer(parity.network_input(64, 96, seed=1)), kept)
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_an_engine_that_is_specialised_accepts_every_shape_as_before(kind: EngineKind, cache_dir: Path) -> None:
    engine = _embedded(kind, cache_dir)
    photos = [parity.network_input(64, 96), parity.network_input(96, 64)]
    expected = [engine.infer(planes).copy() for planes in photos]
    for shape in [(1, 3, 96, 64), (1, 3, 64, 96)]:
        engine.specialise(shape)
        for planes, values in zip(photos, expected, strict=True):
            assert np.abs(engine.infer(planes) - values).max() <= 1e-5 * np.ptp(values)


def test_bf16_is_near_fp32(cache_dir: Path) -> None:
    """PyTorch computes bf16 on every processor, though slowly where it has no instructions for it."""
    model = registered("embedded")
    weights = obtain(model, WeightsLocations(cache_dir))
    planes = parity.network_input(64, 96)
    exact, rounded = (
        TorchScriptEngine(artefact(_resolved(model.name, weights), TORCHSCRIPT, precision, cache_dir).path, 1).infer(
            planes
        )
        for precision in (Precision.FP32, Precision.BF16)
    )
    assert rounded.dtype == np.float32
    difference = np.abs(rounded - exact).mean() / np.ptp(exact)
    assert 1e-5 < difference < 0.05


@pytest.mark.parametrize(
    ("kind", "package", "extra"),
    [
        (OPENVINO, "openvino", "openvino"),
        (ONNXRUNTIME, "onnxruntime", "onnx"),
        (ONNXRUNTIME, "onnx", "onnx"),
        (NCNN, "ncnn", "ncnn"),
    ],
)
def test_a_missing_package_is_told_with_the_command_that_installs_it(
    kind: EngineKind, package: str, extra: str, without: Callable[[str], None], cache_dir: Path
) -> None:
    without(package)
    model = registered("embedded")
    weights = obtain(model, WeightsLocations(cache_dir))
    with pytest.raises(ConfigurationError) as caught:
        artefact(_resolved(model.name, weights), kind, Precision.FP32, cache_dir)
    assert str(caught.value) == f"The engine {kind.name} needs the package {package}. Install it: {installation(extra)}"


def test_a_file_can_be_run_without_the_packages_that_write_it(without: Callable[[str], None], tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    ONNXRUNTIME.write(_Relu(), registered("embedded").spec.input, path, Precision.FP32)
    without("onnx")
    planes = np.full((1, 3, 96, 128), -1, np.float32)
    assert ONNXRUNTIME.open(path, 1, Precision.FP32).infer(planes).max() == 0


def test_openvino_tells_nobody_that_it_is_imported() -> None:
    if not OPENVINO.can_run():
        pytest.skip("openvino is not installed")
    code = """
import multiprocessing, os, sys
def refuse(*_): sys.exit("a process is forked")
os.fork = multiprocessing.Process.start = refuse
import depthsvc.model.engines.openvino
from openvino.tools.ovc.telemetry_utils import tm
sys.exit(tm.__name__)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr == "openvino.tools.ovc.telemetry_stub\n"


def test_ncnn_frees_the_memory_of_a_large_photo(cache_dir: Path) -> None:
    code = """
import sys
from pathlib import Path
import numpy as np
from depthsvc.model.choice import Precision
from depthsvc.model.engines.kinds import NCNN
engine = NCNN.open(Path(sys.argv[1]), 1, Precision.FP32)
engine.infer(np.zeros((1, 3, 1024, 1024), np.float32))
status = dict(line.split(":") for line in open("/proc/self/status"))
print(int(status["VmRSS"].split()[0]), int(status["VmHWM"].split()[0]))
"""
    command = [sys.executable, "-c", code, str(_embedded_file(NCNN, cache_dir))]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    kept, most = map(int, output.split())
    assert kept < most / 2


@pytest.mark.parametrize(("wanted", "spins"), [(None, "0"), ("ACTIVE", "30000000000")])
def test_threads_of_ncnn_sleep_while_they_wait_unless_told_otherwise(wanted: str | None, spins: str) -> None:
    if not NCNN.can_run():
        pytest.skip("ncnn is not installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    environment |= {"OMP_DISPLAY_ENV": "verbose"} | ({"OMP_WAIT_POLICY": wanted} if wanted else {})
    code = "import os, depthsvc.model.engines.ncnn; print(os.environ.get('OMP_WAIT_POLICY'))"
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert f"GOMP_SPINCOUNT = '{spins}'" in result.stderr
    assert result.stdout == f"{wanted}\n"


def test_openvino_does_not_compile_again_what_this_processor_has_compiled(
    cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _embedded(OPENVINO, cache_dir).infer(parity.network_input(64, 96)).copy()
    import openvino

    monkeypatch.delattr(openvino.Core, "compile_model")
    assert np.array_equal(_embedded(OPENVINO, cache_dir).infer(parity.network_input(64, 96)), expected)


@pytest.mark.parametrize("changed", [rb"(?<=ov=)\d", rb"(?<=isa=)\w", rb"(?s).+"])
def test_openvino_compiles_again_what_it_cannot_use(changed: bytes, cache_dir: Path, tmp_path: Path) -> None:
    """What another version has compiled, or for another processor, and what is no network at all."""
    made = _embedded_file(OPENVINO, cache_dir)
    planes = parity.network_input(64, 96)
    expected = OPENVINO.open(made, 1, Precision.FP32).infer(planes).copy()
    path = shutil.copytree(made.parent, tmp_path / "changed") / made.name
    content, changes = re.subn(changed, b"0", path.with_suffix(".blob").read_bytes(), count=1)
    assert changes
    path.with_suffix(".blob").write_bytes(content)
    assert np.array_equal(OPENVINO.open(path, 1, Precision.FP32).infer(planes), expected)


def test_openvino_runs_a_users_onnx_file(tmp_path: Path) -> None:
    if not (OPENVINO.can_run() and ONNXRUNTIME.can_write()):
        pytest.skip("openvino or onnx is not installed")
    path = tmp_path / "own.onnx"
    ONNXRUNTIME.write(_Relu(), registered("embedded").spec.input, path, Precision.FP32)
    planes = parity.network_input(64, 96)
    assert np.array_equal(OPENVINO.open(path, 1, Precision.FP32).infer(planes), np.maximum(planes, 0))
    path.write_bytes(b"not a network")
    with pytest.raises(ModelError, match=re.escape(f"{path} is refused: OpenVINO cannot load it")):
        OPENVINO.open(path, 1, Precision.FP32)


def test_auto_is_no_engine() -> None:
    assert set(KINDS) == set(EngineName) - {EngineName.AUTO}
    assert engines.KINDS[EngineName.TORCHSCRIPT].can_write()


class _Tokens(Network):
    """Computes with a row of tokens, as transformers do, whose map takes its shape from the photo's."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Conv2d(3, 8, 4, stride=4)
        self.mix = torch.nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.mix(self.embed(x).flatten(2).transpose(1, 2))
        grid = tokens.transpose(1, 2).reshape(x.shape[0], 8, x.shape[2] // 4, x.shape[3] // 4)
        size = grid.shape[2] * 4, grid.shape[3] * 4
        return torch.nn.functional.interpolate(grid, size, mode="bilinear", align_corners=True)[:, 0]


def test_what_openvino_compiled_is_kept_only_if_it_computes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    torch.manual_seed(0)
    spec, network = registered("embedded").spec.input, _Tokens().eval()
    OPENVINO.write(network, spec, tmp_path / "net.xml", Precision.FP32)
    engine = OPENVINO.open(tmp_path / "net.xml", 1, Precision.FP32)
    for height, width in SHAPES:
        planes = parity.network_input(height, width)
        with torch.inference_mode():
            expected = network(torch.from_numpy(planes)).numpy()
        assert np.abs(engine.infer(planes) - expected).max() <= 1e-5 * np.ptp(expected)
    openvino = import_module("depthsvc.model.engines.openvino")
    monkeypatch.setattr(openvino, "_imported", lambda *_: lambda planes: [np.zeros((1, 0, 0), np.float32)])
    OPENVINO.write(network, spec, tmp_path / "other.xml", Precision.FP32)
    assert sorted(path.name for path in tmp_path.glob("other.*")) == ["other.bin", "other.xml"]
