"""The response bodies of /health and /models."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from depthsvc.imaging.spec import DepthKind, InputSpec
from depthsvc.model.spec import OutputKind


class Workers(BaseModel):
    """The pool."""

    configured: int
    warm: int = Field(description="Workers that are ready for a photo or processing one.")
    restarts: int = Field(description="Workers replaced since the service started.")


class Queue(BaseModel):
    """The photos that have been accepted."""

    waiting: int = Field(description="Photos waiting for a worker.")
    in_flight: int = Field(description="Photos accepted and not yet finished.")
    limit: int = Field(description="Maximum number of waiting photos.")


class Health(BaseModel):
    """The state of the service."""

    status: Literal["ok", "unavailable", "draining"]
    reason: str | None = Field(None, description="Why the last worker that started failed, until one is warm again.")
    version: str
    model: str
    degraded: bool = Field(description="Whether the embedded model is standing in for MiDaS_small.")
    engine: str
    precision: str
    device: str = Field("cpu", description="Where the network runs: `cpu`, or `cuda:N` for a GPU.")
    workers: Workers
    queue: Queue
    uptime_s: float


class ModelEntry(BaseModel):
    """One model: of the registry, or a custom one that is served."""

    name: str
    description: str
    licence: str
    non_commercial: bool = Field(False, description="Whether its weights may not be used commercially.")
    source: str
    size_bytes: int | None = Field(None, description="Size of its published weights, if it is known.")
    input: InputSpec
    output: OutputKind
    kind: DepthKind = Field(
        DepthKind.INVERSE_DEPTH, description="What its depth is: relative `inverse_depth`, or `metres`."
    )
    refines: bool = Field(False, description="Whether `refine=auto` aligns its depth edges with the photo's.")
    in_use: bool = Field(description="Whether this service serves it.")


class Models(BaseModel):
    """The models that this version of the service knows."""

    in_use: str = Field(description="Name of the model that photos get unless they ask for another.")
    served: list[str] = Field([], description="Names that the parameter `model` accepts.")
    degraded: bool = Field(description="Whether it is standing in for MiDaS_small, whose weights are not available.")
    engine: str = Field(description="Engine that runs it.")
    precision: str = Field(description="Number format in which it runs.")
    device: str = Field("cpu", description="Where it runs: `cpu`, or `cuda:N` for a GPU.")
    models: list[ModelEntry]
