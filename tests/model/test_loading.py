"""What is asked for becomes a network that runs and speaks inverse depth, or an error that names the culprit."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor, nn

from depthsvc import DepthEstimator
from depthsvc.errors import ConfigurationError, ModelError, WeightsError
from depthsvc.model import registry, spec
from depthsvc.model import resolve as resolving
from depthsvc.model.choice import EngineChoice, WeightsLocations
from depthsvc.model.engines.base import Engine
from depthsvc.model.loaded import Model, open_model
from depthsvc.model.prepare import prepare
from depthsvc.model.registry import MODELS
from depthsvc.model.resolve import resolve
from depthsvc.model.spec import PreparedModel, VerifiedFile
from depthsvc.model.weights import files as weights
from depthsvc.model.weights.files import sha256_of
from tests import parity
from tests.conftest import Checkpoint
from tests.model.weights.file_server import FileServer, Route, unreachable_address

Forward = Callable[[Tensor], object]


class Network(nn.Module):
    """A network that computes a function."""

    def __init__(self, function: Forward) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x)


def _red(x: Tensor) -> Tensor:
    return x[:, 0]


def _describe(path: Path, **changes: object) -> None:
    fields = {"size": 128, "multiple": 32, "mean": [0, 0, 0], "std": [1, 1, 1]}
    output = changes.pop("output", "inverse_depth")
    path.with_suffix(".json").write_text(json.dumps({"input": {**fields, **changes}, "output": output}))


def _torchscript(path: Path, function: Forward = _red, **description: object) -> Path:
    """A TorchScript file of this function, described."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated, in words that change
        network, example = Network(function).eval(), torch.rand(1, 3, 128, 128)
        torch.jit.save(torch.jit.trace(network, example, check_trace=False), path)  # type: ignore[no-untyped-call]
    _describe(path, **description)
    return path


def _onnx(path: Path, height: int | str = "h", width: int | str = "w", **description: object) -> Path:
    """An ONNX file that averages the channels, described."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, height, width])
    depth = helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, height, width])
    mean = helper.make_node("ReduceMean", ["image"], ["depth"], axes=[1], keepdims=0)
    graph = helper.make_graph([mean], "mean", [image], [depth])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    _describe(path, **description)
    return path


@pytest.fixture
def locations(tmp_path: Path) -> WeightsLocations:
    """An empty cache, and no downloads."""
    return WeightsLocations(cache_dir=tmp_path / "cache", download=False)


@pytest.fixture
def prepared(locations: WeightsLocations) -> Callable[[Path], PreparedModel]:
    def prepare_file(path: Path) -> PreparedModel:
        return prepare(resolve(str(path), locations), locations.cache_dir)

    return prepare_file


@pytest.fixture
def opened(prepared: Callable[[Path], PreparedModel]) -> Callable[[Path], Model]:
    return lambda path: open_model(prepared(path))


@pytest.fixture
def embedded_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the place of the package's weights."""
    path = tmp_path / "embedded.safetensors"
    path.write_bytes(b"weights of the package")
    monkeypatch.setattr(weights, "EMBEDDED_WEIGHTS", path)
    return path


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have the weights of midas_small published at another address."""

    def publish_at(address: str) -> None:
        midas = MODELS["midas_small"]
        assert midas.weights is not None
        moved = replace(midas, weights=replace(midas.weights, addresses=(address,)))
        monkeypatch.setitem(registry.MODELS, "midas_small", moved)

    return publish_at


def _planes(*values: float) -> NDArray[np.float32]:
    """A network's input, each of whose channels is one row of these values."""
    return np.tile(np.array(values, np.float32), (1, 3, 1, 1))


# Models of the registry


def test_named_model_gives_the_official_depth(checkpoint: Checkpoint, cache_dir: Path) -> None:
    locations = WeightsLocations(cache_dir, explicit=checkpoint.path, sha256=checkpoint.sha256)
    prepared = prepare(resolve("midas_small", locations), cache_dir)
    assert (prepared.name, prepared.choice.engine, prepared.degraded) == ("midas_small", "torchscript", False)
    output = open_model(prepared).depth(parity.network_input(192, 256))
    goldens = parity.goldens()
    atol = 2e-4 * float(goldens["network_192x256_max"])
    np.testing.assert_allclose(output[::5, ::5], goldens["network_192x256"], rtol=0, atol=atol)


def test_embedded_model_is_asked_for_by_name(embedded: DepthEstimator) -> None:
    depth = embedded.predict(parity.photo(120, 160))
    assert (embedded.model, embedded.degraded) == ("embedded", False)
    assert depth.values.shape == (120, 160)
    assert 0 <= depth.min < depth.max


def test_unknown_name_is_answered_with_the_known_ones(locations: WeightsLocations) -> None:
    with pytest.raises(
        ModelError, match=r"^Unknown model 'dpt': use one of auto, midas_small, embedded, .* or the path"
    ):
        resolve("dpt", locations)


def test_midas_small_insists(locations: WeightsLocations, embedded_file: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"^midas_v21_small-70d6b9c8\.pt is not in .*, and downloading is off\. If you have"
    ):
        resolve("midas_small", locations)


def test_midas_small_insists_where_its_address_is_unreachable(
    locations: WeightsLocations, embedded_file: Path, publish: Callable[[str], None]
) -> None:
    publish(address := unreachable_address())
    with pytest.raises(WeightsError, match=re.escape(address)):
        resolve("midas_small", replace(locations, download=True))


def test_prepared_model_can_be_sent_to_workers(tmp_path: Path, prepared: Callable[[Path], PreparedModel]) -> None:
    model = prepared(_torchscript(tmp_path / "own.pt"))
    copy = pickle.loads(pickle.dumps(model))
    assert copy == model
    assert open_model(copy).depth(_planes(1, 2)).tolist() == [[1, 2]]


# auto


def test_auto_is_midas_small_where_its_weights_are(
    locations: WeightsLocations, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    midas = MODELS["midas_small"]
    published = spec.RegisteredWeights((checkpoint.path.name,), checkpoint.sha256)
    monkeypatch.setitem(registry.MODELS, "midas_small", replace(midas, weights=published))
    model = resolve("auto", replace(locations, weights_dir=checkpoint.path.parent))
    assert (model.name, model.degraded, model.file.path) == ("midas_small", False, checkpoint.path)


def _assert_fallback(model: spec.ResolvedModel, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    assert (model.name, model.degraded) == ("embedded", True)
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("MiDaS_small is not available: ")
    assert reason in warning
    assert "FALLING BACK to the embedded model" in warning
    assert "\n" not in warning


def test_auto_falls_back_with_a_warning_where_downloading_is_off(
    locations: WeightsLocations, embedded_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _assert_fallback(resolve("auto", locations), caplog, "downloading is off")


def test_auto_falls_back_where_the_address_is_unreachable(
    locations: WeightsLocations, embedded_file: Path, caplog: pytest.LogCaptureFixture, publish: Callable[[str], None]
) -> None:
    publish(address := unreachable_address())
    _assert_fallback(resolve("auto", replace(locations, download=True)), caplog, address)


def test_auto_does_not_try_again_at_once_but_midas_small_does(
    locations: WeightsLocations,
    embedded_file: Path,
    caplog: pytest.LogCaptureFixture,
    publish: Callable[[str], None],
    file_server: FileServer,
) -> None:
    route = Route(status=404)
    publish(file_server.add("/file", route))
    locations = replace(locations, download=True)
    for _ in range(2):
        caplog.clear()
        _assert_fallback(resolve("auto", locations), caplog, "HTTP status 404. --model auto tries again in 10 min")
    assert len(route.ranges_asked) == 1
    with pytest.raises(WeightsError, match=r"HTTP status 404\. If you have the file"):
        resolve("midas_small", locations)
    assert len(route.ranges_asked) == 2


def test_auto_falls_back_where_the_server_is_silent(
    locations: WeightsLocations,
    embedded_file: Path,
    caplog: pytest.LogCaptureFixture,
    publish: Callable[[str], None],
    file_server: FileServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resolving, "AUTO_FIRST_BYTE_S", 0.1)
    publish(file_server.add("/file", Route(held=True)))
    model = resolve("auto", replace(locations, download=True))
    _assert_fallback(model, caplog, "No response within 0.1 s from 127.0.0.1")


def test_auto_falls_back_from_a_bad_file_naming_it(
    locations: WeightsLocations, embedded_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = tmp_path / "midas_v21_small_256.pt"
    bad.write_bytes(b"cut off")
    _assert_fallback(resolve("auto", replace(locations, weights_dir=tmp_path)), caplog, f"{bad} is refused: ")


def test_auto_with_weights_is_told_to_name_their_model(locations: WeightsLocations, tmp_path: Path) -> None:
    message = re.escape(
        f"{tmp_path / 'own.pt'}: unknown model. Say which model the file belongs to: --model midas_small"
    )
    with pytest.raises(ConfigurationError, match=message):
        resolve("auto", replace(locations, explicit=tmp_path / "own.pt"))


# A user's own model


def test_own_torchscript_model_is_named_after_its_file(
    tmp_path: Path, prepared: Callable[[Path], PreparedModel]
) -> None:
    path = _torchscript(tmp_path / "own.pt")
    model = prepared(path)
    assert (model.name, model.choice.engine, model.file.path, model.degraded) == ("own", "torchscript", path, False)


@pytest.mark.parametrize("name", ["my model", "modèle", "深度"])
def test_name_made_from_any_file_can_be_carried_by_a_header(
    tmp_path: Path, locations: WeightsLocations, name: str
) -> None:
    """The name of the model goes into the header X-Depth-Model of every answer."""
    model = resolve(str(_torchscript(tmp_path / f"{name}.pt")), locations)
    assert re.fullmatch(r"[A-Za-z0-9_.+-]+", model.name)


def test_own_onnx_model_runs(tmp_path: Path, opened: Callable[[Path], Model]) -> None:
    model = opened(_onnx(tmp_path / "own.onnx"))
    planes = np.random.default_rng(0).random((1, 3, 96, 128), np.float32)
    np.testing.assert_allclose(model.depth(planes), planes.mean(axis=1)[0], rtol=1e-6)


def test_inverse_depth_is_kept(tmp_path: Path, opened: Callable[[Path], Model]) -> None:
    model = opened(_torchscript(tmp_path / "own.pt"))
    assert model.depth(_planes(0, 0.5, 3)).tolist() == [[0, 0.5, 3]]


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (lambda x: (_red(x) - 0.5).sqrt(), (0, 0.5**0.5)),
        (lambda x: 1 - 2 * _red(x), (1, 0)),
        (lambda x: 1 / _red(x), (65504, 1)),
        (lambda x: -1 / _red(x), (0, 0)),
    ],
    ids=["NaN", "negative", "infinite", "negative infinite"],
)
def test_inverse_depth_that_cannot_be_is_brought_into_range(
    tmp_path: Path, function: Forward, values: tuple[float, float]
) -> None:
    """The photo is black on its left, for which the networks give the impossible or 1, and white on its right."""
    photo = np.repeat(np.array([0, 255], np.uint8), 64)[None, :, None].repeat(128, axis=0).repeat(3, axis=2)
    path = _torchscript(tmp_path / "own.pt", function)
    depth = DepthEstimator(str(path), worker_threads=1).predict(photo).values
    np.testing.assert_allclose(depth, np.repeat(np.array(values, np.float32), 64)[None].repeat(128, 0), rtol=1e-6)


def test_depth_is_inverted_and_0_where_there_is_none(tmp_path: Path, opened: Callable[[Path], Model]) -> None:
    model = opened(_torchscript(tmp_path / "own.pt", output="depth"))
    assert model.depth(_planes(0.5, 2, 4, 0, -1, np.nan, np.inf)).tolist() == [[2, 0.5, 0.25, 0, 0, 0, 0]]


def test_depth_near_0_is_limited_by_the_largest(tmp_path: Path, opened: Callable[[Path], Model]) -> None:
    model = opened(_torchscript(tmp_path / "own.pt", output="depth"))
    np.testing.assert_allclose(model.depth(_planes(1e-30, 4)), [[250, 0.25]], rtol=1e-6)


def test_depth_of_nothing_valid_is_0(tmp_path: Path, opened: Callable[[Path], Model]) -> None:
    model = opened(_torchscript(tmp_path / "own.pt", output="depth"))
    assert model.depth(_planes(0, -1)).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    "function",
    [lambda x: x[:, :1], lambda x: x[0, 0], lambda x: (_red(x), x), lambda x: _red(x).double()],
    ids=["(1, 1, h, w)", "(h, w)", "several outputs", "float64"],
)
def test_usual_outputs_are_understood(tmp_path: Path, opened: Callable[[Path], Model], function: Forward) -> None:
    output = opened(_torchscript(tmp_path / "own.pt", function)).depth(_planes(1, 2))
    assert output.dtype == np.float32
    assert output.tolist() == [[1, 2]]


def test_stretched_model_sees_its_fixed_size(tmp_path: Path) -> None:
    path = _onnx(tmp_path / "own.onnx", 128, 128, rule="stretch")
    estimator = DepthEstimator(str(path), worker_threads=1)
    photo = np.full((30, 90, 3), 51, np.uint8)
    assert estimator.predict(photo, size="model").values.shape == (128, 128)
    np.testing.assert_allclose(estimator.predict(photo).values, np.full((30, 90), 0.2), atol=1e-6)


def test_model_of_fixed_size_that_is_not_stretched_is_refused(
    tmp_path: Path, prepared: Callable[[Path], PreparedModel]
) -> None:
    path = _onnx(tmp_path / "own.onnx", 128, 128)
    failure = re.escape(f"{path} is refused: it fails on input (1, 3, 96, 128): ")
    with pytest.raises(ModelError, match=rf'{failure}(?s:.*)needs "rule": "stretch" in its description'):
        prepared(path)


def test_model_that_raises_is_refused(tmp_path: Path, prepared: Callable[[Path], PreparedModel]) -> None:
    path = _torchscript(tmp_path / "own.pt", lambda x: x.reshape(3, 128, 128)[0])
    with pytest.raises(ModelError, match=re.escape(f"{path} is refused: it fails on input (1, 3, 96, 128): ")):
        prepared(path)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: x, "(1, 3, 96, 128)"),
        (lambda x: x.mean(), "()"),
        (lambda x: x[0, 0, 0], "(128,)"),
        (lambda x: x[:, 0, :0], "(1, 0, 128)"),
    ],
    ids=["three channels", "number", "row", "empty"],
)
def test_model_that_gives_no_map_is_refused(
    tmp_path: Path, prepared: Callable[[Path], PreparedModel], function: Forward, shape: str
) -> None:
    path = _torchscript(tmp_path / "own.pt", function)
    message = re.escape(f"{path} is refused: for input (1, 3, 96, 128) it returns {shape}, not an (h, w) map.")
    with pytest.raises(ModelError, match=message):
        prepared(path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("own.pt", "PyTorch cannot load it as TorchScript."), ("own.onnx", "it is damaged or not an ONNX file.")],
)
def test_file_of_something_else_is_refused(
    tmp_path: Path, prepared: Callable[[Path], PreparedModel], name: str, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"not a network")
    _describe(path)
    with pytest.raises(ModelError, match=re.escape(f"{path} is refused: {reason}")):
        prepared(path)


def test_checkpoint_in_the_place_of_a_network_is_refused(
    tmp_path: Path, prepared: Callable[[Path], PreparedModel]
) -> None:
    path = tmp_path / "own.pt"
    torch.save({"weight": torch.zeros(1)}, path)
    _describe(path)
    with pytest.raises(ModelError, match=re.escape(f"{path} is refused: PyTorch cannot load it as TorchScript.")):
        prepared(path)


def test_own_model_is_checked_against_its_hash(tmp_path: Path, locations: WeightsLocations) -> None:
    path = _torchscript(tmp_path / "own.pt")
    assert resolve(str(path), replace(locations, sha256=sha256_of(path))).file.sha256 == sha256_of(path)
    with pytest.raises(WeightsError, match=re.escape(f"{path} is refused: its SHA-256 is {sha256_of(path)}")):
        resolve(str(path), replace(locations, sha256="0" * 64))
    assert resolve(str(path), replace(locations, trusted_sha256=("0" * 64, sha256_of(path)))).file.path == path
    with pytest.raises(ConfigurationError, match=re.escape(f"{path} has none of the given hashes.")):
        resolve(str(path), replace(locations, trusted_sha256=("0" * 64, "1" * 64)))


def test_own_model_that_changed_after_it_was_checked_is_refused(tmp_path: Path, locations: WeightsLocations) -> None:
    path = _torchscript(tmp_path / "own.pt")
    model = resolve(str(path), replace(locations, sha256=sha256_of(path)))
    _torchscript(path, lambda x: x[:, 1])
    with pytest.raises(WeightsError, match="has changed since its SHA-256 was checked"):
        prepare(model, locations.cache_dir)


def test_own_model_takes_no_weights(tmp_path: Path, locations: WeightsLocations) -> None:
    path = _torchscript(tmp_path / "own.pt")
    with pytest.raises(ConfigurationError, match=re.escape(f"{path} contains its own weights")):
        resolve(str(path), replace(locations, explicit=tmp_path / "weights.pt"))


def _embedded_in(engine: Engine) -> Model:
    return Model(PreparedModel(MODELS["embedded"].spec, VerifiedFile(Path("net.ts"), ""), EngineChoice()), engine)


@pytest.mark.parametrize(
    ("learns", "shapes"), [(True, {(96, 128), (192, 256), (256, 192), (192, 192)}), (False, {(96, 128)})]
)
def test_common_shapes_are_warmed_where_an_engine_learns_them(learns: bool, shapes: set[tuple[int, ...]]) -> None:
    class Noting(Engine):
        learns_shapes = learns

        def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
            seen.add(planes.shape[-2:])
            return planes[:, 0]

    seen: set[tuple[int, ...]] = set()
    _embedded_in(Noting()).warm()
    assert seen == shapes


def test_a_network_that_fails_is_a_model_error() -> None:
    class Failing(Engine):
        def infer(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
            raise RuntimeError("no such instruction")

    model = _embedded_in(Failing())
    for run in (model.warm, lambda: model.depth(np.zeros((1, 3, 32, 32), np.float32))):
        with pytest.raises(ModelError, match=r"net\.ts is refused: it fails on input .* no such instruction"):
            run()


def test_nobody_hears_what_pytorch_deprecates(tmp_path: Path, photo_png: bytes) -> None:
    """A network is traced, written, loaded and run while Python shows all warnings, and prints none of TorchScript."""
    photo = tmp_path / "photo.png"
    photo.write_bytes(photo_png)
    command = [sys.executable, "-m", "depthsvc", "predict", str(photo), "-o", str(tmp_path / "depth.png")]
    empty = {"DEPTHSVC_CACHE_DIR": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
    environment = {**os.environ, "PYTHONWARNINGS": "always", **empty}
    result = subprocess.run(
        [*command, "--model", "embedded"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.glob("cache/engines/*/*.ts"))
    assert "torch.jit" not in result.stderr
