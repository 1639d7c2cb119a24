"""What is scored: models of this machine, or of a service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np

from depthsvc.batch.estimators import Estimator, Remote, Result, local_estimator, remote_estimator
from depthsvc.client import DepthClient
from depthsvc.depth import DepthMap
from depthsvc.errors import ConfigurationError, ServiceUnreachable
from depthsvc.imaging.spec import DepthKind
from depthsvc.model.custom import is_model_path
from depthsvc.model.resolve import resolve
from depthsvc.options import DepthOptions, OutputSize, make_options
from depthsvc.settings import Settings

_FORMAT = "tiff"
"""float32, so that a score has all digits of the model."""


@dataclass(frozen=True)
class Contender:
    """A model that is scored."""

    name: str
    kind: DepthKind
    about: dict[str, Any]
    """Its settings for people; `made_by` identifies them."""
    open: Callable[[], AbstractContextManager[Estimator]]
    """Start what computes its depth. Raises DepthServiceError."""
    concurrency: int
    """From how many threads it is kept busy."""


Opener = Callable[[Settings, DepthOptions, int], AbstractContextManager[Estimator]]
"""How workers are started: for these settings and options, this many."""


def local_contenders(
    settings: Settings, input_size: int | None, opener: Opener = local_estimator
) -> Iterator[Contender]:
    """The models of the settings. Raises ConfigurationError, ModelError or WeightsError."""
    if len(settings.models) > 1 and settings.weights:
        raise ConfigurationError("--weights belongs to one model. Put the files into a folder: --weights-dir.")
    for name in settings.models:
        alone = settings.model_copy(update={"model": name})
        model = resolve(name, alone.weights_locations)
        about = {
            "made_by": " ".join(
                map(str, (model.file.sha256, settings.engine, settings.precision, settings.device, input_size))
            ),
            "weights": model.file.sha256,
            "engine asked for": str(settings.engine),
            "precision asked for": str(settings.precision),
            "device asked for": str(settings.device),
            "input size": str(input_size or model.spec.input.size),
            "workers": str(settings.workers),
            "threads of a worker": str(settings.threads_per_worker),
        }
        yield Contender(
            _named(f"{model.name} ({Path(name).name})" if is_model_path(name) else model.name, input_size),
            model.spec.output.depth_kind,
            about,
            partial(opener, alone, depth_options(input_size), settings.workers),
            2 * settings.workers,
        )


def remote_contenders(remote: Remote, names: tuple[str, ...], input_size: int | None) -> Iterator[Contender]:
    """Models of a service by their names, or the one that photos get.

    Raises ConfigurationError, RequestError or ServiceUnreachable.
    """
    with DepthClient(remote.url, api_key=remote.api_key) as client:
        models = client.models()
    kinds = {entry.name: entry.kind for entry in models.models}
    host = urlsplit(remote.url).netloc
    for name in names or (models.in_use,):
        if name not in (models.served or [models.in_use]):
            raise ConfigurationError(f"The service does not serve {name}, but {', '.join(models.served)}.")
        yield Contender(
            f"{_named(name, input_size)} at {host}",
            kinds.get(name, DepthKind.INVERSE_DEPTH),
            {
                "made_by": f"{remote.url} {input_size} {models.engine} {models.precision} {models.device}",
                "service": remote.url,
                "input size": str(input_size or "its own"),
            },
            partial(remote_estimator, remote, depth_options(input_size, model=name)),
            remote.concurrency,
        )


def _named(model: str, input_size: int | None) -> str:
    """The same model at another input size counts as another one."""
    return f"{model}, {input_size} px" if input_size else model


def depth_options(input_size: int | None, **values: Any) -> DepthOptions:
    """Options for the depth that is scored. Raises InvalidParameter."""
    return make_options(DepthOptions, input_size=input_size, format=_FORMAT, size=OutputSize.SOURCE, **values)


def depth_map(result: Result) -> DepthMap:
    """The depth of a photo, (h, w) of it."""
    values = cv2.imdecode(np.frombuffer(result.body, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim != 2 or values.dtype != np.float32:
        raise ServiceUnreachable("The service did not return depth as float32.")
    return DepthMap.of(np.asarray(values, np.float32), result.facts.model, kind=DepthKind(result.facts.kind))
