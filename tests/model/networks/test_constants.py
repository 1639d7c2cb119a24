"""Networks make their constants where their input is, so that they run, and are traced, on any device."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from depthsvc.model.networks.base import build
from depthsvc.model.registry import MODELS
from depthsvc.model.spec import RegisteredModel

ONE_OF_EACH_KIND = {
    (
        model.architecture.family,
        getattr(model.architecture, "encoder", ""),
        getattr(model.architecture, "max_depth", 0),
    ): model
    for model in MODELS.values()
    if find_spec(f"depthsvc.model.networks.{model.architecture.family}")
}


class _Elsewhere(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the operations whose results are not where they belong."""

    def __init__(self, device: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self.operations: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.device.type != self.device:
                self.operations.add(str(func))
        return result


@pytest.mark.parametrize("model", ONE_OF_EACH_KIND.values(), ids=lambda model: model.name)
@pytest.mark.parametrize("type", [torch.float32, torch.float16])
def test_a_network_makes_no_tensor_but_on_its_inputs_device(model: RegisteredModel, type: torch.dtype) -> None:
    with torch.device("meta"):
        network = build(model.architecture).eval().for_inference().to(type)
    planes = torch.zeros(model.spec.input.example_shape, device="meta", dtype=type)
    with torch.inference_mode(), _Elsewhere("meta") as elsewhere:
        assert network(planes).device.type == "meta"
    assert elsewhere.operations == set()
