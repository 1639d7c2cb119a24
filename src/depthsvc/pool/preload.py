"""The head start of the workers: what they import takes seconds, most of them PyTorch's.

Imports little itself, so that it can come first.
"""

from __future__ import annotations

from depthsvc.model.engines.kinds import KINDS, TORCHSCRIPT
from depthsvc.pool.processes import start_fork_server
from depthsvc.settings import Settings


def preload(settings: Settings) -> None:
    """Have the fork server import what workers with these settings need, while this process does something else.

    Calling it again does no harm.
    """
    start_fork_server("depthsvc.pool.worker", *_engine_modules(settings))


def _engine_modules(settings: Settings) -> list[str]:
    """What there is to import for the engine. PyTorch is left out where another engine is chosen."""
    kind = KINDS.get(settings.engine, TORCHSCRIPT)
    return [kind.module] if kind.can_run() else []
