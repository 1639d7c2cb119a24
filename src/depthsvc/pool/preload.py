"""A head start for the workers: their imports take seconds, mostly for PyTorch.

Imports little itself, so that it can run first.
"""

from __future__ import annotations

from depthsvc.model.engines.kinds import KINDS, TORCHSCRIPT
from depthsvc.pool.processes import start_fork_server
from depthsvc.settings import Settings


def preload(settings: Settings) -> None:
    """Have the fork server import what workers with these settings need, while this process continues. Idempotent."""
    start_fork_server("depthsvc.pool.worker", *_engine_modules(settings))


def _engine_modules(settings: Settings) -> list[str]:
    """The module of the chosen engine, if it is installed: PyTorch is not imported for another engine."""
    kind = KINDS.get(settings.engine, TORCHSCRIPT)
    return [kind.module] if kind.can_run() else []
