"""GET /models: the registry, and the model in use."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from depthsvc.imaging.resize import InputSpec
from depthsvc.model.registry import MODELS, OutputKind
from depthsvc.server.service import CurrentService

router = APIRouter(tags=["models"])


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


@router.get("/models")
async def models(service: CurrentService) -> Models:
    """The registry, and which model is in use."""
    entries = [
        ModelEntry(
            name=model.name,
            description=model.description,
            licence=model.licence,
            source=model.source,
            input=model.input,
            output=model.output,
            in_use=model.name == service.model.name,
        )
        for model in MODELS.values()
    ]
    return Models(
        in_use=service.model.name,
        degraded=service.model.degraded,
        engine=service.model.engine,
        precision=service.model.precision,
        models=entries,
    )
