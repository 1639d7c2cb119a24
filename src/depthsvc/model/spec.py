"""Descriptions of models: input and output, the source of their weights, and the steps from a name to a loadable file.

A `RegisteredModel` is known by name, a `ResolvedModel` has its files on this machine, a `PreparedModel` can be loaded
by an engine. Each has the model's `ModelSpec`. Does not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from depthsvc.imaging.spec import DepthKind, Enlargement, InputSpec
from depthsvc.model.architecture import Architecture
from depthsvc.model.choice import EngineChoice, EngineName


class OutputKind(StrEnum):
    """The meaning of a network's output."""

    INVERSE_DEPTH = "inverse_depth"
    DEPTH = "depth"
    """Of unknown scale. Users get its inverse."""
    AFFINE_DEPTH = "affine_depth"
    """Of unknown scale and shift. Users get how far each point is in front of the farthest."""
    METRES = "metres"

    @property
    def depth_kind(self) -> DepthKind:
        """What users get."""
        return DepthKind.METRES if self is OutputKind.METRES else DepthKind.INVERSE_DEPTH


@dataclass(frozen=True)
class ModelSpec:
    """What every user of a model needs to know about it."""

    name: str
    input: InputSpec
    output: OutputKind
    follows_edges: bool = False
    """Whether its map is sharpened along the photo's edges, by `depthsvc.imaging.edges`, as part of the model."""
    enlargement: Enlargement = Enlargement.BICUBIC
    """How its map is upsampled to the photo's size."""
    mirrored: bool = False
    """Whether the result is the mean with the mirrored photo's, as in ZoeDepth. Takes twice the time."""
    farthest_m: float | None = None
    """The largest distance in metres that it can predict; None: no limit, or not a metric model."""


FileStatus = tuple[int, ...]
"""What changes whenever a file does: device, inode, size, and the times of the last change to content and inode."""


@dataclass(frozen=True)
class VerifiedFile:
    """A file whose content was verified when it was found."""

    path: Path
    sha256: str
    """SHA-256 of the whole file, in hexadecimal. It is checked again when the file is opened."""
    status: FileStatus | None = None
    """What the file system said of the file when it was hashed; None: unknown."""
    beside: tuple[VerifiedFile, ...] = ()
    """Further files that are opened with it."""


@dataclass(frozen=True)
class RegisteredWeights:
    """Where a model's weights come from, and how to recognise them."""

    filenames: tuple[str, ...]
    """Names under which the file is published; the cache uses the first."""
    sha256: str | None
    """SHA-256 of the whole file, in hexadecimal; None: none has been published, so that nobody can verify the file."""
    addresses: tuple[str, ...] = ()
    """Download URLs, tried in order."""
    size: int | None = None
    """Size of the file in bytes, if it is known."""


@dataclass(frozen=True)
class MeasuredError:
    """The measured error of bf16 against fp32 for certain weights."""

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
    """None: not measured, and assumed to be inaccurate."""
    non_commercial: bool = False
    """Whether the licence of the weights forbids commercial use."""

    @property
    def name(self) -> str:
        return self.spec.name


@dataclass(frozen=True)
class ResolvedModel:
    """A model with trusted files on this machine."""

    spec: ModelSpec
    file: VerifiedFile
    architecture: Architecture | None
    """None: the file is a custom model, a complete network. Otherwise it is a checkpoint of this architecture."""
    bf16_error: float | None = None
    """`MeasuredError.worst` of exactly these weights; None if not measured."""
    degraded: bool = False
    """Whether it is standing in for a better model that is not available."""

    @property
    def name(self) -> str:
        return self.spec.name


@dataclass(frozen=True)
class PreparedModel:
    """A model that an engine can load at once. Small and picklable, to be sent to workers."""

    spec: ModelSpec
    file: VerifiedFile
    """The file that the engine loads, in this process and in others: its hash is checked each time."""
    choice: EngineChoice
    """The chosen engine, precision, threads and device, never `auto`."""
    custom: bool = False
    """Whether the file is a custom model. Otherwise it is an artefact of the cache."""
    degraded: bool = False
    """Whether it is standing in for a better model that is not available."""
    measured: dict[EngineName, float] = field(default_factory=dict)
    """Seconds that each engine took for one photo, fastest first, if `auto` chose the engine; else empty."""

    @property
    def name(self) -> str:
        return self.spec.name
