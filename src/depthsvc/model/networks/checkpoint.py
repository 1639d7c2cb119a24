"""Loading a weights file as untrusted data, and building its network."""

from __future__ import annotations

import io
import pickle
import warnings
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from depthsvc.errors import WeightsError
from depthsvc.model.architecture import Architecture
from depthsvc.model.networks.base import Network, build
from depthsvc.model.spec import VerifiedFile
from depthsvc.model.weights.files import read_unchanged

StateDict = dict[str, Tensor]


def load_network(architecture: Architecture, weights: VerifiedFile) -> Network:
    """The network with these weights, in evaluation mode, float32.

    The bytes that are loaded are the bytes that were hashed. Nothing in the file is executed. Raises
    WeightsError, naming the file and the reason, if the hash, the format, a key, a shape or a value is wrong.
    """
    with torch.device("meta"):  # without memory, or time, for weights that are replaced anyway
        network = build(architecture)
    state = {
        key: value
        for key, value in _read(weights).items()
        if not (isinstance(key, str) and key.endswith(architecture.ignored_keys))
    }
    expected = network.state_dict()
    if mismatch := _mismatch(state, expected):
        raise WeightsError(f"{weights.path} is refused: it is not a checkpoint of {architecture.name}: {mismatch}.")
    state = {key: value.to(expected[key].dtype) for key, value in state.items()}
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval().requires_grad_(requires_grad=False)


def _read(weights: VerifiedFile) -> StateDict:
    data = read_unchanged(weights)
    if data[8:9] == b"{":
        return _parse_safetensors(data, weights)
    return _parse_pytorch(data, weights)


def _parse_safetensors(data: bytes, weights: VerifiedFile) -> StateDict:
    try:
        return safetensors.torch.load(data)
    except SafetensorError as error:
        raise WeightsError(f"{weights.path} is refused: it is a damaged safetensors file ({error}).") from error


def _parse_pytorch(data: bytes, weights: VerifiedFile) -> StateDict:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for programmers, such as those about TorchScript files
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{weights.path} is refused: it is damaged, or holds more than tensors, which could run code when opened."
        ) from error
    except Exception as error:  # on damaged bytes PyTorch's parser can raise anything
        raise WeightsError(f"{weights.path} is refused: it is damaged, truncated or not a checkpoint.") from error
    state = _unwrapped(state)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{weights.path} is refused: it is not a state dict of tensors.")
    return state


_WRAPPERS = ("model", "depth_model", "state_dict", "model_state_dict")
"""Keys under which training programs save the state dict."""
_PREFIXES = ("module.", "_orig_mod.", "model.")
"""Prefixes of all keys of a network that was trained on several GPUs, compiled, or part of a Lightning module."""


def _unwrapped(content: Any) -> Any:
    """The state dict in a file's content, as far as there is one."""
    for _ in _WRAPPERS:  # not until there is none: a dictionary can contain itself
        if isinstance(content, dict):
            content = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), dict)), content)
    return _without_prefixes(content) if isinstance(content, dict) else content


def _without_prefixes(state: dict[Any, Any]) -> dict[Any, Any]:
    """A state dict whose keys do not all begin with the same of _PREFIXES."""
    for prefix in _PREFIXES * len(_PREFIXES):  # in any order
        if state and all(isinstance(key, str) and key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _mismatch(state: StateDict, expected: StateDict) -> str | None:
    """What is wrong with the first invalid entry of a state dict, or None."""
    if missing := expected.keys() - state.keys():
        return f"{len(missing)} tensors are missing, such as {min(missing)}"
    if unexpected := state.keys() - expected.keys():
        return f"{len(unexpected)} tensors are unexpected, such as {min(map(str, unexpected))}"
    for key, value in expected.items():
        if state[key].layout != torch.strided or state[key].is_meta or state[key].is_nested:
            return f"{key} is not a plain array of numbers"
        if state[key].shape != value.shape:
            return f"{key} has shape {tuple(state[key].shape)}, expected {tuple(value.shape)}"
        if state[key].is_floating_point() != value.is_floating_point():
            return f"{key} has type {state[key].dtype}, expected {value.dtype}"
        if not torch.isfinite(state[key].to(value.dtype)).all():
            return f"{key} contains values that are not finite"
    return None
