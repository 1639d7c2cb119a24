"""Nobody but the operator decides what a worker loads: a file that changes under the service is refused, by name."""

from __future__ import annotations

import json
import os
import re
import signal
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from depthsvc.cluster.recipe import Recipe
from depthsvc.errors import ModelError, WeightsChanged, WeightsError
from depthsvc.model import loaded
from depthsvc.model.choice import EngineChoice, EngineName, WeightsLocations
from depthsvc.model.loaded import open_model
from depthsvc.model.onnx_file import refuse_external_data
from depthsvc.model.prepare import prepare
from depthsvc.model.resolve import resolve
from depthsvc.model.spec import PreparedModel, VerifiedFile
from depthsvc.model.weights.files import read_unchanged, sha256_of
from depthsvc.options import DepthOptions
from depthsvc.pool.config import WorkerConfig
from depthsvc.pool.workers import WorkerPool
from depthsvc.settings import Settings
from tests.conftest import until

CHANGED = "The model file has changed since the service started. The log says which."


class _Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([float(factor)]))

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0] * self.factor


def torchscript(path: Path, factor: float) -> Path:
    """A custom model that multiplies red by a factor, as TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated, in words that change
        traced = torch.jit.trace(_Scaled(factor).eval(), torch.rand(1, 3, 64, 64), check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, path)
    return _described(path)


def onnx_model(factor: float, keep: Callable[[TensorProto], None] = lambda _: None) -> onnx.ModelProto:
    """The same as ONNX. `keep` may put the factor into another file."""
    tensor = numpy_helper.from_array(np.array([factor], np.float32), "factor")
    keep(tensor)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "h", "w"])
    depth = helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, "h", "w"])
    nodes = [
        helper.make_node("ReduceMax", ["image"], ["max"], axes=[1], keepdims=0),
        helper.make_node("Mul", ["max", "factor"], ["depth"]),
    ]
    graph = helper.make_graph(nodes, "scaled", [image], [depth], [tensor])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def onnx_file(path: Path, factor: float) -> Path:
    onnx.save(onnx_model(factor), path)
    return _described(path)


def _described(path: Path) -> Path:
    fields = {"size": 64, "multiple": 32, "mean": [0, 0, 0], "std": [1, 1, 1]}
    path.with_suffix(".json").write_text(json.dumps({"input": fields, "output": "inverse_depth"}))
    return path


Write = Callable[[Path, float], Path]
ENGINES = [
    (EngineName.TORCHSCRIPT, "own.pt", torchscript),
    (EngineName.ONNXRUNTIME, "own.onnx", onnx_file),
    (EngineName.OPENVINO, "own.onnx", onnx_file),
]
each_engine = pytest.mark.parametrize(("engine", "name", "write"), ENGINES, ids=[str(case[0]) for case in ENGINES])
FILES = {
    EngineName.TORCHSCRIPT: ["compact.pt", "compact.ts"],
    EngineName.ONNXRUNTIME: ["compact.onnx"],
    EngineName.OPENVINO: ["compact.bin", "compact.blob", "compact.xml"],
    EngineName.NCNN: ["compact.bin", "compact.param"],
}
"""What is kept of the embedded model for each engine."""
ONES = np.ones((1, 3, 64, 64), np.float32)


def _prepared(model: str, engine: EngineName, cache_dir: Path) -> PreparedModel:
    return prepare(resolve(model, WeightsLocations(cache_dir, download=False)), cache_dir, EngineChoice(engine))


@each_engine
def test_a_custom_model_that_changes_is_not_loaded_again(
    tmp_path: Path, cache_dir: Path, engine: EngineName, name: str, write: Write
) -> None:
    """Nobody has pinned it: what was there at the start is what counts."""
    path = write(tmp_path / name, 2)
    model, before, original = _prepared(str(path), engine, cache_dir), sha256_of(path), path.read_bytes()
    write(path, 3)
    with pytest.raises(WeightsChanged) as caught:
        open_model(model)
    assert all(word in str(caught.value) for word in (str(path), before, sha256_of(path)))
    path.write_bytes(original)
    assert open_model(model).depth(ONES).max() == 2


@each_engine
def test_a_custom_model_is_loaded_from_the_bytes_that_were_verified(
    tmp_path: Path, cache_dir: Path, engine: EngineName, name: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / name, 2)
    model = _prepared(str(path), engine, cache_dir)
    read = read_unchanged

    def read_and_exchange(file: VerifiedFile) -> bytes:
        content = read(file)
        write(path, 3)
        return content

    monkeypatch.setattr(loaded, "read_unchanged", read_and_exchange)
    assert open_model(model).depth(ONES).max() == 2


@pytest.mark.parametrize("engine", list(FILES))
def test_an_artefact_that_changes_is_not_loaded_again(tmp_path: Path, engine: EngineName) -> None:
    model = _prepared("embedded", engine, tmp_path)
    files = [model.file, *model.file.beside]
    names = sorted(file.path.name for file in files)
    assert names == FILES[engine]
    for file in files:
        original = file.path.read_bytes()
        file.path.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        with pytest.raises(WeightsChanged, match=re.escape(f"{file.path} is refused: it has changed")):
            open_model(model)
        file.path.write_bytes(original)
    open_model(model)


def test_every_machine_of_a_cluster_loads_the_same_custom_model(tmp_path: Path, cache_dir: Path) -> None:
    path = torchscript(tmp_path / "own.pt", 2)
    settings = Settings(model=str(path), cache_dir=cache_dir, worker_threads=1)
    recipe = Recipe.of(settings, _prepared(str(path), EngineName.TORCHSCRIPT, cache_dir))
    torchscript(path, 3)
    with pytest.raises(WeightsError, match=re.escape(f"{path} is refused: its SHA-256 is {sha256_of(path)}")):
        recipe.make()


def _in_another_file(folder: Path, *, known_length: bool = True) -> Callable[[TensorProto], None]:
    """Moves a tensor into a file of the folder."""

    def move(tensor: TensorProto) -> None:
        (folder / "factor.bin").write_bytes(tensor.raw_data)
        onnx.external_data_helper.set_external_data(tensor, "factor.bin", length=4 if known_length else None)
        tensor.ClearField("raw_data")

    return move


@pytest.mark.parametrize("engine", [EngineName.ONNXRUNTIME, EngineName.OPENVINO])
def test_an_onnx_file_with_weights_in_other_files_is_refused(
    tmp_path: Path, cache_dir: Path, engine: EngineName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given its bytes, both engines would find the other file where they run."""
    monkeypatch.chdir(tmp_path)
    path = _described(tmp_path / "own.onnx")
    path.write_bytes(onnx_model(2, _in_another_file(tmp_path)).SerializeToString())
    with pytest.raises(ModelError, match=re.escape(f"{path} is refused: it keeps weights in other files")) as caught:
        _prepared(str(path), engine, cache_dir)
    onnx.save(onnx.load(path), tmp_path / "whole.onnx")  # as the message says
    assert 'onnx.save(onnx.load("model.onnx"), "whole.onnx")' in str(caught.value)
    model = _prepared(str(_described(tmp_path / "whole.onnx")), engine, cache_dir)
    assert open_model(model).depth(ONES).max() == 2


def _places(tensor: TensorProto) -> dict[str, onnx.ModelProto]:
    """Models with the tensor in each place where ONNX allows one."""
    graph = helper.make_graph([], "inner", [], [], [tensor])
    sparse = onnx.SparseTensorProto(values=tensor, indices=numpy_helper.from_array(np.zeros(1, np.int64)), dims=[9])
    attributes = {
        "tensor": helper.make_attribute("a", tensor),
        "tensors": helper.make_attribute("a", [tensor]),
        "graph": helper.make_attribute("a", graph),
        "graphs": helper.make_attribute("a", [graph]),
        "sparse": helper.make_attribute("a", sparse),
        "sparse tensors": helper.make_attribute("a", [sparse]),
    }
    places = {"initializer": graph}
    for name, attribute in attributes.items():
        node = onnx.NodeProto(op_type="If", attribute=[attribute])
        places[f"attribute: {name}"] = helper.make_graph([node], "outer", [], [])
    models = {name: helper.make_model(place) for name, place in places.items()}
    models["sparse initializer"] = onnx.ModelProto(graph=onnx.GraphProto(sparse_initializer=[sparse]))
    models["training"] = onnx.ModelProto(training_info=[onnx.TrainingInfoProto(initialization=graph)])
    models["training step"] = onnx.ModelProto(training_info=[onnx.TrainingInfoProto(algorithm=graph)])
    node = onnx.NodeProto(op_type="Constant", attribute=[attributes["tensor"]])
    models["function"] = onnx.ModelProto(functions=[onnx.FunctionProto(name="f", node=[node])])
    default = onnx.FunctionProto(name="f", attribute_proto=[attributes["tensor"]])
    models["default of a function"] = onnx.ModelProto(functions=[default])
    return models


def test_a_tensor_in_another_file_is_found_wherever_it_is(tmp_path: Path) -> None:
    inside = numpy_helper.from_array(np.arange(300, dtype=np.float32), "t")
    outside = numpy_helper.from_array(np.arange(300, dtype=np.float32), "t")
    _in_another_file(tmp_path)(outside)
    for name, model in _places(inside).items():
        refuse_external_data(Path(name), model.SerializeToString())
    for name, model in _places(outside).items():
        with pytest.raises(ModelError, match=f"^{name} is refused: it keeps weights in other files"):
            refuse_external_data(Path(name), model.SerializeToString())


@pytest.mark.parametrize("content", [b"\x3a\xff\x01", b"\x3b", b"\x80" * 20, b"\x80", b"\x39\x00"])
def test_what_is_not_onnx_is_refused_before_an_engine_sees_it(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"own\.onnx is refused: it is damaged or not an ONNX file"):
        refuse_external_data(Path("own.onnx"), content)


def test_workers_refuse_a_model_that_changed_and_start_again_once_it_is_put_back(
    tmp_path: Path, cache_dir: Path, photo_png: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = torchscript(tmp_path / "own.pt", 2)
    original, replaced = path.read_bytes(), torchscript(tmp_path / "other.pt", 3).read_bytes()
    config = WorkerConfig((_prepared(str(path), EngineName.TORCHSCRIPT, cache_dir),), 50_000_000, 1024)
    with WorkerPool(config, workers=1, queue_size=8) as pool:
        pool.wait_until_warm()
        path.write_bytes(replaced)
        os.kill(pool.pids[0], signal.SIGKILL)
        until(lambda: pool.start_failure == CHANGED)
        assert pool.warm == 0
        assert f"{path} is refused: it has changed since its SHA-256 was checked" in caplog.text
        path.unlink()
        until(lambda: pool.start_failure == "A worker cannot load the model. The log says why.")
        waiting = pool.submit(photo_png, DepthOptions(), deadline_s=60)
        path.write_bytes(original)
        assert waiting.result().shape == (240, 320)
        assert (pool.warm, pool.start_failure) == (1, None)
