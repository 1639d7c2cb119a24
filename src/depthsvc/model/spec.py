"""What a model is: what it takes and gives, where its weights come from, and how far it has been made ready.

A `RegisteredModel` is known by name, a `ResolvedModel` has its files on this machine, a `PreparedModel` can be loaded
by an engine. Each holds the model's `ModelSpec`. Knows no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from depthsvc.imaging.spec import InputSpec
from depthsvc.model.architecture import Architecture
from depthsvc.model.choice import EngineChoice, EngineName


class OutputKind(StrEnum):
    """What a network's numbers are."""

    INVERSE_DEPTH = "inverse_depth"
    DEPTH = "depth"


@dataclass(frozen=True)
class ModelSpec:
    """What everyone who uses a model must know of it."""

    name: str
    input: InputSpec
    output: OutputKind
    follows_edges: bool = False
    """Whether its map is given the photo's edges, by `depthsvc.imaging.edges`, as a part of the model."""


@dataclass(frozen=True)
class VerifiedFile:
    """A file whose content was what it should be when it was looked at."""

    path: Path
    sha256: str
    """Of the whole file, in hexadecimal. Whoever opens the file checks it again."""


@dataclass(frozen=True)
class RegisteredWeights:
    """Where a model's weights come from, and how they are recognised."""

    filenames: tuple[str, ...]
    """Names under which the file is published; the first is the one used in the cache."""
    sha256: str
    """The whole SHA-256 in hexadecimal, or the leading digits that the publisher put into the file's name."""
    addresses: tuple[str, ...] = ()
    """Where the file can be downloaded; the next is tried where one fails."""


@dataclass(frozen=True)
class MeasuredError:
    """How far certain weights are from fp32 when they are computed in bf16."""

    weights_sha256: str
    worst: float
    """Difference in inverse depth at the 99th percentile of the worst photo, as a fraction of that photo's range."""


@dataclass(frozen=True)
class RegisteredModel:
    """One model of the registry."""

    spec: ModelSpec
    description: str
    architecture: Architecture
    weights: RegisteredWeights | None
    """None: the weights are part of this package."""
    licence: str
    source: str
    bf16: MeasuredError | None = None
    """None: not measured, and taken to be inexact."""

    @property
    def name(self) -> str:
        return self.spec.name


@dataclass(frozen=True)
class ResolvedModel:
    """A model whose files are on this machine and trusted."""

    spec: ModelSpec
    file: VerifiedFile
    architecture: Architecture | None
    """None: the file is a network by itself, a user's own model. Otherwise it is a checkpoint of this."""
    bf16_error: float | None = None
    """Of these very weights, as `MeasuredError.worst`; None where it was not measured."""
    degraded: bool = False
    """Whether it stands in for a better model that could not be had."""

    @property
    def name(self) -> str:
        return self.spec.name


@dataclass(frozen=True)
class PreparedModel:
    """A model that an engine can load at once. Small and picklable: workers are given this."""

    spec: ModelSpec
    path: Path
    choice: EngineChoice
    """The engine, precision and threads that it became, never `auto`."""
    degraded: bool = False
    """Whether it stands in for a better model that could not be had."""
    measured: dict[EngineName, float] = field(default_factory=dict)
    """Seconds that each engine took for one photo, fastest first, where the engine was chosen by that."""

    @property
    def name(self) -> str:
        return self.spec.name
