"""What a service says about itself: the bodies of /health and /models."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from depthsvc.imaging.spec import InputSpec
from depthsvc.model.spec import OutputKind


class Workers(BaseModel):
    """The pool."""

    configured: int
    warm: int = Field(description="Workers that can take a photo or are answering one.")
    restarts: int = Field(description="Workers replaced since the start.")


class Queue(BaseModel):
    """The photos that have been accepted."""

    waiting: int = Field(description="Photos that wait for a worker.")
    in_flight: int = Field(description="Photos accepted and not yet answered.")
    limit: int = Field(description="Photos that may wait.")


class Health(BaseModel):
    """The state of the service."""

    status: Literal["ok", "unavailable", "draining"]
    version: str
    model: str
    degraded: bool = Field(description="Whether the embedded model stands in for MiDaS_small.")
    engine: str
    precision: str
    workers: Workers
    queue: Queue
    uptime_s: float


class ModelEntry(BaseModel):
    """One model of the registry."""

    name: str
    description: str
    licence: str
    source: str
    input: InputSpec
    output: OutputKind
    in_use: bool


class Models(BaseModel):
    """The models that this version of the service knows."""

    in_use: str = Field(description="Name of the model that answers, which may be one of your own.")
    degraded: bool = Field(description="Whether it stands in for MiDaS_small, which could not be had.")
    engine: str = Field(description="What computes it.")
    precision: str = Field(description="Number format in which it is computed.")
    models: list[ModelEntry]
