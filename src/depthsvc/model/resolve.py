"""From the model that a user asks for to trusted files on this machine. Does not import torch."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from depthsvc.errors import ConfigurationError, WeightsError
from depthsvc.model.choice import WeightsLocations
from depthsvc.model.custom import default_name, is_model_path, read_description
from depthsvc.model.registry import AUTO, registered
from depthsvc.model.spec import RegisteredModel, ResolvedModel, VerifiedFile
from depthsvc.model.weights.files import obtain, sha256_of, verify

logger = logging.getLogger(__name__)

AUTO_FIRST_BYTE_S = 4.0
"""Seconds that `auto` waits for a server's first byte before it falls back to the embedded model."""


def resolve(model: str, locations: WeightsLocations) -> ResolvedModel:
    """Find or download the files of `model`: `auto`, a registered name, or the path of a custom model.

    Raises ModelError, WeightsError or ConfigurationError, with a message for the user.
    """
    if is_model_path(model):
        return _resolve_custom(Path(model), locations)
    if model == AUTO:
        return _resolve_auto(locations)
    entry = registered(model)
    return _resolve_registered(entry, obtain(entry, locations))


def _resolve_auto(locations: WeightsLocations) -> ResolvedModel:
    if locations.explicit is not None:
        raise ConfigurationError(
            f"{locations.explicit}: unknown model. Say which model the file belongs to: --model midas_small"
        )
    midas, embedded = registered("midas_small"), registered("embedded")
    try:
        return _resolve_registered(midas, obtain(midas, locations, first_byte_s=AUTO_FIRST_BYTE_S))
    except (WeightsError, ConfigurationError, OSError) as error:
        logger.warning(
            "MiDaS_small is not available: %s FALLING BACK to the embedded model, which is smaller, less accurate "
            "and not MiDaS. Use --model midas_small to fail instead, or --model embedded to choose it.",
            error,
        )
    weights = obtain(embedded, replace(locations, sha256=None))
    return replace(_resolve_registered(embedded, weights), degraded=True)


def _resolve_registered(model: RegisteredModel, weights: VerifiedFile) -> ResolvedModel:
    error = model.bf16.worst if model.bf16 and model.bf16.weights_sha256 == weights.sha256 else None
    return ResolvedModel(model.spec, weights, model.architecture, error)


def _resolve_custom(path: Path, locations: WeightsLocations) -> ResolvedModel:
    if locations.explicit is not None:
        raise ConfigurationError(f"{path} contains its own weights. Leave out --weights {locations.explicit}.")
    description = read_description(path)
    file = verify(path, locations.sha256) if locations.sha256 else VerifiedFile(path, sha256_of(path))
    if locations.trusted_sha256 and file.sha256 not in locations.trusted_sha256:
        raise ConfigurationError(f"{path} has none of the given hashes. If you trust it, add its own: {file.sha256}")
    return ResolvedModel(description.spec(default_name(path)), file, architecture=None)
