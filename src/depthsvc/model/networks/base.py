"""What every network offers, and how one is made from its architecture."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from torch import nn

from depthsvc.model.architecture import Architecture


class Network(nn.Module):
    """float32 (N, 3, H, W), normalised -> float32 (N, h, w); what the numbers mean is the model's `OutputKind`."""

    def for_inference(self) -> nn.Module:
        """The same function in the form that is quickest to compute; this network stays as it is."""
        return self


class _Family(Protocol):
    """What each module of a family offers."""

    def build(self, architecture: Architecture) -> Network: ...


def build(architecture: Architecture) -> Network:
    """The network of an architecture, with random weights."""
    family = cast(_Family, import_module(f"{__package__}.{architecture.family}"))
    return family.build(architecture)
