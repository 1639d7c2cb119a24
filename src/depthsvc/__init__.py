"""One photo in, its depth out: relative inverse depth from MiDaS_small, as a service, a command and a class."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from depthsvc.version import __version__

if TYPE_CHECKING:
    from depthsvc.client import AsyncDepthClient, DepthClient
    from depthsvc.depth import DepthMap
    from depthsvc.estimator import DepthEstimator
    from depthsvc.video.obstacles import ObstacleTracker, Sector, obstacles
    from depthsvc.video.temporal import TemporalFilter

__all__ = [
    "AsyncDepthClient",
    "DepthClient",
    "DepthEstimator",
    "DepthMap",
    "ObstacleTracker",
    "Sector",
    "TemporalFilter",
    "__version__",
    "obstacles",
]

_HOMES = {
    "AsyncDepthClient": "depthsvc.client",
    "DepthClient": "depthsvc.client",
    "DepthEstimator": "depthsvc.estimator",
    "DepthMap": "depthsvc.depth",
    "ObstacleTracker": "depthsvc.video.obstacles",
    "Sector": "depthsvc.video.obstacles",
    "TemporalFilter": "depthsvc.video.temporal",
    "obstacles": "depthsvc.video.obstacles",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: torch takes seconds to import."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
