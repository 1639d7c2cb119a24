"""The interface of networks, and building one from its architecture."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from torch import nn

from depthsvc.model.architecture import Architecture


class Network(nn.Module):
    """float32 (N, 3, H, W), normalised -> float32 (N, h, w), of the model's `OutputKind`."""

    def for_inference(self) -> nn.Module:
        """The same function in its fastest form. This network is not changed."""
        return self


class _Family(Protocol):
    """The interface of a family's module."""

    def build(self, architecture: Architecture) -> Network: ...


def build(architecture: Architecture) -> Network:
    """The network of an architecture, with random weights."""
    family = cast(_Family, import_module(f"{__package__}.{architecture.family}"))
    return family.build(architecture)
