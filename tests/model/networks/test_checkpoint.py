"""A weights file is loaded as data, whole and right, or refused with its name and a reason."""

from __future__ import annotations

import io
import os
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from depthsvc.errors import WeightsError
from depthsvc.model.architecture import COMPACT
from depthsvc.model.choice import WeightsLocations
from depthsvc.model.networks.checkpoint import StateDict, load_network
from depthsvc.model.networks.midas import DepthNetwork
from depthsvc.model.registry import registered
from depthsvc.model.spec import VerifiedFile
from depthsvc.model.weights.files import obtain, sha256_of

WEIGHT = "scratch.layer1_rn.weight"
COUNTER = "pretrained.layer1.1.num_batches_tracked"
Change = Callable[[Tensor], Tensor]


@pytest.fixture(scope="module")
def whole_state() -> StateDict:
    torch.manual_seed(0)
    return DepthNetwork(COMPACT).state_dict()


@pytest.fixture
def state(whole_state: StateDict) -> StateDict:
    """A state dict of the compact network, to be spoilt."""
    return dict(whole_state)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.pt"


def _refusal(path: Path) -> str:
    """Why a file is refused whose hash is right."""
    with pytest.raises(WeightsError) as caught:
        load_network(COMPACT, VerifiedFile(path, sha256_of(path)))
    message = str(caught.value)
    assert message.startswith(f"{path} is refused: ")
    return message.removeprefix(f"{path} is refused: ")


def _pickled(state: object, *, as_zip: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=as_zip)
    return buffer.getvalue()


@pytest.mark.parametrize("prefixes", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model."])
def test_prefixes_and_wrappers_of_training_programs_are_taken_off(path: Path, state: StateDict, prefixes: str) -> None:
    path.write_bytes(_pickled({"model_state_dict": {prefixes + key: value for key, value in state.items()}}))
    network = load_network(COMPACT, VerifiedFile(path, sha256_of(path)))
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


@dataclass
class Exploit:
    """Creates a file when it is unpickled without care."""

    trace: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("format", ["pytorch", "old pytorch", "safetensors"])
def test_checkpoint_is_loaded_bit_for_bit(path: Path, state: StateDict, format: str) -> None:
    data = safetensors.torch.save(state) if format == "safetensors" else _pickled(state, as_zip=format == "pytorch")
    path.write_bytes(data)
    network = load_network(COMPACT, VerifiedFile(path, sha256_of(path)))
    assert not network.training
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("format", ["pytorch", "safetensors"])
def test_half_precision_is_loaded_as_float32(path: Path, state: StateDict, format: str) -> None:
    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    path.write_bytes(safetensors.torch.save(half) if format == "safetensors" else _pickled(half))
    loaded = load_network(COMPACT, VerifiedFile(path, sha256_of(path))).state_dict()
    assert {value.dtype for value in loaded.values()} == {torch.float32, torch.int64}
    assert torch.equal(loaded[WEIGHT], half[WEIGHT].float())


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999], ids=lambda kept: f"{kept:.1%}")
@pytest.mark.parametrize("format", ["pytorch", "old pytorch", "safetensors"])
def test_cut_off_file_is_refused(path: Path, state: StateDict, format: str, kept: float) -> None:
    data = safetensors.torch.save(state) if format == "safetensors" else _pickled(state, as_zip=format == "pytorch")
    path.write_bytes(data[: int(kept * len(data))])
    assert "damaged" in _refusal(path)


@pytest.mark.parametrize(
    "data",
    [
        np.random.default_rng(0).bytes(5000),
        b"<!DOCTYPE html><title>Not Found</title>",
        b"a pickle that takes from an empty stack",
        b"\x80\x02\x8a\xff",
        b"PK\x03\x04" + bytes(100),
        b"\x10\0\0\0\0\0\0\0{not JSON at all}",
    ],
    ids=["random bytes", "web page", "empty stack", "cut number", "empty zip", "bad safetensors header"],
)
def test_file_that_is_no_checkpoint_is_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert "damaged" in _refusal(path)


@pytest.mark.parametrize("container", ["raw pickle", "pytorch", "old pytorch", "state dict"])
def test_code_in_a_file_is_refused_and_not_run(path: Path, tmp_path: Path, state: StateDict, container: str) -> None:
    exploit = Exploit(tmp_path / "was_run")
    match container:
        case "raw pickle":
            path.write_bytes(pickle.dumps(exploit, protocol=2))
        case "state dict":
            path.write_bytes(_pickled({**state, WEIGHT: exploit}))
        case _:
            path.write_bytes(_pickled(exploit, as_zip=container == "pytorch"))
    assert "could run code when opened" in _refusal(path)
    assert not exploit.trace.exists()


def test_code_is_not_run_though_the_user_vouches_for_the_file(path: Path, tmp_path: Path) -> None:
    exploit = Exploit(tmp_path / "was_run")
    path.write_bytes(_pickled(exploit))
    trusted = obtain(registered("embedded"), WeightsLocations(tmp_path, explicit=path, sha256=sha256_of(path)))
    with pytest.raises(WeightsError, match="could run code when opened"):
        load_network(COMPACT, trusted)
    assert not exploit.trace.exists()


@pytest.mark.parametrize("value", [[1, 2], {"weights": {}, "epoch": 3}], ids=["list", "training checkpoint"])
def test_file_of_something_else_is_refused(path: Path, value: object) -> None:
    path.write_bytes(_pickled(value))
    assert _refusal(path) == "it is not a state dict of tensors."


def test_torchscript_file_is_refused(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated, in words that change
        torch.jit.save(torch.jit.trace(nn.ReLU(), torch.zeros(1)), path)  # type: ignore[no-untyped-call]
    assert "not a checkpoint" in _refusal(path)


def test_missing_tensor_is_named(path: Path, state: StateDict) -> None:
    del state[WEIGHT]
    path.write_bytes(_pickled(state))
    assert _refusal(path) == f"it is not a checkpoint of compact: 1 tensors are missing, such as {WEIGHT}."


def test_tensor_that_does_not_belong_is_named(path: Path, state: StateDict) -> None:
    path.write_bytes(_pickled({**state, "head.weight": torch.zeros(1)}))
    assert _refusal(path) == "it is not a checkpoint of compact: 1 tensors are unexpected, such as head.weight."


@pytest.mark.parametrize(
    ("key", "change", "problem"),
    [
        (WEIGHT, lambda w: w[:, :-1], "has shape (48, 23, 3, 3), expected (48, 24, 3, 3)"),
        (WEIGHT, lambda w: w.int(), "has type torch.int32, expected torch.float32"),
        (COUNTER, lambda w: w.float(), "has type torch.float32, expected torch.int64"),
        (WEIGHT, lambda w: w.clone().fill_(float("nan")), "contains values that are not finite"),
        (WEIGHT, lambda w: w.clone().fill_(float("-inf")), "contains values that are not finite"),
        (WEIGHT, lambda w: w.double().fill_(1e300), "contains values that are not finite"),
        (WEIGHT, lambda w: w.to_sparse(), ""),
        (WEIGHT, lambda w: w.to("meta"), ""),
    ],
    ids=["shape", "integers", "floats", "NaN", "infinite", "beyond float32", "sparse", "no values"],
)
def test_wrong_tensor_is_named(path: Path, state: StateDict, key: str, change: Change, problem: str) -> None:
    path.write_bytes(_pickled({**state, key: change(state[key])}))
    assert f"{key} {problem}" in _refusal(path)


def test_one_wrong_value_is_enough(path: Path, state: StateDict) -> None:
    state[WEIGHT] = state[WEIGHT].clone()
    state[WEIGHT][0, 0, 0, 0] = float("nan")
    path.write_bytes(safetensors.torch.save(state))
    assert f"{WEIGHT} contains values that are not finite" in _refusal(path)


def test_file_that_changed_after_verification_is_refused(path: Path, state: StateDict) -> None:
    path.write_bytes(_pickled(state))
    verified = VerifiedFile(path, sha256_of(path))
    path.write_bytes(_pickled({**state, WEIGHT: torch.zeros_like(state[WEIGHT])}))
    with pytest.raises(WeightsError, match="it has changed since its SHA-256 was checked"):
        load_network(COMPACT, verified)


def test_file_that_vanished_after_verification_is_named(path: Path) -> None:
    with pytest.raises(WeightsError, match=r"weights\.pt cannot be read: No such file or directory\."):
        load_network(COMPACT, VerifiedFile(path, "0" * 64))
