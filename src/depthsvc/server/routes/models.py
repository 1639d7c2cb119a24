"""GET /models: the registry, and the model in use."""

from __future__ import annotations

from fastapi import APIRouter

from depthsvc import errors
from depthsvc.model.registry import MODELS
from depthsvc.model.spec import PreparedModel, RegisteredModel
from depthsvc.server.problems import document_errors
from depthsvc.server.service import CurrentService
from depthsvc.status import ModelEntry, Models

router = APIRouter(tags=["models"])


@router.get(
    "/models",
    summary="The models, and which one is in use",
    responses=document_errors(errors.Unauthorized, errors.TooManyRequests),
)
async def models(service: CurrentService) -> Models:
    """The registered models and the custom ones that are served, and which model is in use."""
    served = [model.name for model in service.models]
    of_registry = {model.name for model in service.models if not model.custom}
    registered = [_registered(model, in_use=model.name in of_registry) for model in MODELS.values()]
    custom = [_custom(model) for model in service.models if model.custom]
    return Models(
        in_use=service.model.name,
        served=served,
        degraded=service.degraded,
        engine=service.model.choice.engine,
        precision=service.model.choice.precision,
        device=service.model.choice.device,
        models=registered + custom,
    )


def _registered(model: RegisteredModel, *, in_use: bool) -> ModelEntry:
    return ModelEntry(
        name=model.name,
        description=model.description,
        licence=model.licence,
        non_commercial=model.non_commercial,
        source=model.source,
        size_bytes=model.weights.size if model.weights else None,
        input=model.spec.input,
        output=model.spec.output,
        kind=model.spec.output.depth_kind,
        refines=model.spec.follows_edges,
        in_use=in_use,
    )


def _custom(model: PreparedModel) -> ModelEntry:
    return ModelEntry(
        name=model.name,
        description="A custom model of this service.",
        licence="unknown",
        source="unknown",
        input=model.spec.input,
        output=model.spec.output,
        kind=model.spec.output.depth_kind,
        refines=model.spec.follows_edges,
        in_use=True,
    )
