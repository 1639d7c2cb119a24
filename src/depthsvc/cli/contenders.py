"""The models that eval and compare are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from depthsvc.cli.service_options import is_given
from depthsvc.errors import ConfigurationError

if TYPE_CHECKING:
    from depthsvc.evaluation.contenders import Contender
    from depthsvc.settings import Settings


def contenders_for(
    context: click.Context,
    settings: Settings,
    input_size: int | None,
    url: str | None,
    api_key: str | None,
    concurrency: int,
) -> list[Contender]:
    """Models of this machine, of a cluster or of a service. Raises DepthServiceError."""
    from depthsvc.batch.estimators import Remote, local_estimator
    from depthsvc.evaluation.contenders import local_contenders, remote_contenders

    if url:
        names = settings.models if is_given(context, "model") else ()
        contenders = list(remote_contenders(Remote(url, api_key, concurrency), names, input_size))
    elif settings.ray:
        from depthsvc.cluster.estimator import ray_estimator

        contenders = list(local_contenders(settings, input_size, ray_estimator))
    else:
        contenders = list(local_contenders(settings, input_size, local_estimator))
    named = [contender.name for contender in contenders]
    if twice := next((name for name in named if named.count(name) > 1), None):
        raise ConfigurationError(f"The model {twice} is given twice.")
    return contenders
